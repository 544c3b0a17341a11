"""Deliveries of events to developers' webhooks: an outbox whose rows are made with the facts and worked off later."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from sqlalchemy import Row, Select, and_, bindparam, exists, func, or_, select

from portico.core.errors import NotFound
from portico.core.events import CompositionCompleted, CompositionFailed
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.schema import Instant
from portico.db.statements import insert_if_absent
from portico.db.wakeup import announce

DELIVERIES = schema.webhook_deliveries
ATTEMPTS = schema.webhook_attempts
PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
LEASE = timedelta(seconds=10)
"""Added to the time that two attempts may take; a claimed delivery is tried again by whoever comes after that."""
TIMEOUT_SECS = 2
"""How long an attempt may take when the room does not say (contract section 6.4)."""
CLAIM_MAX = 200
_OF_COMPOSITIONS = (CompositionCompleted.event_type, CompositionFailed.event_type)

# Built once: on the way of every event, building a statement would cost as much as running it.
_ROOM = schema.rooms.c
_DESTINATION = select(_ROOM.webhook_event_url, _ROOM.webhook_event_failover_url, _ROOM.webhook_timeout_secs).where(
    _ROOM.id == bindparam("room")
)
_INSERT_DELIVERY = DELIVERIES.insert()
_COUNT_ATTEMPT = (
    DELIVERIES.update()
    .where(DELIVERIES.c.id == bindparam("delivery"))
    .values(
        attempts=bindparam("number"), started_at=func.coalesce(DELIVERIES.c.started_at, bindparam("at", type_=Instant))
    )
)
_CONCLUDE = (
    DELIVERIES.update()
    .where(
        DELIVERIES.c.id == bindparam("delivery"),
        DELIVERIES.c.first_at == func.coalesce(bindparam("since", type_=Instant), DELIVERIES.c.first_at),
    )
    .values(
        rounds=DELIVERIES.c.rounds + 1,
        leased_until=None,
        status=bindparam("new_status"),
        due_at=bindparam("due"),
        finished_at=bindparam("finished"),
    )
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an event goes. Without a primary URL it goes nowhere."""

    webhook_event_url: str | None
    webhook_event_failover_url: str
    webhook_timeout_secs: int | None


def enqueue(
    tx: Transaction,
    account_id: str,
    room_id: str,
    event_type: str,
    data: str,
    now: datetime,
    destination: Destination | None = None,
) -> None:
    """Queue an event for `destination`, by default the room's webhook as it is set now; without a URL for nobody."""
    to = destination or tx.execute(_DESTINATION, {"room": room_id}).one()
    if not to.webhook_event_url:
        return
    delivery = {
        "id": str(uuid4()),
        "account_id": account_id,
        "room_id": room_id,
        "event_type": event_type,
        "data": data,
        "url": to.webhook_event_url,
        "failover_url": to.webhook_event_failover_url,
        "timeout_secs": to.webhook_timeout_secs,
        "origin": _origin(to.webhook_event_url),
        "status": PENDING,
        "rounds": 0,
        "attempts": 0,
        "due_at": now,
        "first_at": now,
        "created_at": now,
    }
    tx.execute(_INSERT_DELIVERY, delivery)
    announce(tx, "deliveries")


@dataclass(slots=True)
class Load:
    """What a worker is at: which deliveries, how many to each URL and to each origin, and how many it may have."""

    urls: Counter[str]
    origins: Counter[str]
    url_max: int
    origin_max: int
    ids: set[str] = field(default_factory=set)

    def full_urls(self) -> list[str]:
        """URLs that must not get more."""
        return [url for url, number in self.urls.items() if number >= self.url_max]

    def full_origins(self) -> list[str]:
        """Origins that must not get more."""
        return [origin for origin, number in self.origins.items() if number >= self.origin_max]


def claim(tx: Transaction, load: Load, *, now: datetime, limit: int) -> list[Row[Any]]:
    """Lease up to `limit` due deliveries, in order, that fit beside what the worker is at.

    An event waits until the events before it in its room were tried once; not until they arrived.
    """
    due = _due(load, now).limit(min(limit, CLAIM_MAX)).with_for_update(skip_locked=True, of=DELIVERIES)
    urls, origins = Counter(load.urls), Counter(load.origins)
    claimed = []
    for delivery in tx.execute(due).all():
        is_free = urls[delivery.url] < load.url_max and origins[delivery.origin] < load.origin_max
        # Our own leases may look expired: the clock was moved, or the database kept us waiting.
        if is_free and delivery.id not in load.ids:
            urls[delivery.url] += 1
            origins[delivery.origin] += 1
            claimed.append(delivery)
    by_lease: dict[timedelta, list[str]] = {}
    for delivery in claimed:
        attempts = timedelta(seconds=2 * (delivery.timeout_secs or TIMEOUT_SECS))
        by_lease.setdefault(attempts + LEASE, []).append(delivery.id)
    for lease, ids in by_lease.items():
        tx.execute(DELIVERIES.update().where(DELIVERIES.c.id.in_(ids)).values(leased_until=now + lease))
    return claimed


def release(tx: Transaction, ids: Sequence[str]) -> None:
    """Nobody is at these claimed deliveries after all."""
    tx.execute(DELIVERIES.update().where(DELIVERIES.c.id.in_(ids)).values(leased_until=None))


def release_all(tx: Transaction) -> None:
    """For a process that knows to be the only one: whatever was leased, its holder is gone."""
    leased = DELIVERIES.c.leased_until.is_not(None)
    tx.execute(DELIVERIES.update().where(DELIVERIES.c.status == PENDING, leased).values(leased_until=None))


def next_due_at(tx: Transaction) -> datetime | None:
    """When the next pending delivery wants to be tried; None when there is none."""
    when = select(DELIVERIES.c.due_at).where(DELIVERIES.c.status == PENDING).order_by(DELIVERIES.c.due_at).limit(1)
    due: datetime | None = tx.execute(when).scalar_one_or_none()
    return due


def _due(load: Load, now: datetime) -> Select[Any]:
    earlier = DELIVERIES.alias("earlier")
    held_back = exists().where(
        earlier.c.room_id == DELIVERIES.c.room_id,
        earlier.c.seq < DELIVERIES.c.seq,
        earlier.c.status == PENDING,
        earlier.c.rounds == 0,
    )
    free = or_(DELIVERIES.c.leased_until.is_(None), DELIVERIES.c.leased_until <= now)
    wanted = and_(DELIVERIES.c.status == PENDING, DELIVERIES.c.due_at <= now, free, ~held_back)
    chosen = select(DELIVERIES).where(wanted).order_by(DELIVERIES.c.due_at, DELIVERIES.c.seq)
    if full := load.full_urls():
        chosen = chosen.where(DELIVERIES.c.url.not_in(full))
    if full := load.full_origins():
        chosen = chosen.where(DELIVERIES.c.origin.not_in(full))
    return chosen


def record_attempt(
    tx: Transaction,
    delivery_id: str,
    *,
    number: int,
    url: str,
    started_at: datetime,
    finished_at: datetime,
    delivered: bool,
    status_code: int | None,
    error: str | None,
    request_headers: Mapping[str, str],
    response_headers: Mapping[str, str],
    response_body: str,
) -> None:
    """Log one HTTP request of a delivery."""
    attempt = {
        "delivery_id": delivery_id,
        "number": number,
        "url": url,
        "started_at": started_at,
        "finished_at": finished_at,
        "delivered": delivered,
        "status_code": status_code,
        "error": error,
        "request_headers": dict(request_headers),
        "response_headers": dict(response_headers),
        "response_body": response_body,
    }
    insert_if_absent(tx, ATTEMPTS, **attempt)  # another worker, after our lease, may have used the number
    tx.execute(_COUNT_ATTEMPT, {"delivery": delivery_id, "number": number, "at": started_at})


def conclude_round(
    tx: Transaction,
    delivery_id: str,
    *,
    delivered: bool,
    next_due: datetime | None,
    now: datetime,
    since: datetime | None = None,
) -> None:
    """All URLs were tried: it arrived, or comes again at `next_due`, or has failed for good when that is None.

    Unless a replay was asked for meanwhile, so that `since` is not the delivery's `first_at` any more: that comes next.
    """
    if delivered or next_due is None:
        outcome = {"new_status": DELIVERED if delivered else FAILED, "due": None, "finished": now}
    else:
        outcome = {"new_status": PENDING, "due": next_due, "finished": None}
    if tx.execute(_CONCLUDE, {"delivery": delivery_id, "since": since, **outcome}).rowcount == 0:
        tx.execute(DELIVERIES.update().where(DELIVERIES.c.id == delivery_id).values(leased_until=None))
    announce(tx, "deliveries")  # the room's next event may go now


def replay(tx: Transaction, account_id: str | None, delivery_id: str, *, now: datetime) -> None:
    """Deliver once more, from the first round on, whatever became of it. NotFound when it is not the account's.

    The URLs are those of the room now, if it still has one: a replay is often asked for after they were mended.
    A composition's own URLs cannot change, so its event goes where it went.
    """
    ours = [DELIVERIES.c.id == delivery_id, *([DELIVERIES.c.account_id == account_id] if account_id else [])]
    delivery = tx.execute(select(DELIVERIES).where(*ours).with_for_update()).first()
    if delivery is None:
        raise NotFound
    room = tx.execute(_DESTINATION, {"room": delivery.room_id}).one()
    destination = {}
    if room.webhook_event_url and delivery.event_type not in _OF_COMPOSITIONS:
        destination = {
            "url": room.webhook_event_url,
            "failover_url": room.webhook_event_failover_url,
            "timeout_secs": room.webhook_timeout_secs,
            "origin": _origin(room.webhook_event_url),
        }
    again = {"status": PENDING, "rounds": 0, "due_at": now, "first_at": now, "finished_at": None}
    tx.execute(DELIVERIES.update().where(DELIVERIES.c.id == delivery_id).values(**again, **destination))
    announce(tx, "deliveries")


def sweep(tx: Transaction, *, before: datetime, limit: int = 500) -> int:
    """Forget up to `limit` finished deliveries, and events, older than that; how many. Call again while it is not 0."""
    old = (DELIVERIES.c.created_at < before) & (DELIVERIES.c.status != PENDING)
    deliveries = tx.execute(select(DELIVERIES.c.id).where(old).order_by(DELIVERIES.c.created_at).limit(limit))
    forgotten = [row.id for row in deliveries]
    tx.execute(ATTEMPTS.delete().where(ATTEMPTS.c.delivery_id.in_(forgotten)))
    tx.execute(DELIVERIES.delete().where(DELIVERIES.c.id.in_(forgotten)))
    events = schema.events
    aged = tx.execute(select(events.c.seq).where(events.c.occurred_at < before).order_by(events.c.seq).limit(limit))
    seqs = [row.seq for row in aged]
    tx.execute(events.delete().where(events.c.seq.in_(seqs)))
    return len(forgotten) + len(seqs)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"
