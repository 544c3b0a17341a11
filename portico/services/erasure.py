"""Erases the personal data of one participant wherever it is kept. The row of the stay remains."""

import json
from datetime import datetime, timedelta

from sqlalchemy import case, select

from portico.core.errors import Fault, Invalid, NotFound
from portico.core.events import ParticipantJoined, ParticipantLeft
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import compositions, recordings, webhooks
from portico.services.locks import lock_room
from portico.services.rows import PARTICIPANT_ROWS, ParticipantRow

PARTICIPANTS = schema.room_participants
TOKENS = schema.participant_tokens
EVENTS = schema.events
DELIVERIES = schema.webhook_deliveries
ATTEMPTS = schema.webhook_attempts
CLOCKS_DIFFER = timedelta(hours=1)
"""How far the clocks of two processes may differ: events are dated by the process that recorded them."""
_WITH_CONTEXT = (ParticipantJoined.event_type, ParticipantLeft.event_type)


def erase(
    tx: Transaction, account_id: str | None, participant_id: str, *, keep_recordings: bool = False, now: datetime
) -> None:
    """Erase context and label of a participant, in the log of events and webhooks too, and what was recorded.

    Recordings of the participant are deleted, and all compositions of the session, because they may contain
    the participant; with `keep_recordings` both stay. `account_id` is None on the command line. Raises NotFound, and
    Invalid while the participant is in the session. Doing it again changes nothing.
    """
    participant = _locked(tx, account_id, participant_id)
    if participant.left_at is None:
        detail = "The participant is in the session: their data can be erased once they have left."
        raise Invalid(Fault("10027", "Unprocessable Entity", detail))
    if not keep_recordings:
        recordings.delete_of_participant(tx, participant_id, now=now)
        compositions.delete_of_session(tx, participant.session_id, now=now)
    first = _erase_events(tx, participant)
    _erase_deliveries(tx, participant, first)
    tx.execute(TOKENS.delete().where(TOKENS.c.participant_id == participant_id))
    erased = {"context": None, "label": None, "updated_at": max(now, participant.updated_at)}
    tx.execute(PARTICIPANTS.update().where(PARTICIPANTS.c.id == participant_id).values(**erased))


def _locked(tx: Transaction, account_id: str | None, participant_id: str) -> ParticipantRow:
    """Lock the room, then the participant, and return the participant. Raises NotFound and Invalid as `erase` does."""
    this = PARTICIPANTS.c.id == participant_id
    found = tx.execute(select(PARTICIPANTS.c.room_id, PARTICIPANTS.c.account_id).where(this)).first()
    if found is None or account_id not in (None, found.account_id):
        raise NotFound
    lock_room(tx, found.room_id)
    return PARTICIPANT_ROWS.one(tx, PARTICIPANT_ROWS.select(this))


def _erase_events(tx: Transaction, participant: ParticipantRow) -> datetime:
    """Erase the participant's events; returns the instant of the earliest, or of the join if that is earlier."""
    about = EVENTS.c.payload["participant_id"].as_string() == participant.id
    named = EVENTS.c.event_type.in_(_WITH_CONTEXT) & (EVENTS.c.room_id == participant.room_id)
    found = tx.execute(select(EVENTS.c.seq, EVENTS.c.payload, EVENTS.c.occurred_at).where(named, about)).all()
    for event in found:
        erased = {**event.payload, "context": None}
        tx.execute(EVENTS.update().where(EVENTS.c.seq == event.seq).values(payload=erased))
    earliest: datetime = min([participant.joined_at, *(event.occurred_at for event in found)])
    return earliest


def _erase_deliveries(tx: Transaction, participant: ParticipantRow, first: datetime) -> None:
    """Erase the participant's data in deliveries, and the answers of receivers, who may have repeated them.

    A request that is under way is not stopped, and nothing of its answer is kept (webhooks.record_attempt).
    """
    named = DELIVERIES.c.event_type.in_(_WITH_CONTEXT) & (DELIVERIES.c.room_id == participant.room_id)
    about = DELIVERIES.c.data.contains(participant.id, autoescape=True)
    # For the index. The row was last changed when the leave was found out, which may be long after it.
    made_at = DELIVERIES.c.created_at
    during = [made_at >= first - CLOCKS_DIFFER, made_at <= participant.updated_at + CLOCKS_DIFFER]
    account = DELIVERIES.c.account_id == participant.account_id
    found = select(DELIVERIES.c.id, DELIVERIES.c.data).where(account, named, *during, about)
    for delivery in tx.execute(found).all():
        data = json.loads(delivery.data)
        data["payload"]["context"] = None
        text = json.dumps(data, separators=(",", ":"))
        tx.execute(DELIVERIES.update().where(DELIVERIES.c.id == delivery.id).values(data=text))
        quoted = ATTEMPTS.c.status_code.is_(None) & ATTEMPTS.c.error.is_not(None)
        error = case((quoted, webhooks.ERASED), else_=ATTEMPTS.c.error)
        answers = ATTEMPTS.update().where(ATTEMPTS.c.delivery_id == delivery.id)
        tx.execute(answers.values(response_body="", response_headers={}, error=error))
