"""Deletes old rows: ended sessions with their participants, and entries of the audit log."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, exists, select

from portico.db import schema
from portico.db.engine import Transaction

SESSIONS = schema.room_sessions
PARTICIPANTS = schema.room_participants
TOKENS = schema.participant_tokens
AUDIT = schema.audit_events
SESSIONS_AT_ONCE = 100
ROWS_AT_ONCE = 500
"""The most rows of one transaction, for which all other writes wait on SQLite."""


def old_sessions(tx: Transaction, *, before: datetime, limit: int = SESSIONS_AT_ONCE) -> list[str]:
    """The ids of sessions that ended before `before` and have no recording or composition left; oldest first."""
    chosen = select(SESSIONS.c.id).where(*_is_forgettable(before)).order_by(SESSIONS.c.ended_at).limit(limit)
    return [row.id for row in tx.execute(chosen)]


def forget_sessions(tx: Transaction, session_ids: Sequence[str], *, before: datetime, limit: int = ROWS_AT_ONCE) -> int:
    """Delete up to `limit` participants of these sessions, and sessions without any; returns the number of rows.

    Call again until it returns 0. A session of which a composition was requested meanwhile stays.
    """
    still = select(SESSIONS.c.id).where(SESSIONS.c.id.in_(session_ids), *_is_forgettable(before))
    ids = [row.id for row in tx.execute(still.order_by(SESSIONS.c.id).with_for_update())]
    found = tx.execute(select(PARTICIPANTS.c.id).where(PARTICIPANTS.c.session_id.in_(ids)).limit(limit))
    participant_ids = [row.id for row in found]
    if participant_ids:
        tx.execute(TOKENS.delete().where(TOKENS.c.participant_id.in_(participant_ids)))
        return tx.execute(PARTICIPANTS.delete().where(PARTICIPANTS.c.id.in_(participant_ids))).rowcount
    return tx.execute(SESSIONS.delete().where(SESSIONS.c.id.in_(ids))).rowcount


def forget_audit_events(tx: Transaction, *, before: datetime, limit: int = ROWS_AT_ONCE) -> int:
    """Delete up to `limit` entries of the audit log older than `before`; returns their number. Call again until 0."""
    old = select(AUDIT.c.id).where(AUDIT.c.created_at < before).order_by(AUDIT.c.created_at).limit(limit)
    return tx.execute(AUDIT.delete().where(AUDIT.c.id.in_([row.id for row in tx.execute(old)]))).rowcount


def _is_forgettable(before: datetime) -> list[ColumnElement[bool]]:
    kept_by = (schema.room_recordings, schema.room_compositions)
    is_over = [~SESSIONS.c.active, SESSIONS.c.ended_at < before]
    return [*is_over, *(~exists().where(table.c.session_id == SESSIONS.c.id) for table in kept_by)]
