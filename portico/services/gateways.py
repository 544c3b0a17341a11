"""Gateways: the processes that hold browsers' sockets. Each changes its row every few seconds for as long as it lives.

Gateways observe which others are dead (gateway/lease.py); the functions of this module end what those held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import false, or_, select

from portico.core.errors import JoinRefused, NotFound
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.outage import kept_apart
from portico.runtime.ids import new_id
from portico.services import media_rooms, participants, sessions
from portico.services.rows import CHANGE_ROWS, PARTICIPANT_ROWS, ParticipantChange, ParticipantRow
from portico.services.sessions import SERVER_STOPPED

GATEWAYS = schema.gateways
PARTICIPANTS = schema.room_participants


@dataclass(frozen=True, slots=True)
class Look:
    """What a gateway reads to find dead gateways and sessions to end."""

    others: list[tuple[str, datetime]]
    """Id and seen_at of every gateway but the one that looks."""
    stale_sessions: bool
    """Whether a session has been empty for the grace period."""


def register(tx: Transaction, now: datetime, node_id: str | None = None) -> str:
    """Insert a gateway that starts now; returns its id. `node_id` names the DATA_DIR that its process has locked."""
    gateway_id = new_id()
    tx.execute(GATEWAYS.insert().values(id=gateway_id, node_id=node_id, started_at=now, seen_at=now, dead=False))
    return gateway_id


def beat(tx: Transaction, gateway_id: str, now: datetime) -> bool:
    """Change the gateway's row; False when it was reaped: others have begun to close its participants' rows."""
    alive = (GATEWAYS.c.id == gateway_id) & ~GATEWAYS.c.dead
    return tx.execute(GATEWAYS.update().where(alive).values(seen_at=now)).rowcount == 1


def retire(tx: Transaction, gateway_id: str, now: datetime) -> None:
    """Delete the gateway's row; participants whose sockets did not close in time leave with `server_stopped`."""
    # Its row first: a join that comes through it at this moment waits for the row, and then finds it gone.
    tx.execute(GATEWAYS.delete().where(GATEWAYS.c.id == gateway_id))
    for participant in _present_on(tx, gateway_id):
        participants.leave(tx, participant.id, SERVER_STOPPED, now=now)
    media_rooms.leave_all(tx, gateway_id)


def changes(tx: Transaction, gateway_id: str, since: datetime) -> list[ParticipantChange]:
    """The changed rows of this gateway's participants: which have left, why, and which are muted."""
    changed = (PARTICIPANTS.c.gateway_id == gateway_id) & (PARTICIPANTS.c.updated_at >= since)
    return CHANGE_ROWS.all(tx, CHANGE_ROWS.select(changed))


def look(tx: Transaction, gateway_id: str, *, now: datetime, grace: timedelta) -> Look:
    """Read the facts on which a gateway acts: other gateways, and stale sessions. It writes nothing."""
    rows = tx.execute(select(GATEWAYS.c.id, GATEWAYS.c.seen_at).where(GATEWAYS.c.id != gateway_id)).all()
    return Look([(row.id, row.seen_at) for row in rows], sessions.stale_exist(tx, now=now, grace=grace))


def all_gateways(tx: Transaction) -> dict[str, datetime]:
    """All gateways by id, with their seen_at: for a process that knows them to be dead."""
    return {row.id: row.seen_at for row in tx.execute(select(GATEWAYS.c.id, GATEWAYS.c.seen_at))}


def of_node(tx: Transaction, node_id: str) -> dict[str, datetime]:
    """The gateways of this DATA_DIR by id, with their seen_at: dead, for the process that has it locked now."""
    rows = tx.execute(select(GATEWAYS.c.id, GATEWAYS.c.seen_at).where(GATEWAYS.c.node_id == node_id))
    return {row.id: row.seen_at for row in rows}


def reap(tx: Transaction, dead: Mapping[str, datetime], *, now: datetime, limit: int = 500) -> int:
    """Write that the participants of dead gateways left when those were last seen; returns their number.

    `dead` has the seen_at that each died with: one that has changed its row since is left alone. Call again until it
    returns 0: one step stays short however many participants were lost. A participant whose leave fails stays, with
    the row of the gateway, and does not keep the others.
    """
    died = or_(false(), *(((GATEWAYS.c.id == id_) & (GATEWAYS.c.seen_at == seen)) for id_, seen in dead.items()))
    wanted = or_(died, GATEWAYS.c.dead)
    rows = tx.execute(select(GATEWAYS).where(wanted).order_by(GATEWAYS.c.id).with_for_update(skip_locked=True)).all()
    # Between two steps it may come back to life: it has to find out that rows of its participants are closed.
    tx.execute(GATEWAYS.update().where(GATEWAYS.c.id.in_([row.id for row in rows])).values(dead=True))
    closed = 0
    for gateway in rows:
        for participant in _present_on(tx, gateway.id):
            if closed >= limit:
                return closed  # there is more to do
            left_at = max(gateway.seen_at, participant.joined_at)
            with kept_apart(tx, "leave not written", participant_id=participant.id):
                closed += participants.leave(tx, participant.id, "timeout", now=now, left_at=left_at)
        if not _present_on(tx, gateway.id, 1):
            media_rooms.leave_all(tx, gateway.id)
            tx.execute(GATEWAYS.delete().where(GATEWAYS.c.id == gateway.id))
    return closed


def take_back(
    tx: Transaction, gateway_id: str, participant_ids: Sequence[str], *, now: datetime, grace: timedelta
) -> list[str]:
    """Put participants who are still connected back where they were reaped from, on a gateway registered anew.

    A participant stays out whose session has ended, or whose seat is taken. Returns the ids of those who are in. Their
    rows and events say that they left and joined again.
    """
    wanted = select(PARTICIPANTS).where(PARTICIPANTS.c.id.in_(participant_ids))
    back = []
    for participant in tx.execute(wanted.order_by(PARTICIPANTS.c.room_id, PARTICIPANTS.c.id)).all():
        try:
            if participants.come_back(tx, participant.id, gateway_id=gateway_id, now=now, grace=grace):
                back.append(participant.id)
        except (JoinRefused, NotFound):
            continue
    return back


def _present_on(tx: Transaction, gateway_id: str, limit: int | None = None) -> list[ParticipantRow]:
    """The gateway's participants, in the order in which rooms are locked everywhere."""
    present = (PARTICIPANTS.c.gateway_id == gateway_id) & PARTICIPANTS.c.left_at.is_(None)
    ordered = PARTICIPANT_ROWS.select(present).order_by(PARTICIPANTS.c.room_id, PARTICIPANTS.c.id)
    return PARTICIPANT_ROWS.all(tx, ordered.limit(limit))
