"""Rows as the rest of the program reads them: immutable, with the member names of the API."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

VIDEO_CODECS = ("h264", "vp8")


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """The settings of a room, with the API's names and defaults."""

    unique_name: str | None = None
    max_participants: int = 10
    enable_recording: bool = False
    webhook_event_url: str | None = None
    webhook_event_failover_url: str = ""
    webhook_timeout_secs: int | None = None


@dataclass(frozen=True, slots=True)
class Participant:
    """One stay of a participant in a session, from the join on."""

    id: str
    session_id: str
    context: str | None
    joined_at: datetime
    updated_at: datetime
    left_at: datetime | None
    label: str | None = None
    """The name that the token of the join gives to its holder, if any."""


@dataclass(frozen=True, slots=True)
class Session:
    """One occurrence of a room. `participants` is None unless they were asked for."""

    id: str
    room_id: str
    active: bool
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    participants: tuple[Participant, ...] | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """A room that exists. `sessions` is None unless they were asked for."""

    id: str
    unique_name: str | None
    max_participants: int
    enable_recording: bool
    webhook_event_url: str | None
    webhook_event_failover_url: str
    webhook_timeout_secs: int | None
    created_at: datetime
    updated_at: datetime
    active_session_id: str | None = None
    sessions: tuple[Session, ...] | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a composition's picture in pixels, and the videos in it.

    `max_rows` and `max_columns` bound its grid; None: as many as fit."""

    name: str
    x_pos: int
    y_pos: int
    z_pos: int
    width: int
    height: int
    max_columns: int | None
    max_rows: int | None
    video_sources: tuple[str, ...]
    """Ids of recordings, or ("*",) for every video of the session."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One track of one participant. The file is there once `object_key` is set."""

    id: str
    room_id: str
    session_id: str
    participant_id: str
    type: str
    status: str
    codec: str | None
    size_bytes: int | None
    duration_secs: int | None
    object_key: str | None
    started_at: datetime
    ended_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def file_name(self) -> str:
        """The name under which a browser saves the file; the extension is that of the object."""
        return file_name_of("recording", self.started_at, self.type, self.id, self.object_key or "")


@dataclass(frozen=True, slots=True)
class Composition:
    """A composition of one session, requested or made. `video_layout` has all members of each region, as requested."""

    id: str
    account_id: str
    room_id: str
    session_id: str
    status: str
    format: str
    resolution: str
    video_layout: dict[str, dict[str, Any]]
    audio_sources: list[str] | None
    show_placeholders: bool
    webhook_event_url: str | None
    webhook_event_failover_url: str
    webhook_timeout_secs: int | None
    progress: float
    size_bytes: int | None
    duration_secs: int | None
    object_key: str | None
    failure: str | None
    started_at: datetime | None
    ended_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def file_name(self) -> str:
        """The name under which a browser saves the file; the extension is that of the object."""
        return file_name_of("composition", self.started_at or self.created_at, None, self.id, self.object_key or "")


def file_name_of(noun: str, when: datetime, kind: str | None, row_id: str, object_key: str) -> str:
    """noun-20260202T222527Z-kind-1ccc7b54.ogg: readable, sorted by time, unique by the beginning of the row's id."""
    parts = [noun, when.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"), kind, row_id[:8]]
    _, dot, ending = object_key.rpartition(".")
    return "-".join(part for part in parts if part) + dot + (ending if dot else "")
