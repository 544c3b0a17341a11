"""The events that webhooks deliver, each with the members of its payload (contract section 6.1)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The first participant of a session was admitted."""

    event_type = "video.room.session.started"
    session_id: str
    room_id: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is over. duration_secs counts whole seconds from its start."""

    event_type = "video.room.session.ended"
    session_id: str
    room_id: str
    duration_secs: int
    ended_reason: str


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """A participant was admitted. context is the application's text, byte for byte."""

    event_type = "video.room.participant.joined"
    session_id: str
    room_id: str
    participant_id: str
    context: str | None


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """A participant has left. duration_secs counts whole seconds from joining."""

    event_type = "video.room.participant.left"
    session_id: str
    room_id: str
    participant_id: str
    context: str | None
    duration_secs: int
    left_reason: str


@dataclass(frozen=True, slots=True)
class RecordingStarted:
    """The first media of a track was recorded. type is audio or video."""

    event_type = "video.room.recording.started"
    session_id: str
    room_id: str
    participant_id: str
    recording_id: str
    type: str


@dataclass(frozen=True, slots=True)
class RecordingCompleted:
    """A recording's file is ready. download_url is good for an hour; null when nothing could be saved."""

    event_type = "video.room.recording.completed"
    session_id: str
    room_id: str
    participant_id: str
    recording_id: str
    type: str
    size_mb: float
    download_url: str | None
    codec: str | None
    duration_secs: int


@dataclass(frozen=True, slots=True)
class CompositionCompleted:
    """A composition's file is ready. download_url is good for an hour."""

    event_type = "video.room.composition.completed"
    composition_id: str
    download_url: str
    duration_secs: int
    format: str
    resolution: str
    room_id: str
    session_id: str
    size_mb: float


@dataclass(frozen=True, slots=True)
class CompositionFailed:
    """A composition cannot be made. failure is the reason as a sentence. The hosted service has no such event."""

    event_type = "video.room.composition.failed"
    composition_id: str
    failure: str
    room_id: str
    session_id: str


Event = (
    SessionStarted
    | SessionEnded
    | ParticipantJoined
    | ParticipantLeft
    | RecordingStarted
    | RecordingCompleted
    | CompositionCompleted
    | CompositionFailed
)


def whole_seconds(start: datetime, end: datetime) -> int:
    """The floor of the seconds between two instants, never negative (contract section 1.3)."""
    return max(0, int((end - start).total_seconds()))


def megabytes(size_bytes: int) -> float:
    """A file's size as the API shows it: millions of bytes, to two decimals (contract section 1.3)."""
    return round(size_bytes / 1_000_000, 2)
