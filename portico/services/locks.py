"""The row locks with which every check-then-write begins. Each lasts until the transaction ends.

PostgreSQL locks the row; on SQLite the one writer has the whole database. Where one transaction needs several, it takes
them in this order, so that no two wait for each other: gateway, rooms in the order of their ids, rows of a room.
"""

from sqlalchemy import func, select

from portico.core.errors import GatewayLost
from portico.db import schema
from portico.db.engine import Transaction
from portico.services.rows import ROOM_ROWS, SESSION_ROWS, RoomRow, SessionRow

GATEWAYS = schema.gateways
ROOMS = schema.rooms
SESSIONS = schema.room_sessions
_FIRST_ROWS = 0x706F727469636F


def lock_room(tx: Transaction, room_id: str) -> RoomRow | None:
    """Lock the room, deleted or not, and return its row; None when there is no such room."""
    return ROOM_ROWS.first(tx, ROOM_ROWS.select(ROOMS.c.id == room_id).with_for_update())


def lock_first_rows(tx: Transaction) -> None:
    """Keep other processes that start from making the first rows at the same time."""
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_advisory_xact_lock(_FIRST_ROWS)))


def hold_gateway(tx: Transaction, gateway_id: str) -> None:
    """Keep a gateway from being retired or reaped meanwhile. GatewayLost when that has happened already."""
    alive = select(GATEWAYS.c.id).where(GATEWAYS.c.id == gateway_id, ~GATEWAYS.c.dead)
    if tx.execute(alive.with_for_update(read=True, key_share=True)).first() is None:
        raise GatewayLost("The server is recovering; join again in a moment.")


def hold_session(tx: Transaction, session_id: str) -> SessionRow | None:
    """Keep a session's row from being deleted (services/history.py) before what refers to it is written."""
    held = SESSION_ROWS.select(SESSIONS.c.id == session_id).with_for_update(read=True, key_share=True)
    return SESSION_ROWS.first(tx, held)
