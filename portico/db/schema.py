"""The tables. Column names are the API's spelling; instants are aware UTC with microseconds."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)


def _of_stage(stage: str, *columns: str) -> Index:
    """An index of the deliveries of one stage only."""
    where = text(f"stage = '{stage}'")
    return Index(f"ix_webhook_deliveries_{stage}", *columns, sqlite_where=where, postgresql_where=where)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime. SQLite keeps sortable text without a zone, PostgreSQL timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("instants must be aware")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant: datetime = value
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def uuid_column(name: str, *args: Any, **kwargs: Any) -> Column[str]:
    """A lower-case UUID in its 36-character text form."""
    return Column(name, String(36), *args, **kwargs)


accounts = Table(
    "accounts",
    metadata,
    uuid_column("id", primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    uuid_column("id", primary_key=True),
    uuid_column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),  # the key itself is never stored
    Column("name", String(255)),  # what the operator calls it
    Column("scopes", JSON(none_as_null=True)),  # a list of core.scopes; null may do everything
    Column("from_setting", Boolean, nullable=False, server_default=false()),  # PORTICO_API_KEY: void when that changes
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant),  # written at most once a minute
    Column("expires_at", Instant),  # while it is rotated: valid until then
    Column("revoked_at", Instant),  # void, whatever the clock says
)

audit_events = Table(
    "audit_events",
    metadata,
    uuid_column("id", primary_key=True),
    uuid_column("account_id", ForeignKey("accounts.id")),  # null: it concerns the installation
    uuid_column("key_id"),  # null: changed on the command line. No foreign key: the log outlives a key's row
    Column("operation", String(64), nullable=False),  # the operation's id in the API document, or the command
    Column("object_id", String(255)),  # what was changed; null where an operation is about many
    Column("request_id", String(128)),
    Column("detail", Text),
    Column("created_at", Instant, nullable=False),
    Index("ix_audit_events_account_id_created_at", "account_id", "created_at", "id"),
    Index("ix_audit_events_created_at", "created_at"),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    uuid_column("id", primary_key=True),
    Column("purpose", String(32), nullable=False),  # "token" and "webhook": Ed25519; "invite" and "file": HMAC of links
    Column("secret", String(64), nullable=False),  # base64 of 32 bytes
    Column("created_at", Instant, nullable=False),
    Column("active_from", Instant, nullable=False),  # it is accepted before that, and signs from then on
    Column("retired_at", Instant),
    Index(
        "uq_signing_keys_current",
        "purpose",
        unique=True,
        sqlite_where=text("retired_at IS NULL"),
        postgresql_where=text("retired_at IS NULL"),
    ),
)

rate_buckets = Table(
    "rate_buckets",
    metadata,
    Column("name", String(160), primary_key=True),  # which limit, and whose requests
    Column("full_at", BigInteger, nullable=False),  # Unix nanoseconds; a bucket that is full needs no row
    Column("granted", Integer, nullable=False),  # to the process that asked last
)

rooms = Table(
    "rooms",
    metadata,
    uuid_column("id", primary_key=True),
    uuid_column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("unique_name", String(255)),
    Column("max_participants", Integer, nullable=False),
    Column("enable_recording", Boolean, nullable=False),
    Column("webhook_event_url", Text),
    Column("webhook_event_failover_url", Text, nullable=False),
    Column("webhook_timeout_secs", Integer),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("link_generation", Integer, nullable=False, server_default=text("0")),  # of the valid meeting link
    Column("deleted_at", Instant),  # kept, so that sessions stay readable and their last events know where to go
    Index(
        "uq_rooms_account_id_unique_name",
        "account_id",
        "unique_name",
        unique=True,
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
    Index("ix_rooms_account_id_created_at", "account_id", "created_at", "id"),
)

room_counts = Table(
    "room_counts",
    metadata,
    uuid_column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("bucket", Integer, primary_key=True),  # several, so that rooms made at once do not wait for one row
    Column("rooms", BigInteger, nullable=False),  # made less deleted; only their sum over the buckets means anything
)

room_sessions = Table(
    "room_sessions",
    metadata,
    uuid_column("id", primary_key=True),
    uuid_column("room_id", ForeignKey("rooms.id"), nullable=False),
    uuid_column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("ended_reason", String(64)),
    Column("empty_at", Instant),  # set while active and without participants; the session ends a grace period later
    Column("recording", Boolean, nullable=False, server_default=false()),  # the room's setting when it began
    Index(
        "uq_room_sessions_active",
        "room_id",
        unique=True,
        sqlite_where=text("active"),
        postgresql_where=text("active"),
    ),
    Index("ix_room_sessions_account_id_created_at", "account_id", "created_at", "id"),
    Index("ix_room_sessions_room_id_created_at", "room_id", "created_at", "id"),
)

room_participants = Table(
    "room_participants",
    metadata,
    uuid_column("id", primary_key=True),
    uuid_column("session_id", ForeignKey("room_sessions.id"), nullable=False),
    uuid_column("room_id", ForeignKey("rooms.id"), nullable=False),
    uuid_column("account_id", ForeignKey("accounts.id"), nullable=False),
    uuid_column("gateway_id", nullable=False),  # whose socket the participant is on
    Column("context", Text),
    Column("joined_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("left_at", Instant),
    Column("left_reason", String(64)),
    Column("audio_muted", Boolean, nullable=False, server_default=false()),  # by the API; ends with leaving
    Column("label", String(255)),  # what the token calls its holder
    Column("ping_requested_at", Instant),  # by another gateway (services/seats.py); null once the browser has answered
    Index("ix_room_participants_session_id_joined_at", "session_id", "joined_at", "id"),
    Index("ix_room_participants_gateway_id_updated_at", "gateway_id", "updated_at"),
    Index("ix_room_participants_account_id_joined_at", "account_id", "joined_at", "id"),
    Index(
        "ix_room_participants_present",
        "gateway_id",
        sqlite_where=text("left_at IS NULL"),
        postgresql_where=text("left_at IS NULL"),
    ),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    uuid_column("id", nullable=False, unique=True),
    uuid_column("account_id", ForeignKey("accounts.id"), nullable=False),
    uuid_column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("payload", JSON, nullable=False),
    Index("ix_events_room_id_seq", "room_id", "seq"),
    Index("ix_events_account_id_seq", "account_id", "seq"),
    Index("ix_events_occurred_at", "occurred_at"),
    sqlite_autoincrement=True,  # a number is never used twice, whatever is swept
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    uuid_column("id", nullable=False, unique=True),
    uuid_column("account_id", ForeignKey("accounts.id"), nullable=False),
    uuid_column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("data", Text, nullable=False),  # what is sent as `data`, byte for byte the same in every attempt
    Column("url", Text, nullable=False),
    Column("url_head", Text, nullable=False, server_default=text("''")),  # as much of url as an index entry may have
    Column("failover_url", Text, nullable=False),
    Column("timeout_secs", Integer),
    Column("origin", Text, nullable=False),  # scheme://host:port of url: who must not hold up the others
    Column("status", String(16), nullable=False),  # pending, delivered, failed
    Column("rounds", Integer, nullable=False),  # finished since the beginning or the last replay
    Column("attempts", Integer, nullable=False),  # HTTP requests ever
    Column("stage", String(8)),  # of a pending one: ready, held, later, leased (services/webhook_queue.py)
    Column("due_at", Instant),  # null once it is no longer pending
    Column("leased_until", Instant),  # while a worker has it
    Column("first_at", Instant, nullable=False),  # the retries' clock starts here; a replay moves it
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    _of_stage("ready", "account_id", "origin", "url_head", "due_at", "seq"),
    _of_stage("later", "due_at"),
    _of_stage("leased", "leased_until"),
    Index(
        "ix_webhook_deliveries_unproven",
        "room_id",
        "seq",
        sqlite_where=text("status = 'pending' AND rounds = 0"),
        postgresql_where=text("status = 'pending' AND rounds = 0"),
    ),
    Index("ix_webhook_deliveries_account_id_created_at", "account_id", "created_at", "id"),
    Index("ix_webhook_deliveries_created_at", "created_at"),
    sqlite_autoincrement=True,
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    uuid_column("delivery_id", ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("url", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant, nullable=False),
    Column("delivered", Boolean, nullable=False),
    Column("status_code", Integer),
    Column("error", Text),
    Column("request_headers", JSON, nullable=False),
    Column("response_headers", JSON, nullable=False),
    Column("response_body", Text, nullable=False),
)

gateways = Table(
    "gateways",
    metadata,
    uuid_column("id", primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),  # changed every few seconds for as long as it lives
    Column("node_id", String(64)),  # of the DATA_DIR that one process at a time has locked; null in rows of before
    Column(
        "dead", Boolean, nullable=False, server_default=false()
    ),  # others have begun to close its participants' rows
)

clock = Table(
    "clock",
    metadata,
    Column("id", Integer, primary_key=True),  # there is one row
    Column("stepped_ms", BigInteger, nullable=False),  # sum of all clock steps that due times were moved by
    Column("trusted_at", Instant),  # the time when old rows were last deleted, or might have been
    Column("held_until", Instant),  # until then nothing is deleted for its age: the clock had jumped
)

participant_tokens = Table(
    "participant_tokens",
    metadata,
    uuid_column("participant_id", ForeignKey("room_participants.id"), primary_key=True),
    Column("grant_id", String(18), primary_key=True),  # core.tokens.Claims.grant_id of a token that was shown
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("grant_id", String(18), primary_key=True),
    uuid_column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("forget_at", Instant, nullable=False),  # by then every token of the grant has expired
)

media_nodes = Table(
    "media_nodes",
    metadata,
    Column("id", String(64), primary_key=True),  # of the DATA_DIR; mjr names of the node begin with it
    Column("url", Text, nullable=False),  # ws:// address of Janus' API
    Column("api_secret", Text),
    Column("admin_key", Text, nullable=False),
    Column("host", String(128)),  # set while `url` is reached on this host only: see runtime/host.py
    Column("mjr_folder", Text, nullable=False),  # where Janus writes mjr files
    Column("version", String(64)),
    Column("epoch", Integer, nullable=False),  # raised whenever the rooms of the node's Janus are lost
    Column("state", String(16), nullable=False),  # active, draining, removed
    Column("is_up", Boolean, nullable=False),  # false once Janus or the beats of its agent are lost
    Column("seen_at", Instant, nullable=False),  # changed every few seconds for as long as its agent lives
    Column("lost_at", Instant),  # since when it is not up
    Column("participants", Integer, nullable=False),  # as of the last beat, as are the following
    Column("cpu", Float, nullable=False),  # load average of a minute for each core
    Column("packets", BigInteger, nullable=False),  # UDP packets per second of the machine, in and out
    Column("shortage", Text),  # what another participant would lack; null: nothing
    Column("recording_paused", Boolean, nullable=False),  # the disk has no room
)

media_rooms = Table(
    "media_rooms",
    metadata,
    uuid_column("id", primary_key=True),
    uuid_column("room_id", ForeignKey("rooms.id"), nullable=False),
    Column("node_id", String(64), ForeignKey("media_nodes.id"), nullable=False),
    Column("node_epoch", Integer, nullable=False),
    Column("video", BigInteger, nullable=False),  # number in the VideoRoom and the AudioBridge
    Column("text", BigInteger, nullable=False),  # number in the TextRoom
    Column("secret", String(64), nullable=False),
    Column("closing", Boolean, nullable=False),  # no gateway is in it; the row goes when Janus has destroyed the rooms
    Column("created_at", Instant, nullable=False),
    Index(
        "uq_media_rooms_room_id",
        "room_id",
        unique=True,
        sqlite_where=text("NOT closing"),
        postgresql_where=text("NOT closing"),
    ),
    Index("ix_media_rooms_node_id", "node_id"),
)

media_room_holders = Table(
    "media_room_holders",
    metadata,
    uuid_column("gateway_id", primary_key=True),
    uuid_column("media_room_id", ForeignKey("media_rooms.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_media_room_holders_media_room_id", "media_room_id"),
)

room_streams = Table(
    "room_streams",
    metadata,
    uuid_column("session_id", ForeignKey("room_sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("stream_id", String(255), primary_key=True),  # as its publisher chose it
    uuid_column("participant_id", nullable=False),
    Column("claimed_at", Instant, nullable=False),
    Index("ix_room_streams_participant_id", "participant_id"),
)

room_recordings = Table(
    "room_recordings",
    metadata,
    uuid_column("id", primary_key=True),
    uuid_column("account_id", ForeignKey("accounts.id"), nullable=False),
    uuid_column("room_id", ForeignKey("rooms.id"), nullable=False),
    uuid_column("session_id", ForeignKey("room_sessions.id"), nullable=False),
    uuid_column("participant_id", ForeignKey("room_participants.id"), nullable=False),
    Column("type", String(8), nullable=False),  # audio, video
    Column("stream_key", Text, nullable=False),  # what the SDK calls the stream: self, presentation, ...
    Column("mjr_name", String(64), nullable=False),  # base name of Janus' files
    Column("status", String(16), nullable=False),  # processing, completed
    Column("codec", String(16)),
    Column("shown", JSON, nullable=False),  # [[from, until or null], ...] in Unix milliseconds: when it was enabled
    Column("size_bytes", BigInteger),
    Column("sha256", String(64)),
    Column("object_key", Text),  # where the file is in the store; null until it is confirmed there
    Column("duration_secs", Integer),
    Column("failure", Text),  # why it is less than what was recorded
    Column("started_at", Instant),  # first media; null while there was none, and then the row is not shown
    Column("ended_at", Instant),
    Column("completed_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("mjr_name", "type"),
    Index("ix_room_recordings_account_id_created_at", "account_id", "created_at", "id"),
    Index("ix_room_recordings_session_id", "session_id"),
    Index("ix_room_recordings_participant_id", "participant_id"),  # for deleting participants, and erasure
    Index(
        "ix_room_recordings_going_on",
        "participant_id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

room_compositions = Table(
    "room_compositions",
    metadata,
    uuid_column("id", primary_key=True),
    uuid_column("account_id", ForeignKey("accounts.id"), nullable=False),
    uuid_column("room_id", ForeignKey("rooms.id"), nullable=False),
    uuid_column("session_id", ForeignKey("room_sessions.id"), nullable=False),
    Column("status", String(16), nullable=False),  # enqueued, processing, completed, failed
    Column("format", String(8), nullable=False),
    Column("resolution", String(16), nullable=False),
    Column("video_layout", JSON, nullable=False),  # JSON and not JSONB: the order of the regions counts
    Column("audio_sources", JSON(none_as_null=True)),
    Column("show_placeholders", Boolean, nullable=False),
    Column("webhook_event_url", Text),
    Column("webhook_event_failover_url", Text, nullable=False),
    Column("webhook_timeout_secs", Integer),
    Column("progress", Float, nullable=False),  # 0 to 1
    Column("size_bytes", BigInteger),
    Column("sha256", String(64)),
    Column("object_key", Text),
    Column("duration_secs", Integer),
    Column("failure", Text),
    Column("digest", String(64)),  # of what it is made of and how: equal ones are equal compositions
    Column("started_at", Instant),  # of the media, as is ended_at
    Column("ended_at", Instant),
    Column("completed_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("ix_room_compositions_account_id_created_at", "account_id", "created_at", "id"),
    Index("ix_room_compositions_session_id", "session_id"),
)

jobs = Table(
    "jobs",
    metadata,
    uuid_column("id", primary_key=True),
    Column("kind", String(32), nullable=False),  # convert_recording, compose, delete_object
    Column("subject", Text, nullable=False),  # the id of the row it is about, or the key of the object
    Column("lane", String(36)),  # the account, of kinds that accounts take turns in
    Column("due_at", Instant, nullable=False),
    Column("leased_until", Instant),  # while a worker has it
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("waits_for", String(36)),  # the session whose end, or whose recordings, make the job due (jobs.wake)
    Column("woken", Boolean, nullable=False, server_default=false()),  # since it was leased
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("kind", "subject"),
    Index("ix_jobs_kind_due_at", "kind", "due_at"),
    Index(
        "ix_jobs_waits_for",
        "waits_for",
        sqlite_where=text("waits_for IS NOT NULL"),
        postgresql_where=text("waits_for IS NOT NULL"),
    ),
)

job_lanes = Table(
    "job_lanes",
    metadata,
    Column("lane", String(36), primary_key=True),
    Column("turn", BigInteger, nullable=False),  # the higher, the later a job of this lane was claimed
)
