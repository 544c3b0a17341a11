"""Whether a handle's PeerConnection carries anything, by ICE, DTLS and RTCP. Silence and muted tracks are not loss.

Where Janus checks consent (1.2 and later), its `hangup` says that a path is lost. Earlier releases say so after 65 s.
There a path is suspected when everything that arrived from a browser stops arriving. It is lost when Janus' counters
show no packet of the browser afterwards: a silent browser still reports on what the mixer sends to it, by RTCP.
"""

from collections.abc import Mapping
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
_LOST_REASONS = frozenset({"ICE failed", "ICE gathering error", "Gathering error", "DTLS-SRTP stack error"})
"""Reasons of Janus' `hangup` that nobody wanted; the others follow requests, or a PeerConnection that was closed."""


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


def to_compare(handles: Mapping[int, Handle]) -> list[int]:
    """The mixer, to which Janus sends without a pause, then others; none without a mixer."""
    up = {number: handle for number, handle in handles.items() if handle.is_up}
    first = [number for number, handle in up.items() if handle.role is Role.MIXER]
    return [*first, *(number for number in up if number not in first)][:COMPARED_MAX] if first else []


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
    """Of the counters of one connection, look by look."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[Counters, Counters]] | None = None
        self._unchanged = 0

    def look(self, mixer: int, infos: Mapping[int, Mapping[str, Any]]) -> bool | None:
        """True when the path is lost, False when it lives or nothing can be known, None when another look is needed.

        `infos` has the `handle_info` of each handle that is compared; those that are closed meanwhile do not count.
        """
        now = {handle: counters(info) for handle, info in infos.items()}
        if mixer not in now:
            return False
        if self._first is None:
            self._first = now
            # A browser that has never reported on the mixer would not be missed.
            return None if any(now[mixer][0]) else False
        if any(self._first.get(handle, seen) != seen for handle, seen in now.items()):
            return False
        self._unchanged += 1
        return True if self._unchanged >= COMPARISONS else None
