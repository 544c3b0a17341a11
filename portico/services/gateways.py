"""Gateways: the processes that hold browsers' sockets. One that is not seen for the lease is dead, its people gone."""

from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import select

from portico.db import schema
from portico.db.engine import Transaction
from portico.services import participants, sessions

GATEWAYS = schema.gateways
LEASE = timedelta(seconds=15)
BEAT = timedelta(seconds=5)


def register(tx: Transaction, now: datetime) -> str:
    """The id of a gateway that starts now."""
    gateway_id = str(uuid4())
    tx.execute(GATEWAYS.insert().values(id=gateway_id, started_at=now, seen_at=now))
    return gateway_id


def beat(tx: Transaction, gateway_id: str, now: datetime) -> bool:
    """Say that the gateway lives; False when others have declared it dead and closed its participants' rows."""
    moved = tx.execute(GATEWAYS.update().where(GATEWAYS.c.id == gateway_id).values(seen_at=now))
    return moved.rowcount == 1


def retire(tx: Transaction, gateway_id: str) -> None:
    """A gateway that has closed all its sockets goes."""
    tx.execute(GATEWAYS.delete().where(GATEWAYS.c.id == gateway_id))


def sweep_is_due(tx: Transaction, *, now: datetime, grace: timedelta) -> bool:
    """Whether a sweep would find a dead gateway or a session that has been empty for long enough. A read, so cheap."""
    dead = select(GATEWAYS.c.id).where(GATEWAYS.c.seen_at <= now - LEASE).limit(1)
    return tx.execute(dead).first() is not None or sessions.stale_exist(tx, now=now, grace=grace)


def reap(tx: Transaction, *, unseen_since: datetime, limit: int = 500) -> int:
    """Close what dead gateways left behind: their participants left when they were last seen. How many did.

    Call again while it returns `limit`: one step stays short however many people were lost.
    """
    dead = GATEWAYS.c.seen_at <= unseen_since
    rows = tx.execute(select(GATEWAYS).where(dead).order_by(GATEWAYS.c.id).with_for_update(skip_locked=True)).all()
    closed = 0
    present = schema.room_participants.c
    for gateway in rows:
        lost = tx.execute(
            select(present.id, present.joined_at)
            .where(present.gateway_id == gateway.id, present.left_at.is_(None))
            .order_by(present.room_id, present.id)  # rooms are locked in one order everywhere, so nobody deadlocks
            .limit(limit - closed)
        ).all()
        for participant in lost:
            closed += participants.leave(tx, participant.id, "timeout", now=max(gateway.seen_at, participant.joined_at))
        if closed >= limit:
            return closed
        retire(tx, gateway.id)
    return closed
