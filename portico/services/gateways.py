"""Gateways: the processes that hold browsers' sockets. One that is not seen for the lease is dead, its people gone."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, select

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
    """Say that the gateway lives; False when it is too late: others may have begun to close its participants' rows."""
    alive = (GATEWAYS.c.id == gateway_id) & (GATEWAYS.c.seen_at > now - LEASE)
    return tx.execute(GATEWAYS.update().where(alive).values(seen_at=now)).rowcount == 1


def retire(tx: Transaction, gateway_id: str, now: datetime) -> None:
    """Delete the gateway's row; participants whose sockets did not close in time leave with `server_stopped`."""
    # Its row first: a join that comes through it at this moment waits for the row, and then finds it gone.
    tx.execute(GATEWAYS.delete().where(GATEWAYS.c.id == gateway_id))
    for participant in _people_of(tx, gateway_id):
        participants.leave(tx, participant.id, "server_stopped", now=now)


def changes(tx: Transaction, gateway_id: str, since: datetime) -> list[Row[Any]]:
    """This gateway's participants whose rows have changed since: who left, why, and who is muted."""
    people = schema.room_participants.c
    wanted = select(people.id, people.left_at, people.left_reason, people.audio_muted)
    return list(tx.execute(wanted.where(people.gateway_id == gateway_id, people.updated_at >= since)))


def sweep_is_due(tx: Transaction, *, now: datetime, grace: timedelta) -> bool:
    """Whether a sweep would find a dead gateway or a session that has been empty for long enough. A read, so cheap."""
    dead = select(GATEWAYS.c.id).where(GATEWAYS.c.seen_at <= now - LEASE).limit(1)
    return tx.execute(dead).first() is not None or sessions.stale_exist(tx, now=now, grace=grace)


def reap(tx: Transaction, *, unseen_since: datetime, limit: int = 500) -> int:
    """Close what dead gateways left behind: their participants left when they were last seen. How many did.

    Call again until it returns 0: one step stays short however many people were lost.
    """
    dead = GATEWAYS.c.seen_at <= unseen_since
    rows = tx.execute(select(GATEWAYS).where(dead).order_by(GATEWAYS.c.id).with_for_update(skip_locked=True)).all()
    closed = 0
    for gateway in rows:
        for participant in _people_of(tx, gateway.id, limit - closed):
            left_at = max(gateway.seen_at, participant.joined_at)
            closed += participants.leave(tx, participant.id, "timeout", now=left_at)
        if closed >= limit or _people_of(tx, gateway.id, 1):
            return max(closed, 1)  # there is more to do
        tx.execute(GATEWAYS.delete().where(GATEWAYS.c.id == gateway.id))
    return closed


def _people_of(tx: Transaction, gateway_id: str, limit: int | None = None) -> list[Row[Any]]:
    present = schema.room_participants.c
    return list(
        tx.execute(
            select(present.id, present.joined_at)
            .where(present.gateway_id == gateway_id, present.left_at.is_(None))
            .order_by(present.room_id, present.id)  # rooms are locked in one order everywhere, so nobody deadlocks
            .limit(limit)
        )
    )
