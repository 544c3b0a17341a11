"""Steps of the clock in the database: due times move with a step, and old rows are not deleted after a jump."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text

from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent
from portico.db.wakeup import announce
from portico.services.rows import CLOCK_ROWS, ClockRow

CLOCK = schema.clock
_DUE = (
    ("webhook_deliveries", "due_at", "stage = 'later'"),
    ("webhook_deliveries", "leased_until", "stage = 'leased'"),
    ("webhook_deliveries", "first_at", "status = 'pending'"),  # retries end so long after it
    ("jobs", "due_at", "due_at IS NOT NULL"),
    ("jobs", "leased_until", "leased_until IS NOT NULL"),
    ("room_sessions", "empty_at", "active AND empty_at IS NOT NULL"),
)
"""Table, column and condition of every due time, which a step of the clock moves."""
_LATER = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {column}, :by) || '000'",
    "postgresql": "{column} + CAST(:by AS interval)",
}
TOLERANCE = timedelta(seconds=0.5)
AGREES = timedelta(seconds=4)
"""A gateway whose row was changed within this time has the same clock; gateways change theirs every 2 s."""
JUMP = timedelta(days=1)
"""A jump: the clock differs by more than this from the time that has passed by the monotonic clock."""
STOPPED = timedelta(days=31)
"""A jump, where no server ran and so the time that has passed is not known: a longer stop counts as one."""
HOLD = timedelta(days=1)
"""How long after a jump old rows are not deleted, so that a wrong clock can be corrected."""


def database_now(tx: Transaction) -> datetime:
    """The time of PostgreSQL's host, which all processes share."""
    at: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
    return at


def now(tx: Transaction) -> datetime:
    """The time for a command that runs beside servers: PostgreSQL's, or this machine's, which SQLite shares."""
    return datetime.now(UTC) if tx.dialect.name == "sqlite" else database_now(tx)


def stepped(tx: Transaction) -> timedelta:
    """The sum of all clock steps that due times were moved by."""
    milliseconds = tx.execute(select(CLOCK.c.stepped_ms)).scalar_one_or_none()
    return timedelta(milliseconds=milliseconds or 0)


def step(tx: Transaction, by: timedelta, *, known: timedelta) -> timedelta:
    """Move all due times by `by`, the step of the clock, unless another process has; returns the sum of all steps.

    `known` is the sum that this process read last: another process has moved the rows if the row's sum differs. Nothing
    is moved where another process has had the new time all along: then this machine was suspended.
    """
    total = timedelta(milliseconds=_locked(tx).stepped_ms)
    by -= total - known
    if abs(by) < TOLERANCE or (by > 2 * AGREES and _others_agree(tx)):
        return total
    total += by
    tx.execute(CLOCK.update().values(stepped_ms=round(total / timedelta(milliseconds=1))))
    _move(tx, by)
    return total


def held_until(tx: Transaction, now: datetime, *, passed: timedelta | None) -> datetime | None:
    """None when old rows may be deleted at `now`; otherwise the instant until which no further jump may happen.

    `passed` is the time since this process last got None, by its monotonic clock; None before that. The first time
    of an installation is compared with its newest event.
    """
    row = _locked(tx)
    expected = (row.trusted_at or _newest_event(tx) or now) + (passed or timedelta(0))
    may_differ = STOPPED if passed is None else JUMP
    held: datetime | None = row.held_until
    if abs(now - expected) <= (may_differ if held is None else JUMP):
        held = None
    elif held is None or now > held + may_differ or now < held - HOLD:
        held = now + HOLD
    elif now >= held:
        held = None  # as it was a day ago: the server had been stopped for long, or the clock is right now
    trusted_at = now if held is None else row.trusted_at or expected
    tx.execute(CLOCK.update().values(trusted_at=trusted_at, held_until=held))
    return held


def trusted(tx: Transaction, now: datetime) -> datetime:
    """`now`, or the last time at which the clock had not jumped if that is earlier."""
    at: datetime | None = tx.execute(select(CLOCK.c.trusted_at)).scalar_one_or_none()
    return now if at is None else min(now, at)


def _locked(tx: Transaction) -> ClockRow:
    insert_if_absent(tx, CLOCK, id=1, stepped_ms=0)
    return CLOCK_ROWS.one(tx, CLOCK_ROWS.select().with_for_update())


def _others_agree(tx: Transaction) -> bool:
    """Whether a gateway of another process has the time of PostgreSQL. Ours is far behind: so is its row."""
    if tx.dialect.name == "sqlite":
        return False
    recent = schema.gateways.c.seen_at.between(database_now(tx) - AGREES, database_now(tx) + AGREES)
    return tx.execute(select(schema.gateways.c.id).where(recent, ~schema.gateways.c.dead).limit(1)).first() is not None


def _newest_event(tx: Transaction) -> datetime | None:
    events = schema.events.c
    at: datetime | None = tx.execute(
        select(events.occurred_at).order_by(events.seq.desc()).limit(1)
    ).scalar_one_or_none()
    return at


def _move(tx: Transaction, by: timedelta) -> None:
    later = _LATER[tx.dialect.name]
    for table, column, which in _DUE:
        moved = text(f"UPDATE {table} SET {column} = {later.format(column=column)} WHERE {which}")  # noqa: S608  ours
        tx.execute(moved, {"by": f"{by.total_seconds():.3f} seconds"})
    announce(tx, "deliveries")
    announce(tx, "jobs")
