"""Which deliveries may be sent next: their stages, and the choice between accounts, origins and URLs.

A pending delivery is in one stage: `ready` (it may be sent now), `held` (an earlier event of its room was not tried),
`later` (its next round is at due_at) or `leased` (a worker is sending it until leased_until). Only ready ones are in
the index that the choice reads, so that its cost depends on what may be sent and never on what waits.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Select, bindparam, case, exists, func, literal_column, or_, select

from portico.core.webhook import DEFAULT_TIMEOUT_SECS
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.schema import Instant
from portico.db.statements import Prepared
from portico.services.rows import DELIVERY_ROWS, Delivery

DELIVERIES = schema.webhook_deliveries
READY, HELD, LATER, LEASED = "ready", "held", "later", "leased"
LEASE = timedelta(seconds=10)
"""Added to the time that two attempts may take; after it another worker may claim the delivery."""
CLAIM_MAX = 200
OVERDUE_MAX = 500
"""Deliveries that one transaction makes ready."""
_ORIGIN_LENGTH = 300
"""Bytes; more than any host name has."""
_URL_HEAD_LENGTH = 350
"""Characters of up to 4 bytes. An index entry of PostgreSQL holds 2,700 bytes, and rooms of former versions may have
any URL. Those that begin alike share a lane."""
_PAGE = 100
_CURSORS_MAX = 10_000

_ZERO: ColumnElement[int] = literal_column("0")
"""The offset of statements for Prepared: without one, SQLAlchemy adds a parameter for SQLite that Prepared lacks."""

Lane = tuple[str, ...]
"""(), (account,), (account, origin) or (account, origin, URL): each is a part of the one before it."""
_LANE_COLUMNS = (DELIVERIES.c.account_id, DELIVERIES.c.origin, DELIVERIES.c.url_head)


@dataclass(slots=True)
class Load:
    """What a worker is sending, per lane, and how much of it each account, origin and URL may have at once."""

    account_max: int
    origin_max: int
    url_max: int
    ids: set[str] = field(default_factory=set)
    sending: Counter[Lane] = field(default_factory=Counter)
    cursors: dict[Lane, str] = field(default_factory=dict)
    """The part of each lane at which the last choice stopped; the next choice begins after it, in turn."""

    def free(self, lane: Lane) -> int:
        """How many more deliveries may be sent in this lane."""
        return (self.account_max, self.origin_max, self.url_max)[len(lane) - 1] - self.sending[lane]

    def begin(self, delivery: Delivery) -> None:
        """Count a delivery that is being sent from now on."""
        self.ids.add(delivery.id)
        self.sending.update(_lanes(delivery))

    def end(self, delivery: Delivery) -> None:
        """Stop counting a delivery, which is sent."""
        self.ids.discard(delivery.id)
        for lane in _lanes(delivery):
            self.sending[lane] -= 1
            if not self.sending[lane]:
                del self.sending[lane]


@dataclass(frozen=True, slots=True)
class Choice:
    """Ids of deliveries that may be claimed, and of those that have to be made ready first."""

    ready: list[str]
    overdue: list[str]


def new_stage(room_id: ColumnElement[str]) -> ColumnElement[str]:
    """The stage, as SQL, of a delivery that is inserted for this room: ready unless an earlier one was not tried."""
    earlier = DELIVERIES.alias("earlier").c
    return _held_if(exists().where(earlier.room_id == room_id, *_untried(earlier)))


def replayed_stage() -> ColumnElement[str]:
    """The stage, as SQL, of a delivery that begins anew: held by earlier events of its room, as a new one is."""
    earlier = DELIVERIES.alias("earlier").c
    before = earlier.room_id == DELIVERIES.c.room_id, earlier.seq < DELIVERIES.c.seq
    return _held_if(exists().where(*before, *_untried(earlier)))


def advance(tx: Transaction, room_id: str) -> None:
    """Let the room's first event that was not tried yet be sent. The room is locked by the caller."""
    tx.execute(_ADVANCE, {"room": room_id})


def choose(tx: Transaction, load: Load, *, now: datetime, limit: int) -> Choice:
    """Deliveries that fit beside what the worker is sending, in turn between accounts, origins and URLs.

    It only reads: two workers may choose the same ones, and `claim` decides.
    """
    overdue = tx.execute(_OVERDUE, {"now": now, "limit": OVERDUE_MAX + len(load.ids)}).scalars()
    # Leases of our own may look expired: the clock was moved, or the database kept us waiting.
    late = [each for each in overdue if each not in load.ids][:OVERDUE_MAX]
    return Choice(_choose(tx, load, (), min(limit, CLAIM_MAX)), late)


def make_ready(tx: Transaction, ids: Collection[str], *, now: datetime) -> None:
    """Set these overdue deliveries to ready, unless another worker has done so."""
    still = or_(_LATE_LATER, _LATE_LEASED)
    changes = DELIVERIES.update().where(DELIVERIES.c.id.in_(ids), still).values(_UNLEASED)
    tx.execute(changes, {"now": now})


def claim(tx: Transaction, ids: Sequence[str], *, now: datetime) -> list[Delivery]:
    """Lease those of the chosen deliveries that are still ready, longest due first."""
    chosen = DELIVERY_ROWS.select(DELIVERIES.c.id.in_(ids), _IS_READY)
    ordered = chosen.order_by(DELIVERIES.c.due_at, DELIVERIES.c.seq).with_for_update(skip_locked=True)
    claimed = DELIVERY_ROWS.all(tx, ordered)
    by_lease: dict[timedelta, list[str]] = {}
    for delivery in claimed:
        attempts = timedelta(seconds=2 * (delivery.timeout_secs or DEFAULT_TIMEOUT_SECS))
        by_lease.setdefault(attempts + LEASE, []).append(delivery.id)
    for lease, leased in by_lease.items():
        values = {"stage": LEASED, "leased_until": now + lease}
        tx.execute(DELIVERIES.update().where(DELIVERIES.c.id.in_(leased)).values(values))
    return claimed


def release(tx: Transaction, ids: Sequence[str]) -> None:
    """End the leases of claimed deliveries that were not sent: they are ready again."""
    tx.execute(DELIVERIES.update().where(DELIVERIES.c.id.in_(ids), _IS_LEASED).values(_UNLEASED))


def release_all(tx: Transaction) -> None:
    """End all leases. Only for the single process of an installation: their holders have ended."""
    tx.execute(DELIVERIES.update().where(_IS_LEASED).values(_UNLEASED))


def origin_of(url: str) -> str:
    """scheme://host:port of a URL, cut to _ORIGIN_LENGTH bytes."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}".encode()[:_ORIGIN_LENGTH].decode(errors="ignore")


def url_head_of(url: str) -> str:
    """The beginning of a URL, by which deliveries take turns."""
    return url[:_URL_HEAD_LENGTH]


def _choose(tx: Transaction, load: Load, lane: Lane, wanted: int) -> list[str]:
    if len(lane) == len(_LANE_COLUMNS):
        names = {column.name: value for column, value in zip(_LANE_COLUMNS, lane, strict=True)}
        return [row[0] for row in _OF_URL.run(tx, {**names, "limit": wanted})]
    chosen: list[str] = []
    for part in _parts(tx, lane, load.cursors.pop(lane, "")):
        inner = (*lane, part)
        free = min(wanted - len(chosen), load.free(inner))
        if free > 0:
            chosen += _choose(tx, load, inner, free)
        if len(chosen) >= wanted:
            if len(load.cursors) < _CURSORS_MAX:
                load.cursors[lane] = part
            break
    return chosen


def _parts(tx: Transaction, lane: Lane, begin: str) -> Iterator[str]:
    """The parts of a lane with ready deliveries, each once: in order, beginning after `begin`."""
    names = {column.name: value for column, value in zip(_LANE_COLUMNS, lane, strict=False)}
    given: set[str] = set()
    for start in dict.fromkeys((begin, "")):
        after, new = start, None
        while new is None or len(new) == _PAGE:  # fewer: the end, or where the first half began
            page = [row[0] for row in _PARTS[len(lane)].run(tx, {**names, "after": after, "limit": _PAGE})]
            new = [part for part in page if part not in given]
            given.update(new)
            yield from new
            after = page[-1] if page else after


def _next_parts(depth: int) -> Select[Any]:
    """A query of the distinct values of one lane column after a value, which reads one index entry for each."""
    column, fixed = _LANE_COLUMNS[depth], _LANE_COLUMNS[:depth]
    within = [_IS_READY, *(each == bindparam(each.name) for each in fixed)]
    first = select(func.min(column)).where(*within, column > bindparam("after")).scalar_subquery()
    found = select(first.label("part")).cte("found", recursive=True)
    following = select(func.min(column)).where(*within, column > found.c.part).scalar_subquery()
    found = found.union_all(select(following).where(found.c.part.is_not(None)))
    return select(found.c.part).where(found.c.part.is_not(None)).limit(bindparam("limit")).offset(_ZERO)


def _of_url() -> Select[Any]:
    """The ids of ready deliveries to one URL of an account, longest due first."""
    this = [each == bindparam(each.name) for each in _LANE_COLUMNS]
    ordered = select(DELIVERIES.c.id).where(_IS_READY, *this).order_by(DELIVERIES.c.due_at, DELIVERIES.c.seq)
    return ordered.limit(bindparam("limit")).offset(_ZERO)


def _untried(columns: Any) -> list[ColumnElement[bool]]:
    """The condition of the partial index, in its exact form: SQLite uses the index for no other form."""
    return [columns.status == literal_column("'pending'"), columns.rounds == literal_column("0")]


def _held_if(waits: ColumnElement[bool]) -> ColumnElement[str]:
    return case((waits, literal_column(f"'{HELD}'")), else_=literal_column(f"'{READY}'"))


def _stage(name: str) -> ColumnElement[bool]:
    return DELIVERIES.c.stage == literal_column(f"'{name}'")


def _lanes(delivery: Delivery) -> list[Lane]:
    lane = tuple(getattr(delivery, column.name) for column in _LANE_COLUMNS)
    return [lane[:length] for length in range(1, len(lane) + 1)]


_IS_READY = _stage(READY)
_IS_LEASED = _stage(LEASED)
_LATE_LATER = _stage(LATER) & (DELIVERIES.c.due_at <= bindparam("now", type_=Instant))
_LATE_LEASED = _IS_LEASED & (DELIVERIES.c.leased_until <= bindparam("now", type_=Instant))
_OVERDUE = (
    select(DELIVERIES.c.id)
    .where(_LATE_LATER)
    .union_all(select(DELIVERIES.c.id).where(_LATE_LEASED))
    .limit(bindparam("limit"))
    .offset(_ZERO)
)
_FIRST_UNTRIED = select(func.min(DELIVERIES.c.seq)).where(
    DELIVERIES.c.room_id == bindparam("room"), *_untried(DELIVERIES.c)
)
_ADVANCE = (
    DELIVERIES.update().where(_stage(HELD), DELIVERIES.c.seq == _FIRST_UNTRIED.scalar_subquery()).values(stage=READY)
)
_UNLEASED = {"stage": READY, "leased_until": None}
_PARTS = [Prepared(_next_parts(depth)) for depth in range(len(_LANE_COLUMNS))]
_OF_URL = Prepared(_of_url())
