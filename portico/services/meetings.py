"""The room that a new installation has from the start, so that there is something to open in a browser."""

from datetime import datetime

from sqlalchemy import select

from portico.core.model import RoomSettings
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import api_keys, rooms

FIRST_ROOM = "Meeting room"
FIRST_ROOM_PARTICIPANTS = 50


def first_room(tx: Transaction, now: datetime) -> str:
    """The id of the default account's meeting room, which is made when there is none (any more)."""
    account_id = api_keys.account_named(tx, api_keys.DEFAULT_ACCOUNT, now)
    columns = schema.rooms.c
    existing = tx.execute(
        select(columns.id).where(
            columns.account_id == account_id, columns.unique_name == FIRST_ROOM, columns.deleted_at.is_(None)
        )
    ).first()
    if existing is not None:
        return str(existing.id)
    settings = RoomSettings(unique_name=FIRST_ROOM, max_participants=FIRST_ROOM_PARTICIPANTS)
    return rooms.create(tx, account_id, settings, now=now).id
