"""Requests of one gateway that another one pings the sockets of a grant, whose seats may be free (gateway/seats.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portico.db import schema
from portico.db.engine import Transaction
from portico.db.wakeup import announce
from portico.services.locks import lock_room

PARTICIPANTS = schema.room_participants
HELD = schema.participant_tokens


@dataclass(frozen=True, slots=True)
class Pings:
    """What has become of requested pings."""

    is_seat_free: bool
    """Whether a participant has left since."""
    are_waiting: bool
    """Whether a gateway has still to answer."""


def holders_elsewhere(tx: Transaction, room_id: str, grant_id: str, gateway_id: str) -> list[str]:
    """Ids of the participants in the room who have shown a token of this grant, on other gateways than this one."""
    holders = select(HELD.c.participant_id).where(HELD.c.grant_id == grant_id)
    present = (PARTICIPANTS.c.room_id == room_id) & PARTICIPANTS.c.left_at.is_(None)
    elsewhere = present & (PARTICIPANTS.c.gateway_id != gateway_id) & PARTICIPANTS.c.id.in_(holders)
    return [row.id for row in tx.execute(select(PARTICIPANTS.c.id).where(elsewhere))]


def request_pings(tx: Transaction, room_id: str, grant_id: str, gateway_id: str, *, now: datetime) -> list[str]:
    """Request pings of the participants that `holders_elsewhere` finds; their ids."""
    lock_room(tx, room_id)
    ids = holders_elsewhere(tx, room_id, grant_id, gateway_id)
    if ids:
        asked = PARTICIPANTS.update().where(PARTICIPANTS.c.id.in_(ids))
        tx.execute(asked.values(ping_requested_at=now, updated_at=now))
        announce(tx, "participants")
    return ids


def note_answer(tx: Transaction, participant_id: str, requested_at: datetime) -> None:
    """Note that the browser has answered the ping that was requested then."""
    this = (PARTICIPANTS.c.id == participant_id) & (PARTICIPANTS.c.ping_requested_at == requested_at)
    tx.execute(PARTICIPANTS.update().where(this).values(ping_requested_at=None))


def look(tx: Transaction, participant_ids: Sequence[str]) -> Pings:
    """What has become of the pings of these participants."""
    columns = PARTICIPANTS.c.left_at, PARTICIPANTS.c.ping_requested_at
    rows = tx.execute(select(*columns).where(PARTICIPANTS.c.id.in_(participant_ids))).all()
    present = [row for row in rows if row.left_at is None]
    return Pings(len(present) < len(rows), any(row.ping_requested_at is not None for row in present))
