"""Types of the rows that services read and return: frozen, with a table's column names as members."""

from collections.abc import Sequence
from dataclasses import Field, dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import ColumnElement, Select, Table, select

from portico.db import schema
from portico.db.engine import Transaction

Shown = Sequence[Sequence[int | None]]
"""When a track was enabled: [from, until or None] in Unix milliseconds, in order."""


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


T = TypeVar("T", bound=_Dataclass)


class Reader(Generic[T]):
    """Reads rows of one table as instances of a class whose members are some of its columns."""

    def __init__(self, table: Table, kind: type[T]) -> None:
        self.columns = [table.c[name] for name in kind.__dataclass_fields__]
        self._kind = kind

    def select(self, *where: ColumnElement[bool]) -> Select[Any]:
        """A query of the rows that match all conditions; for `first` and `all`."""
        return select(*self.columns).where(*where)

    def first(self, tx: Transaction, query: Select[Any]) -> T | None:
        """The first row of the query; None when it has none."""
        row = tx.execute(query).first()
        return None if row is None else self._kind(*row)

    def one(self, tx: Transaction, query: Select[Any]) -> T:
        """The only row of the query. Raises NoResultFound or MultipleResultsFound of SQLAlchemy."""
        return self._kind(*tx.execute(query).one())

    def all(self, tx: Transaction, query: Select[Any]) -> list[T]:
        """All rows of the query."""
        return [self._kind(*row) for row in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class RoomRow:
    """A room, deleted or not."""

    id: str
    account_id: str
    unique_name: str | None
    max_participants: int
    enable_recording: bool
    webhook_event_url: str | None
    webhook_event_failover_url: str
    webhook_timeout_secs: int | None
    created_at: datetime
    updated_at: datetime
    link_generation: int
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session, active or ended. `empty_at` is set while it is active and has no participant."""

    id: str
    room_id: str
    account_id: str
    active: bool
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    ended_reason: str | None
    empty_at: datetime | None
    recording: bool


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """A participant, present or not. `label` is the name that the token gives to its holder."""

    id: str
    session_id: str
    room_id: str
    account_id: str
    gateway_id: str
    context: str | None
    joined_at: datetime
    updated_at: datetime
    left_at: datetime | None
    left_reason: str | None
    audio_muted: bool
    label: str | None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A media node, with its load as of its last beat. Its secrets are not shown."""

    id: str
    url: str
    api_secret: str | None = field(repr=False)
    admin_key: str = field(repr=False)
    host: str | None
    mjr_folder: str
    version: str | None
    epoch: int
    state: str
    is_up: bool
    seen_at: datetime
    lost_at: datetime | None
    participants: int
    cpu: float
    packets: int
    shortage: str | None
    recording_paused: bool


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """One track that is or was recorded. `started_at` is None until its first packet."""

    id: str
    account_id: str
    room_id: str
    session_id: str
    participant_id: str
    type: str
    stream_key: str
    mjr_name: str
    status: str
    codec: str | None
    shown: Shown
    size_bytes: int | None
    sha256: str | None
    object_key: str | None
    duration_secs: int | None
    failure: str | None
    started_at: datetime | None
    ended_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class CompositionRow:
    """A composition of any status. `started_at` and `ended_at` are those of its media."""

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
    size_bytes: int | None
    sha256: str | None
    object_key: str | None
    failure: str | None
    started_at: datetime | None
    ended_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A queued or claimed job. `attempts` counts its claims; `subject` is the id or object key that it is about."""

    id: str
    kind: str
    subject: str
    due_at: datetime
    leased_until: datetime | None
    attempts: int
    last_error: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to a webhook. `attempts` counts HTTP requests ever, `rounds` those since the last replay."""

    seq: int
    id: str
    account_id: str
    room_id: str
    event_type: str
    data: str
    url: str
    failover_url: str
    timeout_secs: int | None
    origin: str
    url_head: str
    status: str
    rounds: int
    attempts: int
    stage: str | None
    due_at: datetime | None
    leased_until: datetime | None
    first_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request of a delivery. `status_code` is None without an answer."""

    delivery_id: str
    number: int
    url: str
    started_at: datetime
    finished_at: datetime
    delivered: bool
    status_code: int | None
    error: str | None
    request_headers: dict[str, str]
    response_headers: dict[str, str]
    response_body: str


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it was recorded. `seq` orders all events."""

    seq: int
    id: str
    account_id: str
    room_id: str
    event_type: str
    occurred_at: datetime
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change of an account's objects. Without `key_id` it was made on the command line."""

    id: str
    account_id: str | None
    key_id: str | None
    operation: str
    object_id: str | None
    request_id: str | None
    detail: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key, valid or void, without the key itself. `scopes` is None where it may do everything."""

    id: str
    account_id: str
    name: str | None
    scopes: list[str] | None
    from_setting: bool
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListedKey(KeyRow):
    """An API key with the name of its account."""

    account: str


@dataclass(frozen=True, slots=True)
class ParticipantChange:
    """The members of a participant's row that its gateway acts on when they change."""

    id: str
    left_at: datetime | None
    left_reason: str | None
    audio_muted: bool
    ping_requested_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClockRow:
    """The sum of all clock steps, and since when and until when the clock is trusted (services/clock.py)."""

    stepped_ms: int
    trusted_at: datetime | None
    held_until: datetime | None


ROOM_ROWS = Reader(schema.rooms, RoomRow)
SESSION_ROWS = Reader(schema.room_sessions, SessionRow)
PARTICIPANT_ROWS = Reader(schema.room_participants, ParticipantRow)
CHANGE_ROWS = Reader(schema.room_participants, ParticipantChange)
RECORDING_ROWS = Reader(schema.room_recordings, RecordingRow)
COMPOSITION_ROWS = Reader(schema.room_compositions, CompositionRow)
JOB_ROWS = Reader(schema.jobs, Job)
DELIVERY_ROWS = Reader(schema.webhook_deliveries, Delivery)
ATTEMPT_ROWS = Reader(schema.webhook_attempts, Attempt)
EVENT_ROWS = Reader(schema.events, RecordedEvent)
AUDIT_ROWS = Reader(schema.audit_events, AuditEvent)
KEY_ROWS = Reader(schema.api_keys, KeyRow)
NODE_ROWS = Reader(schema.media_nodes, NodeRow)
CLOCK_ROWS = Reader(schema.clock, ClockRow)
