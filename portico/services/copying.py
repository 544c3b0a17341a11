"""Copies the rows of an installation to another database: table by table, in batches that may be written again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, Integer, Table, and_, func, literal, select, text, tuple_
from sqlalchemy.dialects import postgresql

from portico.db import schema
from portico.db.engine import Transaction
from portico.services.clock import database_now

BATCH = 1000
"""Rows that are read, and written in one transaction."""
LEFT_OUT = {"rate_buckets", "media_nodes", "media_rooms", "media_room_holders", "room_streams"}
"""Tables that are not copied: the processes that serve the other database write their rows anew."""
SERVED_WITHIN = timedelta(seconds=15)
"""A gateway whose row has changed within this time serves: those of killed processes no longer change."""
CopiedTable = Table
Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """A checksum of all rows of a table. The order in which rows are added does not change it."""

    rows: int = 0
    sum: int = 0
    """The sum of the SHA-256 digests of the rows, as integers."""

    def plus(self, rows: Sequence[Row]) -> "Digest":
        """The digest with these rows added."""
        return Digest(self.rows + len(rows), (self.sum + sum(map(_digest, rows))) % 2**256)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a row keeps in the store."""

    key: str
    size_bytes: int
    sha256: str


def tables() -> list[Table]:
    """The tables that are copied: those that others refer to come first."""
    return [table for table in schema.metadata.sorted_tables if table.name not in LEFT_OUT]


def is_served(tx: Transaction) -> bool:
    """Whether a server uses this PostgreSQL database. The file of SQLite is locked by its server instead."""
    if tx.dialect.name == "sqlite":
        return False
    alive = schema.gateways.c.seen_at > database_now(tx) - SERVED_WITHIN
    return tx.execute(select(schema.gateways.c.id).where(alive).limit(1)).first() is not None


def count(tx: Transaction, table: Table) -> int:
    """The number of rows of a table."""
    return int(tx.execute(select(func.count()).select_from(table)).scalar_one())


def read(tx: Transaction, table: Table, after: Key | None) -> list[Row]:
    """Read the BATCH rows after the primary key `after`, in its order; empty after the last row."""
    ordered = select(table).order_by(*_key(table)).limit(BATCH)
    if after is not None:
        beyond = tuple_(*(literal(value, column.type) for value, column in zip(after, _key(table), strict=True)))
        ordered = ordered.where(tuple_(*_key(table)) > beyond)
    return [dict(row._mapping) for row in tx.execute(ordered)]


def key_of(table: Table, row: Row) -> Key:
    """The values of a row's primary key."""
    return tuple(row[column.name] for column in _key(table))


def unknown_rows(tx: Transaction, table: Table, rows: Sequence[Row]) -> int:
    """The number of these rows of another database whose primary keys this one does not have."""
    keys = [key_of(table, row) for row in rows]
    known = tx.execute(select(*_key(table)).where(tuple_(*_key(table)).in_(keys))).all()
    return len(set(keys) - {tuple(row) for row in known})


def write(tx: Transaction, table: Table, rows: Sequence[Row]) -> None:
    """Write rows to PostgreSQL. They replace rows with the same primary keys."""
    insert = postgresql.insert(table)
    others = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    keys = [column.name for column in _key(table)]
    if others:
        tx.execute(insert.on_conflict_do_update(index_elements=keys, set_=others), rows)
    else:
        tx.execute(insert.on_conflict_do_nothing(), rows)


def numbering(tx: Transaction) -> dict[str, int]:
    """For each table whose rows are numbered by the database, the highest number ever given."""
    highest = {}
    for table in filter(_is_numbered, tables()):
        (column,) = _key(table)
        highest[table.name] = tx.execute(select(func.max(column))).scalar_one() or 0
        if tx.dialect.name == "sqlite":
            given = tx.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
            highest[table.name] = max(highest[table.name], given.scalar_one_or_none() or 0)
    return highest


def go_on_numbering(tx: Transaction, highest: dict[str, int]) -> None:
    """Have PostgreSQL number further rows above these numbers."""
    for name, number in highest.items():
        (column,) = _key(schema.metadata.tables[name])
        sequence = func.pg_get_serial_sequence(name, column.name)
        tx.execute(select(func.setval(sequence, max(number, 1), number > 0)))


def stored_files(tx: Transaction) -> list[StoredFile]:
    """Every file that a row keeps in the store."""
    found = []
    for table in (schema.room_recordings, schema.room_compositions):
        columns = select(table.c.object_key, table.c.size_bytes, table.c.sha256)
        kept = and_(table.c.object_key.is_not(None), table.c.sha256.is_not(None))
        found += [StoredFile(*row) for row in tx.execute(columns.where(kept).order_by(table.c.object_key))]
    return found


def unconverted(tx: Transaction) -> int:
    """The number of recordings that are not converted yet. Their mjr files are on their server only."""
    waits = schema.room_recordings.c.status == "processing"
    return int(tx.execute(select(func.count()).select_from(schema.room_recordings).where(waits)).scalar_one())


def _key(table: Table) -> list[Column[Any]]:
    return list(table.primary_key.columns)


def _is_numbered(table: Table) -> bool:
    keys = _key(table)
    return len(keys) == 1 and isinstance(keys[0].type, Integer) and keys[0].autoincrement is True


def _digest(row: Row) -> int:
    text_of = json.dumps(list(row.values()), default=str).encode()
    return int.from_bytes(hashlib.sha256(text_of).digest())
