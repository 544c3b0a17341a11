"""Deliveries of events to developers' webhooks: an outbox whose rows are made with the facts and worked off later."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, case, func, select

from portico.core.errors import NotFound
from portico.core.events import CompositionCompleted, CompositionFailed
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.schema import Instant
from portico.db.statements import insert_if_absent
from portico.db.wakeup import announce
from portico.runtime.ids import new_id
from portico.services import webhook_queue
from portico.services.webhook_queue import LATER, LEASED

DELIVERIES = schema.webhook_deliveries
ATTEMPTS = schema.webhook_attempts
PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
ERASED = "erased"
"""The error of an attempt after an erasure: the original may quote the receiver's answer."""
_OF_COMPOSITIONS = (CompositionCompleted.event_type, CompositionFailed.event_type)

# Built once: on the way of every event, building a statement would cost as much as running it.
_ROOM = schema.rooms.c
# Locks the room: which of its events is the first that was not tried changes under this lock only. It is weaker than
# the one of lock_room, so that rows which refer to the room may be inserted meanwhile.
_DESTINATION = (
    select(_ROOM.webhook_event_url, _ROOM.webhook_event_failover_url, _ROOM.webhook_timeout_secs)
    .where(_ROOM.id == bindparam("room"))
    .with_for_update(key_share=True)
)
_ROOM_OF_DELIVERY = (
    select(_ROOM.id)
    .where(_ROOM.id == select(DELIVERIES.c.room_id).where(DELIVERIES.c.id == bindparam("delivery")).scalar_subquery())
    .with_for_update(key_share=True)
)
_DATA = select(DELIVERIES.c.data).where(DELIVERIES.c.id == bindparam("delivery"))
_INSERT_DELIVERY = DELIVERIES.insert().values(stage=webhook_queue.new_stage(bindparam("of_room")))
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
        # Null-safe: due_at of a finished delivery is NULL.
        DELIVERIES.c.due_at.is_not_distinct_from(func.coalesce(bindparam("since", type_=Instant), DELIVERIES.c.due_at)),
    )
    .values(
        rounds=DELIVERIES.c.rounds + 1,
        leased_until=None,
        status=bindparam("new_status"),
        stage=bindparam("new_stage"),
        due_at=bindparam("due"),
        finished_at=bindparam("finished"),
    )
)
_BEGIN_ANEW = (
    DELIVERIES.update()
    .where(DELIVERIES.c.id == bindparam("delivery"), DELIVERIES.c.stage == LEASED)
    .values(leased_until=None, stage=webhook_queue.replayed_stage())
)


@dataclass(frozen=True, slots=True)
class Destination:
    """The URLs that an event is sent to. Without a primary URL it is not sent."""

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
    """Queue an event for `destination`, by default the room's webhook as it is set now. Without a URL do nothing."""
    room = tx.execute(_DESTINATION, {"room": room_id}).one()
    to = destination or room
    if not to.webhook_event_url:
        return
    delivery = {
        "id": new_id(),
        "account_id": account_id,
        "room_id": room_id,
        "event_type": event_type,
        "data": data,
        "url": to.webhook_event_url,
        "failover_url": to.webhook_event_failover_url,
        "timeout_secs": to.webhook_timeout_secs,
        "origin": webhook_queue.origin_of(to.webhook_event_url),
        "url_head": webhook_queue.url_head_of(to.webhook_event_url),
        "status": PENDING,
        "rounds": 0,
        "attempts": 0,
        "due_at": now,
        "first_at": now,
        "created_at": now,
    }
    tx.execute(_INSERT_DELIVERY, delivery | {"of_room": room_id})
    announce(tx, "deliveries")


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
    sent: str | None = None,
) -> str | None:
    """Log one HTTP request of a delivery. Returns the delivery's data as they are now; None when it is deleted.

    `sent` are the data that the request had. When they have been erased since (services/erasure.py), nothing of the
    answer is kept, because a receiver may repeat what it was sent.
    """
    tx.execute(_ROOM_OF_DELIVERY, {"delivery": delivery_id})  # an erasure locks the room first, too
    data: str | None = tx.execute(_DATA, {"delivery": delivery_id}).scalar_one_or_none()
    if data is None:
        return None
    if sent not in (None, data):
        error = error if status_code is not None or error is None else ERASED
        response_headers, response_body = {}, ""
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
    return data


def first_at(tx: Transaction, delivery_id: str) -> datetime:
    """The begin of a delivery's retries, read from the row again: the clock may have been set since the claim."""
    first: datetime = tx.execute(select(DELIVERIES.c.first_at).where(DELIVERIES.c.id == delivery_id)).scalar_one()
    return first


def conclude_round(
    tx: Transaction,
    delivery_id: str,
    *,
    delivered: bool,
    next_due: datetime | None,
    now: datetime,
    since: datetime | None = None,
) -> None:
    """Write the outcome of a round: delivered, to be tried again at `next_due`, or failed if that is None.

    `since` is `due_at` as it was claimed; None concludes whatever the row says. When `due_at` has changed since, the
    round counts for nothing: a replay that was asked for meanwhile comes next, and the outcome of another worker, which
    claimed the delivery after our lease, stays.
    """
    room_id = tx.execute(_ROOM_OF_DELIVERY, {"delivery": delivery_id}).scalar_one()
    if delivered or next_due is None:
        status = DELIVERED if delivered else FAILED
        outcome = {"new_status": status, "new_stage": None, "due": None, "finished": now}
    else:
        outcome = {"new_status": PENDING, "new_stage": LATER, "due": next_due, "finished": None}
    if tx.execute(_CONCLUDE, {"delivery": delivery_id, "since": since, **outcome}).rowcount == 0:
        tx.execute(_BEGIN_ANEW, {"delivery": delivery_id})
    webhook_queue.advance(tx, room_id)
    announce(tx, "deliveries")  # the room's next event may go now


def replay(tx: Transaction, account_id: str | None, delivery_id: str, *, now: datetime) -> None:
    """Queue a delivery of any status again, from its first round on. Raises NotFound if it is not the account's.

    The URLs are those of the room now, if it still has one: a replay is often asked for after they were mended.
    A composition's own URLs cannot change, so its event goes where it went.
    """
    ours = [DELIVERIES.c.id == delivery_id, *([DELIVERIES.c.account_id == account_id] if account_id else [])]
    room_id = tx.execute(select(DELIVERIES.c.room_id).where(*ours)).scalar_one_or_none()
    if room_id is None:
        raise NotFound
    room = tx.execute(_DESTINATION, {"room": room_id}).one()
    delivery = tx.execute(select(DELIVERIES).where(*ours).with_for_update()).one()
    destination = {}
    if room.webhook_event_url and delivery.event_type not in _OF_COMPOSITIONS:
        destination = {
            "url": room.webhook_event_url,
            "failover_url": room.webhook_event_failover_url,
            "timeout_secs": room.webhook_timeout_secs,
            "origin": webhook_queue.origin_of(room.webhook_event_url),
            "url_head": webhook_queue.url_head_of(room.webhook_event_url),
        }
    again = {"status": PENDING, "rounds": 0, "due_at": now, "first_at": now, "finished_at": None}
    # While a worker is sending it, the replay comes after that (conclude_round).
    stage = case((DELIVERIES.c.stage == LEASED, DELIVERIES.c.stage), else_=webhook_queue.replayed_stage())
    tx.execute(DELIVERIES.update().where(DELIVERIES.c.id == delivery_id).values(stage=stage, **again, **destination))
    announce(tx, "deliveries")


def sweep(tx: Transaction, *, before: datetime, limit: int = 500) -> int:
    """Delete up to `limit` finished deliveries and events older than `before`; the number. Call again until it is 0."""
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
