"""Effects: what the dialect has its connection do. The connection performs them one after another."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

Message = dict[str, Any]


class CloseCode(IntEnum):
    """WebSocket close codes, the only table of them (docs/signaling.md explains each). Clients decide by the number.

    The SDK 1.0.2 gives names to 1000, 3999 and 4000 only; it reports every other code as "unknown".
    """

    GOODBYE = 1000  # answers the browser's own request to leave; the SDK reports "user_initiated"
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
    """Send this message to Janus."""

    message: Message


@dataclass(frozen=True, slots=True)
class ToClient:
    """Send this message to the browser."""

    message: Message


@dataclass(frozen=True, slots=True)
class CheckToken:
    """Check whether this token admits to the room, then call token_accepted or token_refused.

    The browser's next messages wait until then.
    """

    token: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Write that this participant joins, then call admitted or refused.

    The browser's next messages wait until then.
    """

    participant_id: str
    context: str | None


@dataclass(frozen=True, slots=True)
class ClaimStream:
    """Make the participant the owner of this stream id in all processes, then call stream_claimed.

    The browser's next messages wait until then.
    """

    stream_id: str
    participant_id: str


@dataclass(frozen=True, slots=True)
class ExpectJoin:
    """Start the join deadline: close the connection unless Admit succeeds within `secs` (None: JOIN_SECS).

    The browser gets a data channel, over which it could receive and send messages while no list of participants has it.
    """

    secs: float | None = None


@dataclass(frozen=True, slots=True)
class ScheduleDue:
    """Call `due` with this handle after `secs`. It replaces an earlier ScheduleDue of the handle."""

    handle: int
    secs: float


@dataclass(frozen=True, slots=True)
class ExpectMedia:
    """Call `media_due` with this handle after `secs`. It replaces an earlier ExpectMedia of the handle."""

    handle: int
    secs: float


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection with this code and reason. Earlier messages to the browser arrive before the close."""

    code: CloseCode
    reason: str
    at_once: bool = False
    """Whether Janus' session is closed first: the browser is in a room where it must not be."""


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
    """Pass the state of a published stream, which has begun or changed, to the recorder."""

    stream: PublishedStream


@dataclass(frozen=True, slots=True)
class NoteUnpublished:
    """Pass the end of the stream of this handle to the recorder."""

    handle: int


@dataclass(frozen=True, slots=True)
class LogWarning:
    """Log a warning for the operator."""

    text: str


Effect = (
    ToJanus
    | ToClient
    | CheckToken
    | Admit
    | ClaimStream
    | ExpectJoin
    | ExpectMedia
    | ScheduleDue
    | Close
    | Expel
    | NotePublished
    | NoteUnpublished
    | LogWarning
)
