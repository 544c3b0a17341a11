"""Rooms, sessions and participants as the rest of the program reads them: frozen, with the API's member names."""

from dataclasses import dataclass
from datetime import datetime

VIDEO_CODECS = ("h264", "vp8")


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """What a developer chooses for a room; the defaults are those of the API."""

    unique_name: str | None = None
    max_participants: int = 10
    enable_recording: bool = False
    webhook_event_url: str | None = None
    webhook_event_failover_url: str = ""
    webhook_timeout_secs: int | None = None


@dataclass(frozen=True, slots=True)
class Participant:
    """One join of one person."""

    id: str
    session_id: str
    context: str | None
    joined_at: datetime
    updated_at: datetime
    left_at: datetime | None
    label: str | None = None
    """What the token that it joined with calls its holder, if anything."""


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
    """A rectangle of a composition's picture, in pixels, and whose videos it shows. Rows and columns of None: any."""

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
