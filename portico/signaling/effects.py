"""What the dialect orders its connection to do. The connection performs them one after another."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

Message = dict[str, Any]


class CloseCode(IntEnum):
    """WebSocket close codes (docs/signaling.md has the table). Clients decide by the number, never by the reason text.

    The SDK 1.0.2 gives names to 1000, 3999 and 4000 only; it reports every other code as "unknown".
    """

    GOODBYE = 1000  # answers the browser's own goodbye; the SDK reports "user_initiated"
    REFUSED = 1008  # a status_code was sent before
    FAILED = 1011  # a fault of the server
    TIMED_OUT = 3999  # the SDK reports "timed_out"
    SESSION_ENDED = 4000  # the session is over; the SDK reports "session_terminated"
    RESTART = 4001  # the server stops or starts again, the session goes on: rejoin now
    REMOVED = 4002  # the participant was kicked
    MEDIA_LOST = 4003  # Janus or the browser's path to it was lost: rejoin now
    ROOM_FULL = 4004  # status_code 403 was sent before
    TOKEN_REFUSED = 4005  # status_code 401 or 403 was sent before: another token is needed
    UNAVAILABLE = 4006  # status_code 503 or 429 was sent before: rejoin in a moment


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
    """The browser gets a data channel, over which it can listen and speak: it has to join soon, or go.

    `secs` is the deadline where it is nearer than the usual one: the browser is in the TextRoom already.
    """

    secs: float | None = None


@dataclass(frozen=True, slots=True)
class ScheduleDue:
    """Say `due` of this handle after so long. A later one of the same handle takes the place of an earlier one."""

    handle: int
    secs: float


@dataclass(frozen=True, slots=True)
class ExpectMedia:
    """Say `media_due` of this handle after so long. A later one of the same handle replaces an earlier one."""

    handle: int
    secs: float


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection. What was sent before arrives before."""

    code: CloseCode
    reason: str
    at_once: bool = False
    """Janus' side is closed before anything is written: the browser is where it must not be."""


@dataclass(frozen=True, slots=True)
class Expel:
    """Kick this member out of the TextRoom with this number."""

    room: int
    username: str


@dataclass(frozen=True, slots=True)
class PublishedStream:
    """A published stream as the recorder needs it.

    The SDK sends silence and a black picture for a track that is not enabled, so a recording needs both sets.
    """

    handle: int
    key: str
    enabled: frozenset[str]
    """Kinds ("audio", "video") of the tracks that the browser says are enabled."""
    with_media: frozenset[str] = frozenset()
    """Kinds of the tracks that have carried media since the stream was published."""


@dataclass(frozen=True, slots=True)
class NotePublished:
    """A stream of this browser is on the air, or something about it changed."""

    stream: PublishedStream


@dataclass(frozen=True, slots=True)
class NoteUnpublished:
    """The stream that was published on this handle has ended."""

    handle: int


@dataclass(frozen=True, slots=True)
class LogWarning:
    """Something for the operator's log."""

    text: str


Effect = (
    ToJanus
    | ToClient
    | CheckToken
    | Admit
    | ExpectJoin
    | ExpectMedia
    | ScheduleDue
    | Close
    | Expel
    | NotePublished
    | NoteUnpublished
    | LogWarning
)
