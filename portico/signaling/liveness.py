"""Whether a handle's PeerConnection carries anything, by ICE and DTLS. Silence, DTX and muted tracks are not loss."""

from enum import Enum, auto

from portico.signaling.effects import ExpectMedia
from portico.signaling.policy import WITH_MEDIA, Role
from portico.signaling.wire import Handle

UP_SECS = 25.0
"""From an offer or answer to ICE and DTLS being done, after which the path is taken for dead."""
PUBLISH_SECS = 15.0
"""From a publisher's offer to its first packet, after which its ports are taken back."""
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
