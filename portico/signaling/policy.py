"""The allow-list: which requests a browser may send to which plugin, and which of their members reach Janus.

A request that is not listed here is refused, and a member that is not listed here is dropped: room numbers, ids,
secrets, file names and recording switches are set by the gateway. All functions are pure checks.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from portico.core.tokens import ALL_PERMISSIONS, Permissions
from portico.signaling import display
from portico.signaling.control import AUDIOBRIDGE, TEXTROOM, VIDEOROOM, MediaRoom
from portico.signaling.display import ListenerDisplay, ParticipantDisplay, StreamDisplay

MIXER_KEY = "audiobridge"
BITRATE_MAX = 10_000_000
"""Bits per second that a publisher may ask for."""
SDP_LENGTH_MAX = 128 * 1024
_ID_MAX = 2**53
"""Ids are JSON integers that JavaScript holds exactly."""


_DATA_CHANNEL = re.compile(r"^m=application", re.MULTILINE | re.IGNORECASE)


class Role(StrEnum):
    """The purpose of a handle, set by its first request."""

    TEXT = "text"  # TextRoom: the data channel
    REGISTER = "register"  # AudioBridge without media: lists the participant
    MIXER = "mixer"  # AudioBridge with media: sends the microphone, receives the mix
    LISTENER = "listener"  # VideoRoom without media: receives announcements of streams
    PUBLISHER = "publisher"
    SUBSCRIBER = "subscriber"


WITH_MEDIA = frozenset({Role.TEXT, Role.MIXER, Role.PUBLISHER, Role.SUBSCRIBER})
"""Roles whose handles have a PeerConnection. Janus removes a member from its room when its handle is hung up, even one
without media: so `hangup` and `trickle` for the other roles do not reach Janus."""
ONLY_ONE = frozenset({Role.TEXT, Role.REGISTER, Role.MIXER, Role.LISTENER})
"""Roles of which a connection may have one handle at a time."""


class RequestRefused(Exception):
    """The request is not one that a browser may send. str() says why, for the browser."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A request that a browser may send, with the body that goes to Janus."""

    role: Role
    body: dict[str, Any]
    announces: ParticipantDisplay | None = None
    """For the join of the register: the participant to admit."""
    paused: dict[str, bool] | None = None
    """For a subscriber that declines audio or video: {"audio": ..., "video": ...} to configure before it starts."""
    publishes: StreamDisplay | None = None
    """For a publisher: the display of its stream."""
    mic_off: bool | None = None
    """For a mixer: whether the browser's microphone is off, whatever its token allows; None when not stated."""


@dataclass(frozen=True, slots=True)
class Requester:
    """The browser that sends a request, as far as the checks depend on it."""

    participant_id: str | None
    """Its participant, once admitted."""
    room: MediaRoom
    volume: int
    """Per cent at which its sound is added to the mix."""
    owner_of: Callable[[str], str | None]
    """The participant id of the owner of a stream id, None for an id without owner."""
    permissions: Permissions = ALL_PERMISSIONS
    muted: bool = False
    """Whether the API has muted the participant."""

    @property
    def may_be_mixed(self) -> bool:
        """Whether its sound may be added to the mix."""
        return self.permissions.can_publish and not self.muted


def allow(plugin: str, role: Role | None, sender: Requester, body: object) -> Allowed:
    """The request as it goes to Janus. Raises RequestRefused."""
    if not isinstance(body, dict) or not isinstance(body.get("request"), str):
        raise RequestRefused("body.request must be a text")
    request = body["request"]
    rule = _JOINS.get((plugin, request)) if role is None else _REQUESTS.get((role, request))
    if rule is None:
        raise RequestRefused(f"{plugin} does not take the request {request[:40]!r} here")
    return rule(role, sender, body)


def jsep(value: object, allowed: Allowed) -> dict[str, Any] | None:
    """The offer or answer of a request, reduced to what Janus needs; None for a request without one.

    Raises RequestRefused, also for a request that has none in the SDK: Janus accepts an offer with any request, so it
    would let a listener publish.
    """
    match value:
        case None:
            return None
        case _ if (allowed.role, allowed.body["request"]) not in _NEGOTIATING:
            raise RequestRefused(f"no jsep belongs to the request {allowed.body['request']} here")
        case {"type": "offer" | "answer" as kind, "sdp": str(sdp)} if len(sdp) <= SDP_LENGTH_MAX:
            if allowed.role is not Role.TEXT and _DATA_CHANNEL.search(sdp):
                # The VideoRoom relays data channels, too: messages could be sent without `can_send_messages`.
                raise RequestRefused("a data channel belongs to the TextRoom alone")
            return {"type": kind, "sdp": sdp}
    raise RequestRefused("jsep must be an offer or an answer")


def candidates(message: dict[str, Any]) -> dict[str, Any]:
    """The members of a trickle that go to Janus. Raises RequestRefused."""
    if "candidates" in message:
        several = message["candidates"]
        if not isinstance(several, list) or len(several) > 100:
            raise RequestRefused("candidates must be a list of at most 100")
        return {"candidates": [_candidate(one) for one in several]}
    return {"candidate": _candidate(message.get("candidate"))}


def _candidate(value: object) -> dict[str, Any] | None:
    if value is None:
        return {"completed": True}
    if not isinstance(value, dict):
        raise RequestRefused("candidate must be an object")
    if value.get("completed") is True:
        return {"completed": True}
    kept = {name: value[name] for name in ("candidate", "sdpMid", "sdpMLineIndex") if value.get(name) is not None}
    line, mid, index = kept.get("candidate"), kept.get("sdpMid", ""), kept.get("sdpMLineIndex", 0)
    if not isinstance(line, str) or len(line) > 1000 or not isinstance(mid, str) or not isinstance(index, int):
        raise RequestRefused("candidate must have a candidate, sdpMid and sdpMLineIndex")
    return kept


# One rule per request: from the handle's role, the sender and the body to the request that goes to Janus.


def _setup(role: Role | None, sender: Requester, body: dict[str, Any]) -> Allowed:
    return Allowed(Role.TEXT, {"request": "setup"})


def _bare(role: Role | None, sender: Requester, body: dict[str, Any]) -> Allowed:
    assert role is not None
    return Allowed(role, {"request": body["request"]})


def _join_audio(role: Role | None, sender: Requester, body: dict[str, Any]) -> Allowed:
    shown = _display(body)
    out = {"request": "join", "room": sender.room.video, "display": display.encode(shown)}
    match shown:
        case ParticipantDisplay():
            if sender.participant_id is not None:
                raise RequestRefused("this connection has a participant already")
            if not sender.permissions.can_send_messages:
                # A browser that may not send messages is not in the TextRoom, so it receives none either.
                out["display"] = display.encode(replace(shown, can_receive_messages=False))
            return Allowed(Role.REGISTER, {**out, "muted": True}, announces=shown)
        case StreamDisplay(key=key) if key == MIXER_KEY:
            _require_participant(sender, shown.participant_id)
            mic_off = _boolean(body, "muted", default=False)
            out |= {"muted": mic_off or not sender.may_be_mixed, "volume": sender.volume}
            return Allowed(Role.MIXER, out, mic_off=mic_off)
    raise RequestRefused("display must announce a participant or its mixer")


def _configure_mixer(role: Role | None, sender: Requester, body: dict[str, Any]) -> Allowed:
    out: dict[str, Any] = {"request": "configure", **_encoded(_stream_display(sender, body))}
    if "muted" not in body:
        return Allowed(Role.MIXER, out)
    mic_off = _boolean(body, "muted", default=False)
    return Allowed(Role.MIXER, {**out, "muted": mic_off or not sender.may_be_mixed}, mic_off=mic_off)


def _join_video(role: Role | None, sender: Requester, body: dict[str, Any]) -> Allowed:
    match body.get("ptype"):
        case "publisher":
            return _join_publisher(sender, body)
        case "subscriber":
            return _join_subscriber(sender, body)
    raise RequestRefused("ptype must be publisher or subscriber")


def _join_publisher(sender: Requester, body: dict[str, Any]) -> Allowed:
    shown = _display(body)
    _require_participant(sender, shown.participant_id)
    out = {"request": "join", "room": sender.room.video, "ptype": "publisher", "display": display.encode(shown)}
    match shown:
        case ListenerDisplay():
            return Allowed(Role.LISTENER, out)
        case StreamDisplay(key=key) if key != MIXER_KEY:
            if not sender.permissions.can_publish:
                raise RequestRefused("the token does not allow publishing")
            _require_own_stream(sender, shown)
            return Allowed(Role.PUBLISHER, out, publishes=shown)
    raise RequestRefused("display must name the participant or one of its streams")


def _join_subscriber(sender: Requester, body: dict[str, Any]) -> Allowed:
    if sender.participant_id is None:
        raise RequestRefused("a participant must join before it subscribes")
    if not sender.permissions.can_subscribe:
        raise RequestRefused("the token does not allow subscribing")
    out = {
        "request": "join",
        "room": sender.room.video,
        "ptype": "subscriber",
        "feed": _feed(body),
        "autoupdate": False,  # otherwise Janus sends an offer when the publisher leaves, which no SDK answers
    }
    wanted = {kind: _boolean(body, kind, default=True) for kind in ("audio", "video")}
    return Allowed(Role.SUBSCRIBER, out, paused=None if all(wanted.values()) else wanted)


def _configure_publisher(role: Role | None, sender: Requester, body: dict[str, Any]) -> Allowed:
    shown = _stream_display(sender, body)
    if shown is not None:
        _require_own_stream(sender, shown)
    out: dict[str, Any] = {"request": "configure", **_encoded(shown), **_tracks(body)}
    if (bitrate := body.get("bitrate")) is not None:
        if isinstance(bitrate, bool) or not isinstance(bitrate, int) or bitrate < 0:
            raise RequestRefused("bitrate must be a number of bits per second")
        out["bitrate"] = min(bitrate, BITRATE_MAX)
    return Allowed(Role.PUBLISHER, out, publishes=shown)


def _configure_subscriber(role: Role | None, sender: Requester, body: dict[str, Any]) -> Allowed:
    return Allowed(Role.SUBSCRIBER, {"request": "configure", **_tracks(body), **_layers(body)})


def _switch(role: Role | None, sender: Requester, body: dict[str, Any]) -> Allowed:
    return Allowed(Role.SUBSCRIBER, {"request": "switch", "feed": _feed(body), **_tracks(body)})


_Rule = Callable[[Role | None, Requester, dict[str, Any]], Allowed]

_JOINS: dict[tuple[str, str], _Rule] = {
    (TEXTROOM, "setup"): _setup,
    (AUDIOBRIDGE, "join"): _join_audio,
    (VIDEOROOM, "join"): _join_video,
}
_REQUESTS: dict[tuple[Role, str], _Rule] = {
    (Role.TEXT, "ack"): _bare,
    (Role.TEXT, "setup"): _setup,
    (Role.MIXER, "configure"): _configure_mixer,
    (Role.MIXER, "leave"): _bare,
    (Role.LISTENER, "leave"): _bare,
    (Role.PUBLISHER, "configure"): _configure_publisher,
    (Role.PUBLISHER, "unpublish"): _bare,
    (Role.PUBLISHER, "leave"): _bare,
    (Role.SUBSCRIBER, "configure"): _configure_subscriber,
    (Role.SUBSCRIBER, "start"): _bare,
    (Role.SUBSCRIBER, "pause"): _bare,
    (Role.SUBSCRIBER, "switch"): _switch,
    (Role.SUBSCRIBER, "leave"): _bare,
}

_NEGOTIATING = {
    (Role.TEXT, "ack"),
    (Role.MIXER, "join"),
    (Role.MIXER, "configure"),
    (Role.PUBLISHER, "configure"),
    (Role.SUBSCRIBER, "start"),
}


HANGING_UP = {(Role.PUBLISHER, "unpublish"), (Role.SUBSCRIBER, "leave")}
"""Requests at which Janus closes the PeerConnection of the handle, some time after its answer."""


def _display(body: dict[str, Any]) -> display.Display:
    try:
        return display.parse(body.get("display"))
    except display.MalformedDisplay as malformed:
        raise RequestRefused(str(malformed)) from None


def _stream_display(sender: Requester, body: dict[str, Any]) -> StreamDisplay | None:
    if body.get("display") is None:
        return None
    shown = _display(body)
    if not isinstance(shown, StreamDisplay):
        raise RequestRefused("display must name a stream")
    _require_participant(sender, shown.participant_id)
    return shown


def _encoded(shown: StreamDisplay | None) -> dict[str, str]:
    return {} if shown is None else {"display": display.encode(shown)}


def _require_participant(sender: Requester, participant_id: str) -> None:
    if sender.participant_id is None:
        raise RequestRefused("a participant must join first")
    if participant_id != sender.participant_id:
        raise RequestRefused("display names another participant than the one that joined on this connection")


def _require_own_stream(sender: Requester, shown: StreamDisplay) -> None:
    if shown.key == MIXER_KEY:
        raise RequestRefused("display must not give a stream the key of the mixer")
    if sender.owner_of(shown.stream_id) not in (None, shown.participant_id):
        raise RequestRefused("display names a stream of another participant")


def _tracks(body: dict[str, Any]) -> dict[str, bool]:
    return {kind: _boolean(body, kind, default=True) for kind in ("audio", "video") if kind in body}


def _layers(body: dict[str, Any]) -> dict[str, int]:
    """The simulcast layers that a subscriber asks for, each 0 (smallest) to 2."""
    asked = {name: body[name] for name in ("substream", "temporal") if body.get(name) is not None}
    for name, value in asked.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 2:
            raise RequestRefused(f"{name} must be 0, 1 or 2")
    return asked


def _boolean(body: dict[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise RequestRefused(f"{name} must be true or false")
    return value


def _feed(body: dict[str, Any]) -> int:
    feed = body.get("feed")
    if isinstance(feed, bool) or not isinstance(feed, int) or not 0 < feed < _ID_MAX:
        raise RequestRefused("feed must be the number of a stream")
    return feed
