"""Participants: one row for each admitted join, whose id is the one that the browser announced."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portico.core.errors import IdentityTaken, MediaBusy, RoomFull, RoomGone, TokenRevoked
from portico.core.events import ParticipantJoined
from portico.core.tokens import Claims
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import events, media_rooms, sessions, tokens
from portico.services.locks import hold_gateway, lock_room
from portico.services.rows import PARTICIPANT_ROWS, RoomRow
from portico.services.sessions import SERVER_STOPPED

PARTICIPANTS = schema.room_participants


@dataclass(frozen=True, slots=True)
class Joined:
    """The session that an admitted participant is in, and what its gateway needs to know of it."""

    participant_id: str
    session_id: str
    room_id: str
    recorded: bool
    """Whether the session is recorded."""
    max_participants: int
    """max_participants of the room when the participant joined."""


def join(
    tx: Transaction,
    room_id: str,
    participant_id: str,
    context: str | None,
    *,
    gateway_id: str,
    now: datetime,
    grace: timedelta = sessions.GRACE,
    token: Claims | None = None,
    media_room_id: str | None = None,
) -> Joined:
    """Admit a participant, beginning a session if none is active. Raises a JoinRefused and leaves no trace.

    `token` is the one that the browser showed; it may be revoked later. `media_room_id` is the occupation of the room
    in which the browser's media is; None in a process that is alone.
    """
    hold_gateway(tx, gateway_id)
    room = lock_room(tx, room_id)
    if room is None or room.deleted_at is not None:
        raise RoomGone("This room does not exist.")
    if token is not None and tokens.is_revoked(tx, token):
        raise TokenRevoked("The token was revoked.")
    if tx.execute(select(PARTICIPANTS.c.id).where(PARTICIPANTS.c.id == participant_id)).first():
        raise IdentityTaken("A participant with this id has joined before.")
    session = sessions.end_if_stale(tx, sessions.active_of(tx, room_id), now=now, grace=grace)
    if media_room_id is not None and not media_rooms.is_open(tx, media_room_id):
        raise MediaBusy("The media server of this room was lost; try again in a moment.")
    if session is not None and _count(tx, session.id) >= room.max_participants:
        raise RoomFull(f"The room is full: {room.max_participants} participants are in it.")
    if session is not None:
        now = max(now, session.created_at)  # who began it looked at the clock later, and got the lock earlier
    session_id, recorded = sessions.open_or_continue(tx, room, now)
    label = token.permissions.participant if token is not None else None
    try:
        _insert(tx, room, session_id, participant_id, context, gateway_id, now, label)
    except IntegrityError as error:  # joined another room in this very moment: the lock is per room
        raise IdentityTaken("A participant with this id has joined before.") from error
    if token is not None:
        tokens.note_shown(tx, participant_id, token)
    events.record(tx, room.account_id, ParticipantJoined(session_id, room_id, participant_id, context), now)
    return Joined(participant_id, session_id, room_id, recorded, room.max_participants)


def come_back(tx: Transaction, participant_id: str, *, gateway_id: str, now: datetime, grace: timedelta) -> bool:
    """Put a participant back who was connected all the time, but left when its gateway was declared dead.

    It records a join event.

    False when the participant has left for another reason, or cannot: the session is over, or the seat was taken.
    """
    row = tx.execute(select(PARTICIPANTS.c.room_id).where(PARTICIPANTS.c.id == participant_id)).one()
    room = lock_room(tx, row.room_id)
    participant = PARTICIPANT_ROWS.one(tx, PARTICIPANT_ROWS.select(PARTICIPANTS.c.id == participant_id))
    here = PARTICIPANTS.c.id == participant_id
    if participant.left_at is None:
        tx.execute(PARTICIPANTS.update().where(here).values(gateway_id=gateway_id))
        return True
    session = sessions.end_if_stale(tx, sessions.active_of(tx, row.room_id), now=now, grace=grace)
    if room is None or session is None or session.id != participant.session_id or participant.left_reason != "timeout":
        return False
    if _count(tx, session.id) >= room.max_participants:
        return False
    sessions.open_or_continue(tx, room, now)
    present = {"left_at": None, "left_reason": None, "gateway_id": gateway_id, "updated_at": now}
    tx.execute(PARTICIPANTS.update().where(here).values(present))
    joined = ParticipantJoined(session.id, row.room_id, participant_id, participant.context)
    events.record(tx, participant.account_id, joined, now)
    return True


def _insert(
    tx: Transaction,
    room: RoomRow,
    session_id: str,
    participant_id: str,
    context: str | None,
    gateway_id: str,
    now: datetime,
    label: str | None,
) -> None:
    tx.execute(
        PARTICIPANTS.insert().values(
            id=participant_id,
            session_id=session_id,
            room_id=room.id,
            account_id=room.account_id,
            gateway_id=gateway_id,
            context=context,
            label=label,
            joined_at=now,
            updated_at=now,
        )
    )


def leave(tx: Transaction, participant_id: str, reason: str, *, now: datetime, left_at: datetime | None = None) -> bool:
    """Write that a participant left; False if that is written already (by a kick, the end of the session).

    `left_at` is the instant of the leave, if it was earlier than `now`.
    """
    row = tx.execute(select(PARTICIPANTS.c.room_id).where(PARTICIPANTS.c.id == participant_id)).first()
    if row is None:
        return False
    lock_room(tx, row.room_id)
    here = (PARTICIPANTS.c.id == participant_id) & PARTICIPANTS.c.left_at.is_(None)
    participant = PARTICIPANT_ROWS.first(tx, PARTICIPANT_ROWS.select(here))
    if participant is None:
        return False
    sessions.record_left(tx, participant, reason, now, left_at)
    sessions.note_if_empty(tx, participant.session_id, now)
    return True


def hand_over(
    tx: Transaction, room_ids: Iterable[str], node_id: str, but_of: str | None = None, *, now: datetime
) -> None:
    """End the occupations of rooms on a node that stops: a join from now on begins one on another node.

    Their participants leave with `server_stopped`, upon which their gateways close their connections; but not those of
    the gateway `but_of`, which closes them itself.
    """
    for room_id in sorted(room_ids):
        lock_room(tx, room_id)
        if not media_rooms.close_on(tx, node_id, room_id):
            continue
        present = PARTICIPANT_ROWS.select(PARTICIPANTS.c.room_id == room_id, PARTICIPANTS.c.left_at.is_(None))
        for participant in PARTICIPANT_ROWS.all(tx, present):
            if participant.gateway_id != but_of:
                leave(tx, participant.id, SERVER_STOPPED, now=now)


def show_token(tx: Transaction, participant_id: str, token: Claims, *, now: datetime) -> None:
    """Write that a participant has shown another token.

    If the participant was kicked with `revoke`, this token is revoked too. If this token was revoked, the participant
    leaves, as all who had shown it before did.
    """
    this = PARTICIPANTS.c.id == participant_id
    room_id = tx.execute(select(PARTICIPANTS.c.room_id).where(this)).scalar_one()
    lock_room(tx, room_id)
    tokens.note_shown(tx, participant_id, token)
    participant = PARTICIPANT_ROWS.one(tx, PARTICIPANT_ROWS.select(this))
    if participant.left_at is None and tokens.is_revoked(tx, token):
        sessions.record_left(tx, participant, "kicked", now)
        sessions.note_if_empty(tx, participant.session_id, now)
    elif participant.left_reason == "kicked" and tokens.has_revoked(tx, participant_id):
        tokens.revoke_those_of(tx, [participant], now)


def present_in(tx: Transaction, room_id: str) -> set[str]:
    """Ids of the participants who are in the room."""
    session = sessions.active_of(tx, room_id)
    if session is None:
        return set()
    here = (PARTICIPANTS.c.session_id == session.id) & PARTICIPANTS.c.left_at.is_(None)
    return {row.id for row in tx.execute(select(PARTICIPANTS.c.id).where(here))}


def _count(tx: Transaction, session_id: str) -> int:
    present = PARTICIPANTS.c.left_at.is_(None) & (PARTICIPANTS.c.session_id == session_id)
    return tx.execute(select(func.count()).select_from(PARTICIPANTS).where(present)).scalar_one()
