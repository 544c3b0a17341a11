"""The room that a new installation has from the start, so that there is something to open in a browser."""

from dataclasses import asdict
from datetime import datetime
from uuid import uuid4

from sqlalchemy import select

from portico.core.model import RoomSettings
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent
from portico.services import api_keys, room_counts

FIRST_ROOM = RoomSettings(unique_name="Meeting room", max_participants=50)


def first_room(tx: Transaction, now: datetime) -> str:
    """The id of the default account's meeting room, which is made when there is none (any more)."""
    account_id = api_keys.account_named(tx, api_keys.DEFAULT_ACCOUNT, now)
    room_id = str(uuid4())
    made = insert_if_absent(
        tx,
        schema.rooms,
        id=room_id,
        account_id=account_id,
        created_at=now,
        updated_at=now,
        **asdict(FIRST_ROOM),
    )
    if made:
        room_counts.add(tx, account_id, room_id, 1)
    room = schema.rooms.c
    named = room.account_id == account_id, room.unique_name == FIRST_ROOM.unique_name, room.deleted_at.is_(None)
    return str(tx.execute(select(room.id).where(*named)).scalar_one())
