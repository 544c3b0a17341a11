"""The owner of each stream id in a session, for all processes. The SDK finds streams by these ids."""

from datetime import datetime

from sqlalchemy import delete, func, select

from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent

STREAMS = schema.room_streams
PARTICIPANTS = schema.room_participants
OF_ONE_MAX = 1024
"""Ids of one participant that are kept, the latest ones. The SDK chooses a new one for each stream that it adds."""


def claim(tx: Transaction, participant_id: str, stream_id: str, *, now: datetime) -> bool:
    """Make a participant the owner of an id in its session; False: it has another owner, or the participant left."""
    here = (PARTICIPANTS.c.id == participant_id) & PARTICIPANTS.c.left_at.is_(None)
    session_id = tx.execute(select(PARTICIPANTS.c.session_id).where(here)).scalar_one_or_none()
    if session_id is None:
        return False
    values = {"session_id": session_id, "stream_id": stream_id}
    if insert_if_absent(tx, STREAMS, participant_id=participant_id, claimed_at=now, **values):
        _keep_latest(tx, participant_id)
        return True
    this = (STREAMS.c.session_id == session_id) & (STREAMS.c.stream_id == stream_id)
    owner: str | None = tx.execute(select(STREAMS.c.participant_id).where(this)).scalar_one_or_none()
    return owner == participant_id


def release(tx: Transaction, participant_id: str) -> None:
    """Free the ids of a participant that has left."""
    tx.execute(delete(STREAMS).where(STREAMS.c.participant_id == participant_id))


def _keep_latest(tx: Transaction, participant_id: str) -> None:
    theirs = STREAMS.c.participant_id == participant_id
    if tx.execute(select(func.count()).select_from(STREAMS).where(theirs)).scalar_one() > OF_ONE_MAX:
        oldest = select(func.min(STREAMS.c.claimed_at)).where(theirs).scalar_subquery()
        tx.execute(delete(STREAMS).where(theirs, STREAMS.c.claimed_at == oldest))
