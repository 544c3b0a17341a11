"""The events of a room, in the order in which they happen: `async for event in room.events()`."""

from dataclasses import dataclass
from typing import Any, ClassVar

from portico.client.participant import Participant, Stream


@dataclass(frozen=True, slots=True)
class Joined:
    """A participant is in the room. The first events are about participants who joined earlier."""

    kind: ClassVar[str] = "joined"
    participant: Participant


@dataclass(frozen=True, slots=True)
class Left:
    """A participant has left. `reason` is "left" or "kicked"."""

    kind: ClassVar[str] = "left"
    participant: Participant
    reason: str


@dataclass(frozen=True, slots=True)
class Published:
    """A participant publishes a stream."""

    kind: ClassVar[str] = "published"
    participant: Participant
    stream: Stream


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A stream has ended."""

    kind: ClassVar[str] = "unpublished"
    participant: Participant
    stream: Stream


@dataclass(frozen=True, slots=True)
class Updated:
    """A participant switched a track of a stream on or off: see `stream.audio_enabled` and `stream.video_enabled`."""

    kind: ClassVar[str] = "updated"
    participant: Participant
    stream: Stream


@dataclass(frozen=True, slots=True)
class Message:
    """A chat message. `to` is empty for a message to all participants."""

    kind: ClassVar[str] = "message"
    participant: Participant
    text: str
    """The payload if it is a text, else the payload as JSON."""
    content: dict[str, Any]
    """The whole message: `type`, `payload`, and what the sender's application added."""
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Muted:
    """The server has muted a participant's audio, or unmuted it, as the API or the token says."""

    kind: ClassVar[str] = "muted"
    participant: Participant
    stream: Stream
    muted: bool


@dataclass(frozen=True, slots=True)
class Speaking:
    """A participant begins to speak, or stops."""

    kind: ClassVar[str] = "speaking"
    participant: Participant
    speaking: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection was lost; the client rejoins by itself."""

    kind: ClassVar[str] = "lost"
    reason: str
    code: int


@dataclass(frozen=True, slots=True)
class Rejoined:
    """The client is in the room again, under a new participant id. What it published is published again."""

    kind: ClassVar[str] = "rejoined"
    participant: Participant


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over for this client; no event follows.

    `reason` is "left", "kicked", "ended", "full", "refused", "token", "unavailable" or "lost"; `code` is the server's
    close code, 0 without one.
    """

    kind: ClassVar[str] = "ended"
    reason: str
    code: int
    detail: str = ""


Event = Joined | Left | Published | Unpublished | Updated | Message | Muted | Speaking | Lost | Rejoined | Ended
