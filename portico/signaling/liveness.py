"""Judges by ICE, DTLS and RTCP whether the path of a PeerConnection is alive. Silence and muted tracks are no loss.

Janus 1.2 and later check consent (RFC 7675), and report a lost path by `hangup`. Earlier releases report it after 65 s.
There Janus' counters of browsers from which no media arrives are compared every COMPARE_SECS: a path is lost when they
show no packet of the browser in COMPARISONS comparisons. A browser in the TextRoom is sent a probe before each, which
its data channel acknowledges. Other browsers send RTCP reports on the sound that they receive from the mixer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from portico.signaling.effects import ExpectMedia
from portico.signaling.policy import WITH_MEDIA, Role
from portico.signaling.wire import Handle

UP_SECS = 25.0
"""How long ICE and DTLS may take after an offer or answer. Then the path counts as lost."""
PUBLISH_SECS = 15.0
"""How long a publisher may take from its offer to its first packet. Then its ports are freed."""
AGAIN_SECS = 1.0
"""The pause before a publisher without media is judged again, while a plugin works on one of its requests."""
_LOST_REASONS = frozenset({"ICE failed", "DTLS-SRTP stack error"})
"""Reasons of Janus' `hangup` for a lost path. The others follow a request, or the browser's own close."""
NO_PORT_REASONS = frozenset({"Gathering error", "ICE gathering error"})
"""Reasons of Janus' `hangup` of a PeerConnection for which it finds no UDP port or no file descriptor."""
NO_PORT_ERROR = "Error setting ICE locally"
"""What Janus answers then to a request with an offer. Source: janus.c of 1.1.2 and 1.4.1."""


class Verdict(Enum):
    """The state of a handle when its ExpectMedia is due."""

    FINE = auto()
    IDLE = auto()  # a publisher without media
    LOST = auto()


def expected(handle_id: int, handle: Handle) -> ExpectMedia | None:
    """Mark a handle as negotiated; returns when to judge it, None when it has media already."""
    handle.negotiated = True
    if handle.role is Role.PUBLISHER:
        return None if handle.has_had_media else ExpectMedia(handle_id, PUBLISH_SECS)
    return None if handle.is_up else ExpectMedia(handle_id, UP_SECS)


def judge(handle: Handle | None) -> Verdict:
    """The verdict on a handle whose ExpectMedia is due; FINE for one that no longer exists."""
    if handle is None or not handle.negotiated:
        return Verdict.FINE
    if handle.role is Role.PUBLISHER:
        return Verdict.FINE if handle.has_had_media else Verdict.IDLE
    return Verdict.FINE if handle.is_up else Verdict.LOST


def is_lost(handle: Handle | None, reason: object) -> bool:
    """Whether a `hangup` of Janus with this reason means that the connection must end.

    The SDK ignores `hangup`: without the end of its connection the page would show a call that no media reaches.
    """
    return handle is not None and handle.role in WITH_MEDIA and reason in _LOST_REASONS


def can_be_lost(handle: Handle | None) -> bool:
    """Whether a browser's report that it lost this path counts: Janus has it up, and no request is closing it."""
    return handle is not None and handle.role in WITH_MEDIA and handle.is_up and not handle.hangs_up


COMPARE_SECS = 2.0
COMPARISONS = 10
"""Seconds between two looks at the counters, and looks without a change after which the path is lost. Chromium reports
on sound 2.5 to 7.5 s after its last report (RFC 3550, 6.2), so at least twice in this time."""
COMPARED_MAX = 3
"""Handles of one connection whose counters are read at each comparison."""
Counters = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Quiet:
    """A connection from which no media arrives, with what shows that its browser is alive."""

    period: int
    """How often its media has stopped: distinguishes this silence from an earlier one."""
    probed: bool
    """Whether its browser acknowledges probes, because it is in the TextRoom."""
    handles: tuple[int, ...]
    """The handles whose counters change while the browser is alive."""


def quiet(handles: Mapping[int, Handle], period: int, *, in_text_room: bool) -> Quiet | None:
    """The handles to compare; None while media arrives, and where no counter changes while the browser is alive.

    Without a probe, only a browser whose media has stopped is compared. Two RTCP reports can be equal, so a wrong
    verdict becomes more likely the longer a browser is compared.
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
    """The counters in `handle_info` (Admin API) that the browser's packets change: (RTCP reports, RTP and DTLS).

    Janus' own packets change neither. Source: janus.c of 1.1.2, `janus_admin_peerconnection_summary`.
    """
    webrtc = info.get("webrtc") or {}
    # Packets of a data channel include notices of Janus' own SCTP, such as that of no answer. DTLS packets do not.
    media = [medium for medium in webrtc.get("media", {}).values() if medium.get("type") in ("audio", "video")]
    main = [medium.get("rtcp", {}).get("main", {}) for medium in media]
    reports = [one.get(name, 0) for one in main for name in ("rtt", "lost-by-remote", "jitter-remote")]
    inbound = [webrtc.get("dtls", {}), *media]
    return tuple(reports), tuple(one.get("stats", {}).get("in", {}).get("packets", 0) for one in inbound)


class CounterComparison:
    """Compares the counters of one quiet connection, again and again."""

    def __init__(self) -> None:
        self._of: tuple[int, bool] | None = None  # period and probed
        self._last: dict[int, tuple[Counters, Counters]] = {}
        self._unchanged = 0
        self._is_over = False

    def needs(self, quiet: Quiet) -> bool:
        """Whether the next comparison needs counters. Without a probe, the first change ends the comparisons."""
        if self._of != (quiet.period, quiet.probed):
            self._of, self._last, self._unchanged, self._is_over = (quiet.period, quiet.probed), {}, 0, False
        return not self._is_over

    def look(self, quiet: Quiet, infos: Mapping[int, Mapping[str, Any]]) -> bool:
        """Compare once; True if the path is lost. `infos` has the `handle_info` of each handle that is still open."""
        if not self.needs(quiet):
            return False
        now = {handle: counters(info) for handle, info in infos.items()}
        # A browser that has sent no RTCP report on the mixer need not send one while it is alive.
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
