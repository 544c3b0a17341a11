"""Whether a handle's PeerConnection carries anything, by ICE, DTLS and RTCP. Silence and muted tracks are not loss.

Where Janus checks consent (1.2 and later), its `hangup` says that a path is lost. Earlier releases say so after 65 s.
There the paths of browsers from which no media arrives are compared: a path is lost when Janus' counters show no packet
of the browser for COMPARISONS looks. A browser in the TextRoom is sent a probe before each look, which its data channel
acknowledges. Other browsers send RTCP reports on the sound that the mixer sends to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from portico.signaling.effects import ExpectMedia
from portico.signaling.policy import WITH_MEDIA, Role
from portico.signaling.wire import Handle

UP_SECS = 25.0
"""From an offer or answer to ICE and DTLS being done, after which the path is taken for dead."""
PUBLISH_SECS = 15.0
"""From a publisher's offer to its first packet, after which its ports are taken back."""
AGAIN_SECS = 1.0
"""Until a publisher that carries nothing is looked at again, when Janus is taking in a request of it."""
_LOST_REASONS = frozenset({"ICE failed", "DTLS-SRTP stack error"})
"""Reasons of Janus' `hangup` that nobody wanted; the others follow requests, or a PeerConnection that was closed."""
NO_PORT_REASONS = frozenset({"Gathering error", "ICE gathering error"})
"""Reasons of Janus' `hangup` of a PeerConnection for which it finds no UDP port or no file descriptor."""
NO_PORT_ERROR = "Error setting ICE locally"
"""What Janus answers then to a request that came with an offer. Source: janus.c of 1.1.2 and 1.4.1."""


class Verdict(Enum):
    """What a handle is found to be when its time has come."""

    FINE = auto()
    IDLE = auto()  # a publisher that publishes nothing
    LOST = auto()


def expected(handle_id: int, handle: Handle) -> ExpectMedia | None:
    """The handle is negotiated, with an offer or answer of the browser; when to look at it, unless it has media."""
    handle.negotiated = True
    if handle.role is Role.PUBLISHER:
        return None if handle.came else ExpectMedia(handle_id, PUBLISH_SECS)
    return None if handle.is_up else ExpectMedia(handle_id, UP_SECS)


def judge(handle: Handle | None) -> Verdict:
    """The time of ExpectMedia has come."""
    if handle is None or not handle.negotiated:
        return Verdict.FINE
    if handle.role is Role.PUBLISHER:
        return Verdict.FINE if handle.came else Verdict.IDLE
    return Verdict.FINE if handle.is_up else Verdict.LOST


def is_lost(handle: Handle | None, reason: object) -> bool:
    """Janus has hung up for this reason: whether the connection has lost its path.

    The SDK does not look at `hangup`: without an end of the connection it would believe to be seen and heard.
    """
    return handle is not None and handle.role in WITH_MEDIA and reason in _LOST_REASONS


COMPARE_SECS = 2.0
COMPARISONS = 10
"""Seconds between two looks at the counters, and looks without a change after which the path is lost. Chromium reports
on sound 2.5 to 7.5 s after its last report (RFC 3550, 6.2), so at least twice in this time."""
COMPARED_MAX = 3
"""Handles whose counters are read at each look."""
Counters = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Quiet:
    """A connection from which no media arrives now."""

    period: int
    """How often its media had stopped arriving when it became quiet: tells this silence from an earlier one."""
    probed: bool
    """Whether its browser acknowledges probes: it is in the TextRoom."""
    handles: tuple[int, ...]
    """Whose counters show that the browser is there."""


def quiet(handles: Mapping[int, Handle], period: int, *, in_text_room: bool) -> Quiet | None:
    """None while media arrives, and where nothing can be known.

    Without a probe only a browser whose media has stopped is looked at: two reports by RTCP can be equal, so the longer
    it is looked at the more likely is a wrong verdict.
    """
    if any(handle.receiving for handle in handles.values()):
        return None
    up = {number: handle for number, handle in handles.items() if handle.is_up}
    text = tuple(number for number, handle in up.items() if handle.role is Role.TEXT)
    if in_text_room and text:
        return Quiet(period, True, text)
    mixer = [number for number, handle in up.items() if handle.role is Role.MIXER]
    if period == 0 or not mixer:
        return None
    return Quiet(period, False, (*mixer, *(number for number in up if number not in mixer))[:COMPARED_MAX])


def counters(info: Mapping[str, Any]) -> tuple[Counters, Counters]:
    """What packets of the browser have left in the Admin API's `handle_info`: (RTCP reports, packets of RTP and DTLS).

    Janus' own packets change neither. Source: janus.c of 1.1.2, `janus_admin_peerconnection_summary`.
    """
    webrtc = info.get("webrtc") or {}
    # A data channel counts notices of Janus' own SCTP among its packets, such as that nobody answers; DTLS does not.
    media = [medium for medium in webrtc.get("media", {}).values() if medium.get("type") in ("audio", "video")]
    main = [medium.get("rtcp", {}).get("main", {}) for medium in media]
    reports = [one.get(name, 0) for one in main for name in ("rtt", "lost-by-remote", "jitter-remote")]
    inbound = [webrtc.get("dtls", {}), *media]
    return tuple(reports), tuple(one.get("stats", {}).get("in", {}).get("packets", 0) for one in inbound)


class Comparison:
    """Of the counters of one connection that is quiet, look by look."""

    def __init__(self) -> None:
        self._of: tuple[int, bool] | None = None  # period and probed
        self._last: dict[int, tuple[Counters, Counters]] = {}
        self._unchanged = 0
        self._is_over = False

    def needs(self, quiet: Quiet) -> bool:
        """Whether counters have to be read for the next look: without a probe one sign of life is enough."""
        if self._of != (quiet.period, quiet.probed):
            self._of, self._last, self._unchanged, self._is_over = (quiet.period, quiet.probed), {}, 0, False
        return not self._is_over

    def look(self, quiet: Quiet, infos: Mapping[int, Mapping[str, Any]]) -> bool:
        """Whether the path is lost. `infos` has the `handle_info` of each handle that is still open."""
        if not self.needs(quiet):
            return False
        now = {handle: counters(info) for handle, info in infos.items()}
        # A browser that has never reported on the mixer would not be missed.
        unknown = not quiet.probed and not any(now.get(quiet.handles[0], ((), ()))[0])
        if unknown or not now:
            self._is_over = not quiet.probed
            return False
        if not self._last:
            self._last = now
            return False
        if any(self._last.get(handle, seen) != seen for handle, seen in now.items()):
            self._last, self._unchanged, self._is_over = now, 0, not quiet.probed
            return False
        self._unchanged += 1
        return self._unchanged >= COMPARISONS
