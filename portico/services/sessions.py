"""Sessions: one occurrence of a room, from the first admitted participant until all have left or it is ended."""

from datetime import datetime, timedelta

from sqlalchemy import func, select

from portico.core.errors import NotFound, SessionOver
from portico.core.events import ParticipantLeft, SessionEnded, SessionStarted, whole_seconds
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.outage import kept_apart
from portico.db.wakeup import announce
from portico.runtime.ids import new_id
from portico.services import events, jobs, recordings, room_streams
from portico.services.locks import lock_room
from portico.services.rows import PARTICIPANT_ROWS, SESSION_ROWS, ParticipantRow, RoomRow, SessionRow

SESSIONS = schema.room_sessions
PARTICIPANTS = schema.room_participants
MEDIA_LOST = "media_lost"
"""left_reason of participants whose media server was lost: their clients join again."""
SERVER_STOPPED = "server_stopped"
"""left_reason of participants whose server, or media server, was stopped: their clients join again."""
GRACE = timedelta(seconds=5)
"""How long an empty session waits for a participant, unless a setting says otherwise."""


def active_of(tx: Transaction, room_id: str) -> SessionRow | None:
    """The room's one active session."""
    return SESSION_ROWS.first(tx, SESSION_ROWS.select(SESSIONS.c.room_id == room_id, SESSIONS.c.active))


def find(tx: Transaction, session_id: str) -> SessionRow | None:
    """The session of any account; None when there is none (any more)."""
    return SESSION_ROWS.first(tx, SESSION_ROWS.select(SESSIONS.c.id == session_id))


def open_or_continue(tx: Transaction, room: RoomRow, now: datetime) -> tuple[str, bool]:
    """The room's active session, which begins now if there is none: its id, and whether it is recorded.

    The room is locked by the caller. Whether to record is settled when a session begins.
    """
    session = active_of(tx, room.id)
    if session is not None:
        if session.empty_at is not None:
            tx.execute(SESSIONS.update().where(SESSIONS.c.id == session.id).values(empty_at=None))
        return str(session.id), session.recording
    session_id = new_id()
    tx.execute(
        SESSIONS.insert().values(
            id=session_id,
            room_id=room.id,
            account_id=room.account_id,
            active=True,
            recording=room.enable_recording,
            created_at=now,
            updated_at=now,
        )
    )
    events.record(tx, room.account_id, SessionStarted(session_id, room.id), now)
    return session_id, room.enable_recording


def note_if_empty(tx: Transaction, session_id: str, now: datetime) -> None:
    """Start the grace period of a session without participants, after a leave written at `now`, from the last leave."""
    if not present(tx, session_id):
        # A leave that is found out late need not be the last one.
        last = tx.execute(select(func.max(PARTICIPANTS.c.left_at)).where(PARTICIPANTS.c.session_id == session_id))
        # A leave in the future means that the clock was set back after the join; nothing is to wait until then.
        now = min(last.scalar_one() or now, now)
        tx.execute(
            SESSIONS.update()
            .where(SESSIONS.c.id == session_id, SESSIONS.c.active, SESSIONS.c.empty_at.is_(None))
            .values(empty_at=now)
        )


def lock_active(tx: Transaction, session_id: str, account_id: str | None = None) -> SessionRow:
    """Lock the room of an active session, and return the session. Raises NotFound, or SessionOver if it has ended."""
    row = tx.execute(select(SESSIONS.c.room_id, SESSIONS.c.account_id).where(SESSIONS.c.id == session_id)).first()
    if row is None or account_id not in (None, row.account_id):
        raise NotFound
    lock_room(tx, row.room_id)
    session = SESSION_ROWS.one(tx, SESSION_ROWS.select(SESSIONS.c.id == session_id))
    if not session.active:
        raise SessionOver
    return session


def end(
    tx: Transaction,
    session_id: str,
    *,
    ended_reason: str,
    left_reason: str,
    now: datetime,
    ended_at: datetime | None = None,
) -> None:
    """End an active session: all its participants leave. NotFound when unknown, SessionOver when it has ended.

    It ends at `ended_at`, which is `now` unless it has been empty for a while.
    """
    session = lock_active(tx, session_id)
    participants = present(tx, session_id)
    # As in record_left: nothing ends before it began.
    ended_at = max(ended_at or now, session.created_at, *(participant.joined_at for participant in participants))
    for participant in participants:
        record_left(tx, participant, left_reason, now, ended_at)
    tx.execute(
        SESSIONS.update()
        .where(SESSIONS.c.id == session_id)
        .values(
            active=False, ended_at=ended_at, ended_reason=ended_reason, empty_at=None, updated_at=max(now, ended_at)
        )
    )
    duration = whole_seconds(session.created_at, ended_at)
    ended = SessionEnded(session_id, session.room_id, duration, ended_reason)
    events.record(tx, session.account_id, ended, now, occurred_at=ended_at)
    jobs.wake(tx, session_id)  # compositions of the session


def end_stale(tx: Transaction, *, now: datetime, grace: timedelta, limit: int = 100) -> list[str]:
    """End up to `limit` sessions that have been empty for the grace period; the ids of their rooms."""
    due = select(SESSIONS.c.room_id).where(SESSIONS.c.active, SESSIONS.c.empty_at <= now - grace)
    rooms = []
    for (room_id,) in tx.execute(due.order_by(SESSIONS.c.room_id).limit(limit)).all():
        with kept_apart(tx, "stale session not ended", room_id=room_id):
            lock_room(tx, room_id)
            # A participant may have come back, or the session have ended, while we waited for the lock.
            session = active_of(tx, room_id)
            if session is not None and end_if_stale(tx, session, now=now, grace=grace) is None:
                rooms.append(room_id)
    return rooms


def end_if_stale(tx: Transaction, session: SessionRow | None, *, now: datetime, grace: timedelta) -> SessionRow | None:
    """End the session if it has been empty for the grace period: then None, else the session. The room is locked."""
    if session is None or session.empty_at is None or session.empty_at > now - grace:
        return session
    # It ended when it became empty, however much later that is noticed: the server may have been down for a day.
    end(tx, session.id, ended_reason="stale", left_reason="left", now=now, ended_at=session.empty_at)
    return None


def end_all_in(tx: Transaction, room_ids: list[str], *, ended_reason: str, now: datetime) -> int:
    """End the active sessions of these rooms, whose media was lost; how many there were."""
    ended = 0
    for room_id in sorted(room_ids):  # rooms are locked in one order everywhere, so that no two deadlock
        with kept_apart(tx, "session not ended", room_id=room_id):
            lock_room(tx, room_id)
            session = active_of(tx, room_id)
            if session is not None:
                end(tx, session.id, ended_reason=ended_reason, left_reason=MEDIA_LOST, now=now)
                ended += 1
    return ended


def stale_exist(tx: Transaction, *, now: datetime, grace: timedelta) -> bool:
    """Whether a session has been empty for the grace period, so that end_stale would end it."""
    due = SESSIONS.c.active & (SESSIONS.c.empty_at <= now - grace)
    return tx.execute(select(SESSIONS.c.id).where(due).limit(1)).first() is not None


def record_left(
    tx: Transaction, participant: ParticipantRow, reason: str, now: datetime, left_at: datetime | None = None
) -> None:
    """Write that a participant who is present leaves, and the event. The room is locked by the caller.

    They left at `left_at`, which is `now` unless it is found out later.
    """
    # `now` was read before the lock was taken; a participant who joined meanwhile did not leave before joining.
    left_at = max(left_at or now, participant.joined_at)
    now = max(now, left_at)
    tx.execute(
        PARTICIPANTS.update()
        .where(PARTICIPANTS.c.id == participant.id)
        .values(left_at=left_at, left_reason=reason, updated_at=now)
    )
    recordings.end_of_participant(tx, participant.id, left_at)
    room_streams.release(tx, participant.id)
    left = ParticipantLeft(
        participant.session_id,
        participant.room_id,
        participant.id,
        participant.context,
        whole_seconds(participant.joined_at, left_at),
        reason,
    )
    events.record(tx, participant.account_id, left, now, occurred_at=left_at)
    announce(tx, "participants")  # whose socket may be open still


def present(tx: Transaction, session_id: str) -> list[ParticipantRow]:
    """The participants who are in a session now, longest first."""
    here = PARTICIPANTS.c.left_at.is_(None) & (PARTICIPANTS.c.session_id == session_id)
    ordered = PARTICIPANT_ROWS.select(here).order_by(PARTICIPANTS.c.joined_at, PARTICIPANTS.c.id)
    return PARTICIPANT_ROWS.all(tx, ordered)
