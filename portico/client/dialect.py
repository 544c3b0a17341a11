"""The dialect of the browser SDK as its client: messages of the server go in, events come out. Pure.

The server lists participants in the AudioBridge (handle "register") and streams in the VideoRoom (handle "listener").
docs/signaling.md describes the messages.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from portico.client.events import Event, Joined, Left, Muted, Published, Speaking, Unpublished, Updated
from portico.client.participant import Participant, Stream

TEXTROOM, AUDIOBRIDGE, VIDEOROOM = (f"janus.plugin.{name}" for name in ("textroom", "audiobridge", "videoroom"))
MIXER_KEY = "audiobridge"
_MIX = 0
"""The number of the mix among the sources of a participant's speech; the others are feeds, which are positive."""


def participant_display(participant_id: str, context: str | None, *, receives_messages: bool) -> str:
    """The display that announces a participant."""
    members: dict[str, Any] = {"participantId": participant_id}
    if context is not None:
        members["external"] = context
    return encode({**members, "canReceiveMessages": receives_messages})


def listener_display(participant_id: str) -> str:
    """The display of the handle on which streams are announced to this participant."""
    return encode({"participantId": participant_id})


def stream_display(participant_id: str, stream_id: str, key: str, *, audio: bool, video: bool) -> str:
    """The display that announces a stream, with the tracks that are enabled."""
    stream = {"id": stream_id, "key": key, "isAudioEnabled": audio, "isVideoEnabled": video}
    return encode({"participantId": participant_id, "stream": stream})


def encode(members: dict[str, Any]) -> str:
    """A display as text: base64 of JSON."""
    return base64.b64encode(json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()).decode()


def decode(display: object) -> dict[str, Any]:
    """The members of a display; {} for one that is malformed."""
    try:
        members = json.loads(base64.b64decode(display, validate=True)) if isinstance(display, str) else {}
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


class Dialect:
    """The state of the room on one connection. It takes answers and events in the order of their arrival."""

    def __init__(
        self,
        me: Participant,
        make: Callable[[str], Participant] = Participant,
        known: Mapping[str, Participant] | None = None,
    ) -> None:
        """`make` makes a Participant for an id. `known` are the participants of the connection that this one replaces.

        Participants and streams of `known` that are still in the room keep their objects and cause no events.
        """
        self.me = me
        self.participants: dict[str, Participant] = {}
        """The other participants in the room, by id."""
        self.register = 0
        self.listener = 0
        self._make = make
        self._known = dict(known or {})
        self._known_streams = {id: participant.streams for id, participant in self._known.items()}
        self._ids: dict[int, str] = {}
        self._mixers: dict[int, str] = {}
        self._streams: dict[int, tuple[Participant, Stream]] = {}
        self._sources: dict[str, set[int]] = {}  # by which each participant speaks
        self._early: dict[int, list[dict[str, Any]]] = {}  # by handle: what arrived before its roster was taken
        self.was_kicked = False

    def expect_roster(self, handle: int) -> None:
        """Hold messages of this handle until `roster` is called: they may arrive in the same instant as the roster."""
        self._early[handle] = []

    def roster(self, handle: int, content: dict[str, Any]) -> list[Event]:
        """Take the answer to the join of the register or the listener; returns the events that it means."""
        if "publishers" in content or content.get("videoroom") == "joined":
            self.listener = handle
            events = [*self._published(content.get("publishers", ())), *self._gone_meanwhile()]
        else:
            self.register = handle
            events = self._joined(content.get("participants", ()))
        for message in self._early.pop(handle, ()):
            events += self.receive(message)
        return events

    def receive(self, message: dict[str, Any]) -> list[Event]:
        """Take a message that answers no request; returns the events that it means."""
        if (early := self._early.get(message.get("sender", 0))) is not None:
            early.append(message)
            return []
        content = message.get("plugindata", {}).get("data", {})
        if message.get("sender") == self.register and "audiobridge" in content:
            return self._receive_register(content)
        if message.get("sender") == self.listener and "videoroom" in content:
            return self._receive_listener(content)
        return []

    def stream_of(self, feed: int) -> tuple[Participant, Stream] | None:
        """The stream with this feed, and its participant."""
        return self._streams.get(feed)

    # The register.

    def _receive_register(self, content: dict[str, Any]) -> list[Event]:
        match content:
            case {"audiobridge": "joined", "participants": list(members)}:
                return self._joined(members)
            case {"audiobridge": "talking" | "stopped-talking" as what, "id": int(member)}:
                participant = self._of(self._mixers.get(member, ""))
                return self._spoke(participant, _MIX, what == "talking")
            case {"leaving": int(member)}:
                return self._left(member, "left")
            case {"kicked": int(member)}:
                return self._left(member, "kicked")
        return []

    def _joined(self, members: Any) -> list[Event]:
        events: list[Event] = []
        for member in members:
            shown, number = decode(member.get("display")), member.get("id")
            participant_id = shown.get("participantId")
            if not isinstance(participant_id, str) or not isinstance(number, int):
                continue
            if "stream" in shown:
                self._mixers[number] = participant_id
                continue
            self._ids[number] = participant_id
            if participant_id == self.me.id or participant_id in self.participants:
                continue
            if (known := self._known.pop(participant_id, None)) is not None:
                known.streams, known.speaking = {}, False
                self.participants[participant_id] = known
                continue
            participant = self.participants[participant_id] = self._make(participant_id)
            context = shown.get("external")
            participant.context = context if isinstance(context, str) else None
            participant.receives_messages = shown.get("canReceiveMessages") is not False
            events.append(Joined(participant))
        return events

    def _gone_meanwhile(self) -> list[Event]:
        """The Left and Unpublished events of known participants and streams that are no longer in the room."""
        events: list[Event] = []
        for participant_id, streams in self._known_streams.items():
            participant = self.participants.get(participant_id) or self._known.get(participant_id)
            if participant is not None:
                events += [Unpublished(participant, stream) for stream in streams.values()]
        for participant in self._known.values():
            participant.streams, participant.has_left, participant.speaking = {}, True, False
            events.append(Left(participant, "left"))
        self._known, self._known_streams = {}, {}
        return events

    def _left(self, number: int, reason: str) -> list[Event]:
        self._mixers.pop(number, None)
        participant_id = self._ids.pop(number, None)
        if participant_id == self.me.id:
            self.was_kicked = self.was_kicked or reason == "kicked"
            return []
        participant = self.participants.pop(participant_id or "", None)
        if participant is None:
            return []
        self._sources.pop(participant.id, None)
        ended = [self._unpublished(stream.feed) for stream in list(participant.streams.values())]
        participant.has_left, participant.speaking = True, False
        return [*(event for events in ended for event in events), Left(participant, reason)]

    # The listener.

    def _receive_listener(self, content: dict[str, Any]) -> list[Event]:
        match content:
            case {"publishers": list(publishers)}:
                return self._published(publishers)
            case {"videoroom": "talking" | "stopped-talking" as what, "id": int(feed)}:
                found = self._streams.get(feed)
                return self._spoke(found[0] if found else None, feed, what == "talking")
            case {"unpublished": int(feed)} | {"kicked": int(feed)} | {"leaving": int(feed)}:
                return self._unpublished(feed)
            case {"audio-moderation": str(state), "id": int(feed)}:
                return self._moderated(feed, state == "muted")
            case {"display": str(display), "id": int(feed)}:
                return self._updated(feed, decode(display))
        return []

    def _published(self, publishers: Any) -> list[Event]:
        events: list[Event] = []
        for publisher in publishers:
            shown, feed = decode(publisher.get("display")), publisher.get("id")
            stream, participant = shown.get("stream"), self._of(str(shown.get("participantId")))
            if not isinstance(stream, dict) or not isinstance(feed, int) or participant is None:
                continue  # of a listener, or of a participant who has just left
            events += self._unpublished(feed)
            made = _stream(feed, stream, publisher)
            before = self._known_streams.get(participant.id, {})
            if (known := before.get(made.key)) is not None and known.id == made.id:
                made = _renewed(before.pop(made.key), made)
            elif participant is not self.me:
                events.append(Published(participant, made))
            participant.streams[made.key] = made
            self._streams[feed] = participant, made
        return events

    def _unpublished(self, feed: int) -> list[Event]:
        participant, stream = self._streams.pop(feed, (None, None))
        if participant is None or stream is None:
            return []
        if participant.streams.get(stream.key) is stream:
            del participant.streams[stream.key]
        ended = [] if participant is self.me else [Unpublished(participant, stream)]
        return [*self._spoke(participant, feed, False), *ended]

    def _moderated(self, feed: int, muted: bool) -> list[Event]:
        participant, stream = self._streams.get(feed, (None, None))
        if participant is None or stream is None or stream.muted is muted:
            return []
        stream.muted = muted
        return [Muted(participant, stream, muted)]

    def _updated(self, feed: int, shown: dict[str, Any]) -> list[Event]:
        participant, stream = self._streams.get(feed, (None, None))
        members = shown.get("stream")
        if participant is None or stream is None or not isinstance(members, dict):
            return []
        before = stream.audio_enabled, stream.video_enabled
        stream.audio_enabled = members.get("isAudioEnabled") is True
        stream.video_enabled = members.get("isVideoEnabled") is True
        return [Updated(participant, stream)] if before != (stream.audio_enabled, stream.video_enabled) else []

    def _spoke(self, participant: Participant | None, source: int, speaking: bool) -> list[Event]:
        """Note that Janus reports a voice in one source, or its end. The same voice is in a stream and in the mix."""
        if participant is None:
            return []
        sources = self._sources.setdefault(participant.id, set())
        (sources.add if speaking else sources.discard)(source)
        if participant.speaking is bool(sources):
            return []
        participant.speaking = bool(sources)
        return [Speaking(participant, participant.speaking)]

    def _of(self, participant_id: str) -> Participant | None:
        return self.me if participant_id == self.me.id else self.participants.get(participant_id)


def _stream(feed: int, shown: dict[str, Any], publisher: dict[str, Any]) -> Stream:
    tracks = [track for track in publisher.get("streams", ()) if not track.get("disabled")]
    kinds = {track.get("type") for track in tracks}
    return Stream(
        id=str(shown.get("id")),
        key=str(shown.get("key")),
        feed=feed,
        has_audio="audio" in kinds,
        has_video="video" in kinds,
        audio_enabled=shown.get("isAudioEnabled") is True,
        video_enabled=shown.get("isVideoEnabled") is True,
        muted=publisher.get("audio_moderated") is True,
        layers=3 if publisher.get("simulcast") or any(track.get("simulcast") for track in tracks) else 1,
    )


def _renewed(stream: Stream, now: Stream) -> Stream:
    """Give the stream object of an earlier connection the state that it has now; returns it."""
    for member in fields(Stream):
        setattr(stream, member.name, getattr(now, member.name))
    return stream


class ChatDialect:
    """The texts of the data channel: `textroom` messages. Pure."""

    def __init__(self, room: int, participant_id: str) -> None:
        self._room = room
        self._participant_id = participant_id

    def join(self, transaction: str) -> str:
        """The request by which the participant joins the TextRoom."""
        name = self._participant_id
        return self._request("join", transaction, username=name, display=name)

    def message(self, transaction: str, content: dict[str, Any], to: list[str]) -> str:
        """The request that sends a message, to all participants if `to` is empty."""
        text = json.dumps({"message": content, "recipients": to}, ensure_ascii=False)
        return self._request("message", transaction, text=text, **({"tos": to} if to else {}))

    @staticmethod
    def read(text: str) -> tuple[str, dict[str, Any], tuple[str, ...]] | None:
        """The sender's id, the content and the recipients of a message; None for another text."""
        received = parsed(text)
        if received.get("textroom") != "message" or not isinstance(received.get("from"), str):
            return None
        body = parsed(received.get("text"))
        content, to = body.get("message"), body.get("recipients")
        if not isinstance(content, dict):
            return None
        return received["from"], content, tuple(one for one in to or () if isinstance(one, str))

    def _request(self, kind: str, transaction: str, **members: Any) -> str:
        return json.dumps({"textroom": kind, "transaction": transaction, "room": self._room, **members})


def parsed(text: object) -> dict[str, Any]:
    """The JSON object in a text; {} for anything else."""
    try:
        value = json.loads(text) if isinstance(text, str | bytes) else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
