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
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

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
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    uuid_column("id", primary_key=True),
    Column(
        "purpose", String(32), nullable=False
    ),  # "token": Ed25519 of the client tokens; "invite": HMAC of meeting links
    Column("secret", String(64), nullable=False),  # base64 of 32 bytes
    Column("created_at", Instant, nullable=False),
    Column("retired_at", Instant),
    Index(
        "uq_signing_keys_current",
        "purpose",
        unique=True,
        sqlite_where=text("retired_at IS NULL"),
        postgresql_where=text("retired_at IS NULL"),
    ),
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
    Column("empty_at", Instant),  # set while active and nobody is in; the session ends a grace period later
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
    Index("ix_room_participants_session_id_joined_at", "session_id", "joined_at", "id"),
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
    Column("failover_url", Text, nullable=False),
    Column("timeout_secs", Integer),
    Column("origin", Text, nullable=False),  # scheme://host:port of url: who must not hold up the others
    Column("status", String(16), nullable=False),  # pending, delivered, failed
    Column("rounds", Integer, nullable=False),  # finished since the beginning or the last replay
    Column("attempts", Integer, nullable=False),  # HTTP requests ever
    Column("due_at", Instant),  # null once it is no longer pending
    Column("leased_until", Instant),  # while somebody is at it
    Column("first_at", Instant, nullable=False),  # the retries' clock starts here; a replay moves it
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Index(
        "ix_webhook_deliveries_due",
        "due_at",
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
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
    Column("seen_at", Instant, nullable=False),  # moved every few seconds; a gateway unseen for the lease is dead
)
