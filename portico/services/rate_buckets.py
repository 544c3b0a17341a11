"""Rate limits that the processes of a PostgreSQL database share: each row has the instant when its bucket is full."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, cast, func, literal
from sqlalchemy.dialects import postgresql

from portico.core.rate import Limit
from portico.db import schema
from portico.db.engine import Transaction

BUCKETS = schema.rate_buckets


@dataclass(frozen=True, slots=True)
class Lease:
    """Requests that a process may admit without asking again."""

    granted: int
    full_in_ns: int
    """Nanoseconds until the bucket is full again, counted from the answer of the database."""


def lease(tx: Transaction, name: str, limit: Limit, wanted: int) -> Lease:
    """Take up to `wanted` requests from the bucket with this name, in one statement. The time is the database's.

    A bucket is never emptier than empty: one whose instant is too far ahead, because the clock was set back or the
    limit was lowered, is empty now.
    """
    values = {"name": name, "wanted": wanted, "interval": limit.interval_ns, "whole": limit.whole_ns}
    row = tx.execute(_LEASE, values).one()
    return Lease(row.granted, max(row.full_in, 0))


def forget_full(tx: Transaction) -> int:
    """Delete the buckets that are full: a bucket without a row is full, too. How many there were."""
    return tx.execute(BUCKETS.delete().where(BUCKETS.c.full_at < _NOW)).rowcount


def _integer(name: str) -> ColumnElement[int]:
    return cast(bindparam(name), postgresql.BIGINT)


_NOW: ColumnElement[int] = cast(
    func.extract("epoch", func.statement_timestamp()) * literal(1_000_000_000), postgresql.BIGINT
)


def _statement() -> Any:
    wanted, interval, whole = _integer("wanted"), _integer("interval"), _integer("whole")
    full_at = func.least(func.greatest(BUCKETS.c.full_at, _NOW), _NOW + whole)
    granted = func.least(wanted, func.div(_NOW + whole - full_at, interval))
    new = {"name": bindparam("name"), "full_at": _NOW + wanted * interval, "granted": wanted}
    insert = postgresql.insert(BUCKETS).values(new)
    change = {"full_at": full_at + granted * interval, "granted": granted}
    upsert = insert.on_conflict_do_update(index_elements=[BUCKETS.c.name], set_=change)
    return upsert.returning(BUCKETS.c.granted, (BUCKETS.c.full_at - _NOW).label("full_in"))


_LEASE = _statement()
