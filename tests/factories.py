"""Rows that tests need: valid by default, any column overridden by name; each function writes and returns the id."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Table, select

from portico.core.model import RoomSettings
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import api_keys, gateways, participants, rooms
from portico.services.participants import Joined
from portico.services.rows import PARTICIPANT_ROWS, ParticipantRow

NOW = datetime(2026, 2, 2, 22, 25, 27, 521992, tzinfo=UTC)
"""The instant at which tests happen unless they say otherwise."""


def an_account(tx: Transaction, name: str = "default") -> str:
    """The account of this name."""
    return api_keys.account_named(tx, name, NOW)


def an_event(tx: Transaction, seq: int, room_id: str, **payload: Any) -> None:
    """An event of this number: PostgreSQL gives numbers out in another order than that of commits."""
    values = {"account_id": an_account(tx), "event_type": "video.room.session.started", "occurred_at": NOW}
    tx.execute(schema.events.insert().values(seq=seq, id=f"{seq:036}", room_id=room_id, payload=payload, **values))


def a_room(tx: Transaction, *, account: str = "default", now: datetime = NOW, **chosen: Any) -> str:
    """A room with these settings."""
    return rooms.create(tx, an_account(tx, account), RoomSettings(**chosen), now=now).id


def a_gateway(tx: Transaction, now: datetime = NOW) -> str:
    """A living gateway."""
    return gateways.register(tx, now)


def a_participant(
    tx: Transaction,
    room_id: str,
    *,
    participant_id: str | None = None,
    context: str | None = None,
    gateway_id: str | None = None,
    now: datetime = NOW,
) -> Joined:
    """Let a participant join, by default through the gateway that the room's participants are on, or a new one."""
    return participants.join(
        tx,
        room_id,
        participant_id or str(uuid4()),
        context,
        gateway_id=gateway_id or gateway_of(tx, room_id) or a_gateway(tx, now),
        now=now,
    )


def gateway_of(tx: Transaction, room_id: str) -> str | None:
    """The gateway that the room's participants are on, which still lives."""
    people = schema.room_participants.c
    living = select(schema.gateways.c.id).where(~schema.gateways.c.dead)
    here = select(people.gateway_id).where(people.room_id == room_id, people.left_at.is_(None))
    return tx.execute(here.where(people.gateway_id.in_(living)).limit(1)).scalar_one_or_none()


def rows(tx: Transaction, table: Table, **where: Any) -> list[Row[Any]]:
    """All rows of a table with these values, in the order of their primary keys."""
    conditions = [table.c[name] == value for name, value in where.items()]
    return list(tx.execute(select(table).where(*conditions).order_by(*table.primary_key.columns)))


def row(tx: Transaction, table: Table, row_id: str) -> Row[Any]:
    """The one row with this id."""
    return tx.execute(select(table).where(table.c.id == row_id)).one()


def participant(tx: Transaction, participant_id: str) -> ParticipantRow:
    """The participant with this id."""
    return PARTICIPANT_ROWS.one(tx, PARTICIPANT_ROWS.select(schema.room_participants.c.id == participant_id))


def facts(tx: Transaction, room_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The recorded events of a room as (last two words of the type, payload), in order."""
    found = rows(tx, schema.events, room_id=room_id)
    return [(each.event_type.removeprefix("video.room."), each.payload) for each in found]


def fact_names(tx: Transaction, room_id: str) -> list[str]:
    """The types of a room's events, in order."""
    return [name for name, _ in facts(tx, room_id)]
