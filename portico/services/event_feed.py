"""Reads events as they are recorded by any process."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, or_, select

from portico.db import schema
from portico.db.engine import Transaction
from portico.services.rows import EVENT_ROWS, RecordedEvent

EVENTS = schema.events
POLL_MAX = 500
GAP_SECS = 20.0
"""How long a missing number is waited for: longer than any transaction may take, so its transaction was rolled back."""
GAPS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Position:
    """How far a reader is. PostgreSQL numbers rows before their commit: a smaller number may appear after a greater."""

    last: int
    gaps: Mapping[int, float]  # numbers below `last` that may still come, and until when, in seconds of `now`


def newest(tx: Transaction) -> Position:
    """The position after the newest recorded event."""
    return Position(tx.execute(select(func.coalesce(func.max(EVENTS.c.seq), 0))).scalar_one(), {})


def following(tx: Transaction, position: Position, *, now: float) -> tuple[list[RecordedEvent], Position]:
    """The events recorded after `position`, by number, at most POLL_MAX; and the position after them.

    `now` is the reader's monotonic clock in seconds: setting the wall clock must not change how long a gap is open.
    """
    open_gaps = {seq: until for seq, until in position.gaps.items() if until > now}
    wanted = or_(EVENTS.c.seq > position.last, EVENTS.c.seq.in_(list(open_gaps)))
    found = EVENT_ROWS.all(tx, EVENT_ROWS.select(wanted).order_by(EVENTS.c.seq).limit(POLL_MAX))
    last = max([position.last, *(row.seq for row in found)])
    seen = {row.seq for row in found}
    first_new = max(position.last + 1, last - GAPS_MAX)
    gaps = open_gaps | dict.fromkeys(range(first_new, last), now + GAP_SECS)
    left = [(seq, until) for seq, until in gaps.items() if seq not in seen]
    return found, Position(last, dict(left[-GAPS_MAX:]))
