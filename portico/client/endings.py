"""Why a call ends, and whether and when the client rejoins: decided by the server's close codes. Pure."""

from dataclasses import dataclass, replace
from enum import IntEnum

from portico.client.errors import JoinError, RoomFull, TokenRefused, Unavailable, Unreachable


class CloseCode(IntEnum):
    """The close codes of the server, as docs/signaling.md lists them. A test compares this table with the server's."""

    GOODBYE = 1000
    REFUSED = 1008
    FAILED = 1011
    TIMED_OUT = 3999
    SESSION_ENDED = 4000
    RESTART = 4001
    REMOVED = 4002
    MEDIA_LOST = 4003
    ROOM_FULL = 4004
    TOKEN_REFUSED = 4005
    UNAVAILABLE = 4006


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended: the close code, and what it means for the client."""

    reason: str
    """"left", "kicked", "ended", "full", "refused", "token", "unavailable", "lost" or "unreachable"."""
    code: int = 0
    detail: str = ""
    """The server's sentence, if it sent one."""

    @property
    def is_temporary(self) -> bool:
        """Whether a later join with the same token may succeed."""
        return self.reason in ("full", "unavailable", "lost", "unreachable")


_REASONS = {
    CloseCode.REFUSED: "refused",
    CloseCode.SESSION_ENDED: "ended",
    CloseCode.REMOVED: "kicked",
    CloseCode.ROOM_FULL: "full",
    CloseCode.TOKEN_REFUSED: "token",
    CloseCode.UNAVAILABLE: "unavailable",
}


def ending_of(code: int, *, detail: str = "", left: bool = False, kicked: bool = False) -> Ending:
    """The ending for a close code. A leave of this client and an announced kick take precedence over the code."""
    if left:
        return Ending("left", code, detail)
    if kicked:
        return Ending("kicked", code or int(CloseCode.REMOVED), detail)
    return Ending(_REASONS.get(CloseCode(code), "lost") if code in set(CloseCode) else "lost", code, detail)


def join_error(ending: Ending) -> JoinError:
    """The error of a join that ended so."""
    kinds = {kind.kind: kind for kind in (RoomFull, TokenRefused, Unavailable, Unreachable)}
    kind = kinds.get("unavailable" if ending.reason == "lost" else ending.reason, JoinError)
    return kind(ending.detail or f"the join ended: {ending.reason}", ending.code)


GIVE_UP_SECS = 660.0
"""No try begins later than this after the loss: ten minutes of downtime, the longest pause, and one try."""
_PAUSES = (1.0, 2.0, 4.0, 8.0)
_LONGEST_PAUSE_SECS = 15.0
_SEAT_PAUSE_SECS = 5.0
_AT_ONCE_SECS = 0.3
"""The longest pause before the first try if another server takes the call; servers close in groups as well."""


@dataclass(frozen=True, slots=True)
class RejoinPlan:
    """Schedules the tries to rejoin after a call was lost."""

    ending: Ending
    """How the call ended, or the last try to rejoin."""
    began: float
    """When the call was lost; all times are of one monotonic clock, in seconds."""
    tries: int = 0

    def pause(self, random: float) -> float:
        """Seconds until the next try. `random` (0 to 1) spreads clients that lost the same server at once."""
        # The first try may be handed over too, when it enters the room just before its media node stops.
        if self.ending.code == CloseCode.RESTART and self.tries <= 1:
            return _AT_ONCE_SECS * random
        secs = _PAUSES[self.tries] if self.tries < len(_PAUSES) else _LONGEST_PAUSE_SECS
        return (_SEAT_PAUSE_SECS if self.ending.reason == "full" else secs) * (0.8 + 0.4 * random)

    def failed(self, ending: Ending, now: float) -> "RejoinPlan | None":
        """The plan after another try failed; None when no further try is made."""
        if not ending.is_temporary or now - self.began >= GIVE_UP_SECS:
            return None
        return replace(self, ending=ending, tries=self.tries + 1)
