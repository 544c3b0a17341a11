"""What is due when, in a database whose clock is set: rows wait for as long as they should have."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, text

from portico.db import schema
from portico.db.engine import Transaction
from portico.db.wakeup import announce

CLOCK = schema.clock
_DUE = (
    ("webhook_deliveries", "due_at", "stage = 'later'"),
    ("webhook_deliveries", "leased_until", "stage = 'leased'"),
    ("webhook_deliveries", "first_at", "status = 'pending'"),  # retries end so long after it
    ("jobs", "due_at", "due_at > '2001-01-01'"),  # not those that were hurried
    ("jobs", "leased_until", "leased_until IS NOT NULL"),
    ("room_sessions", "empty_at", "active AND empty_at IS NOT NULL"),
)
"""Table, column and condition of everything that is waited for."""
_LATER = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {column}, :by) || '000'",
    "postgresql": "{column} + CAST(:by AS interval)",
}
TOLERANCE = timedelta(seconds=0.5)


def database_now(tx: Transaction) -> datetime:
    """The time of PostgreSQL's host, which all processes share."""
    now: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
    return now


def stepped(tx: Transaction) -> timedelta:
    """The sum of all clock steps that due times were moved by."""
    milliseconds = tx.execute(select(CLOCK.c.stepped_ms)).scalar_one_or_none()
    return timedelta(milliseconds=milliseconds or 0)


def step(tx: Transaction, by: timedelta, *, known: timedelta) -> timedelta:
    """The clock was set by so much: move what is due, unless another process has done that; the new sum of all steps.

    `known` is the sum when this process last looked.
    """
    if tx.execute(select(CLOCK.c.id)).first() is None:
        tx.execute(CLOCK.insert().values(id=1, stepped_ms=0))
    tx.execute(select(CLOCK).with_for_update()).one()
    total = stepped(tx)
    by -= total - known
    if abs(by) < TOLERANCE:
        return total
    total += by
    tx.execute(CLOCK.update().values(stepped_ms=round(total / timedelta(milliseconds=1))))
    _move(tx, by)
    return total


def _move(tx: Transaction, by: timedelta) -> None:
    later = _LATER[tx.dialect.name]
    for table, column, which in _DUE:
        moved = text(f"UPDATE {table} SET {column} = {later.format(column=column)} WHERE {which}")  # noqa: S608  ours
        tx.execute(moved, {"by": f"{by.total_seconds():.3f} seconds"})
    announce(tx, "deliveries")
    announce(tx, "jobs")
