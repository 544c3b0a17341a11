"""What the dialect orders its connection to do. The connection performs them one after another."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from portico.signaling.own_streams import OwnStream

Message = dict[str, Any]


class CloseCode(IntEnum):
    """WebSocket close codes that the SDK can tell apart."""

    GOODBYE = 1000  # in answer to the browser's own; "user_initiated"
    REFUSED = 1008  # the SDK has been told by a status_code before; it reports "unknown"
    FAILED = 1011  # "unknown"
    TIMED_OUT = 3999  # "timed_out"
    SESSION_ENDED = 4000  # "session_terminated"


@dataclass(frozen=True, slots=True)
class ToJanus:
    """Send to Janus."""

    message: Message


@dataclass(frozen=True, slots=True)
class ToClient:
    """Send to the browser."""

    message: Message


@dataclass(frozen=True, slots=True)
class CheckToken:
    """Find out whether this token admits to the room; answer with token_accepted or token_refused.

    Nothing else of the browser is looked at until then.
    """

    token: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Write that this participant joins; answer with admitted or refused.

    Nothing else of the browser is looked at until then.
    """

    participant_id: str
    context: str | None


@dataclass(frozen=True, slots=True)
class ExpectJoin:
    """The browser gets a data channel, over which it can listen and speak: it has to join soon, or go."""


@dataclass(frozen=True, slots=True)
class Later:
    """Say `due` of this handle after so long. A later one of the same handle takes the place of an earlier one."""

    handle: int
    secs: float


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection. What was sent before arrives before."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class Published:
    """A stream of this browser is on the air, or something about it changed."""

    stream: OwnStream


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The stream that was published on this handle has ended."""

    handle: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something for the operator's log."""

    text: str


Effect = ToJanus | ToClient | CheckToken | Admit | ExpectJoin | Later | Close | Published | Unpublished | Trouble
