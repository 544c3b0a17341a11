"""Actions of an application on a session and its participants: end, kick, mute.

Only rows change here. The gateway that holds a participant's socket reads them and acts (gateways.changes).
"""

from datetime import datetime

from portico.core.targets import Targets
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.wakeup import announce
from portico.services import clock, sessions, tokens
from portico.services.rows import ParticipantRow, SessionRow

PARTICIPANTS = schema.room_participants


def end(tx: Transaction, account_id: str, session_id: str, *, now: datetime) -> None:
    """End the account's session. Raises NotFound, and SessionOver when it has ended already."""
    sessions.lock_active(tx, session_id, account_id)
    sessions.end(tx, session_id, ended_reason="Ended from API", left_reason="session_ended", now=now)


def kick(
    tx: Transaction, account_id: str, session_id: str, targets: Targets, *, revoke: bool = False, now: datetime
) -> None:
    """Kick participants; with `revoke` their tokens admit no participant any more. Raises as `end` does.

    With `revoke`, participants of the session who have shown one of these tokens are kicked too, also those that
    `targets` leaves out: a shared token is revoked for all who share it.
    """
    session = sessions.lock_active(tx, session_id, account_id)
    kicked = _meant(tx, session, targets)
    if revoke:
        # Not by a clock that has jumped ahead: once it is set right, tokens would be good again.
        tokens.forget_expired(tx, clock.trusted(tx, now))
        tokens.revoke_those_of(tx, kicked, now)
        kicked = [one for one in sessions.present(tx, session.id) if one in kicked or tokens.has_revoked(tx, one.id)]
    for participant in kicked:
        sessions.record_left(tx, participant, "kicked", now)
    if kicked:
        sessions.note_if_empty(tx, session_id, now)


def set_muted(
    tx: Transaction, account_id: str, session_id: str, targets: Targets, *, muted: bool, now: datetime
) -> None:
    """Mute participants, or unmute them, until they leave. Raises as `end` does."""
    session = sessions.lock_active(tx, session_id, account_id)
    for participant in _meant(tx, session, targets):
        if participant.audio_muted is not muted:
            one = PARTICIPANTS.update().where(PARTICIPANTS.c.id == participant.id)
            tx.execute(one.values(audio_muted=muted, updated_at=max(now, participant.updated_at)))
    announce(tx, "participants")


def _meant(tx: Transaction, session: SessionRow, targets: Targets) -> list[ParticipantRow]:
    return [participant for participant in sessions.present(tx, session.id) if targets.include(participant.id)]
