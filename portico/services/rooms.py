"""Rooms: what developers create, change and delete; a deleted room keeps its row and loses its name."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, literal_column, select
from sqlalchemy.exc import IntegrityError

from portico.core.casting import Value
from portico.core.errors import Fault, Invalid, NotFound
from portico.core.filters import Condition
from portico.core.model import Room, RoomSettings
from portico.core.paging import Page
from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import Prepared
from portico.runtime.ids import new_id
from portico.services import listing, room_counts, sessions
from portico.services.listing import Listed
from portico.services.locks import lock_room
from portico.services.rows import RoomRow

ROOMS = schema.rooms
SESSIONS = schema.room_sessions
_INSERT = Prepared(ROOMS.insert())
_SETTINGS = tuple(field.name for field in fields(RoomSettings))
_NOT_ROOM_MEMBERS = {"account_id", "deleted_at", "link_generation"}
# Spelled as in the partial unique index: SQLite uses that index only for the very same expression.
_ACTIVE_SESSION = (SESSIONS.c.room_id == ROOMS.c.id) & literal_column("room_sessions.active")


def create(tx: Transaction, account_id: str, settings: RoomSettings, *, now: datetime) -> Room:
    """Insert a room; returns it. Raises Invalid when another room of the account has its name."""
    room = {
        "id": new_id(),
        "created_at": now,
        "updated_at": now,
        **{name: getattr(settings, name) for name in _SETTINGS},
    }
    with _name_may_be_taken():
        _INSERT.run(tx, {"account_id": account_id, **room})
    room_counts.add(tx, account_id, room["id"], 1)
    return Room(**room)


def webhook_urls(tx: Transaction, *, limit: int) -> list[str]:
    """The different webhook URLs of all accounts' rooms, failover URLs too; at most `limit` of each."""
    found: dict[str, None] = {}
    for column in (ROOMS.c.webhook_event_url, ROOMS.c.webhook_event_failover_url):
        named = select(column).where(ROOMS.c.deleted_at.is_(None), column.is_not(None), column != "")
        found |= dict.fromkeys(tx.execute(named.distinct().limit(limit)).scalars())
    return list(found)


def retrieve(
    tx: Transaction, account_id: str, room_id: str, *, with_sessions: bool = False, with_participants: bool = False
) -> Room:
    """The account's room; NotFound when there is none (any more)."""
    row = tx.execute(_one_room(), {"room": room_id, "account": account_id}).first()
    if row is None:
        raise NotFound
    room = Room(**row._mapping)
    return _embed_sessions(tx, [room], with_participants)[0] if with_sessions else room


def list_rooms(
    tx: Transaction,
    account_id: str,
    page: Page,
    conditions: Sequence[Condition] = (),
    *,
    with_sessions: bool = False,
    with_participants: bool = False,
) -> Listed[Room]:
    """The account's rooms, newest first."""
    where = [*_existing(account_id), *listing.matching(ROOMS, conditions)]
    total = None if conditions else room_counts.total(tx, account_id)
    listed = listing.page_of(tx, ROOMS, where, page, _rooms(), ROOMS.c.created_at, Room, total)
    if not with_sessions:
        return listed
    return Listed(_embed_sessions(tx, listed.items, with_participants), listed.total_results)


def update(tx: Transaction, account_id: str, room_id: str, changes: Mapping[str, Value], *, now: datetime) -> Room:
    """Change settings of a room; returns it. updated_at changes only when a setting really differs.

    Raises NotFound, and Invalid when another room of the account has the new name.
    """
    room = _locked(tx, account_id, room_id)
    effective = {name: value for name, value in changes.items() if getattr(room, name) != value}
    if effective:
        moved = max(now, room.updated_at + timedelta(microseconds=1))  # also when the clock was set back
        with _name_may_be_taken():
            tx.execute(ROOMS.update().where(ROOMS.c.id == room_id).values(**effective, updated_at=moved))
    return retrieve(tx, account_id, room_id)


def delete(tx: Transaction, account_id: str, room_id: str, *, now: datetime) -> None:
    """Delete the room, and end its active session with its events. Raises NotFound if it is deleted already."""
    _locked(tx, account_id, room_id)
    session = sessions.active_of(tx, room_id)
    if session is not None:
        sessions.end(tx, session.id, ended_reason="Room deleted", left_reason="room_deleted", now=now)
    tx.execute(ROOMS.update().where(ROOMS.c.id == room_id).values(deleted_at=now, updated_at=now))
    room_counts.add(tx, account_id, room_id, -1)


def renew_link(tx: Transaction, account_id: str | None, room_id: str) -> None:
    """Make the room's meeting link void: another generation is valid from now on.

    `account_id` is None for the operator, who may renew the link of any room. Raises NotFound without the room.
    """
    generation = _locked(tx, account_id, room_id).link_generation + 1
    # updated_at stays: no member that the API shows of a room changes.
    tx.execute(ROOMS.update().where(ROOMS.c.id == room_id).values(link_generation=generation))


def existing(tx: Transaction, room_ids: Sequence[str]) -> set[str]:
    """The ids that belong to a room of any account, deleted or not."""
    return set(tx.execute(select(ROOMS.c.id).where(ROOMS.c.id.in_(room_ids))).scalars())


def max_participants(tx: Transaction, room_id: str) -> int:
    """The number of participants that the room admits; 0 when there is no such room."""
    return tx.execute(select(ROOMS.c.max_participants).where(ROOMS.c.id == room_id)).scalar() or 0


@cache  # on the way of every request, building a statement costs as much as running it
def _rooms() -> Select[Any]:
    members = [column for column in ROOMS.c if column.name not in _NOT_ROOM_MEMBERS]
    joined = ROOMS.outerjoin(SESSIONS, _ACTIVE_SESSION)
    return select(*members, SESSIONS.c.id.label("active_session_id")).select_from(joined)


@cache
def _one_room() -> Select[Any]:
    this = ROOMS.c.id == bindparam("room"), ROOMS.c.account_id == bindparam("account")
    return _rooms().where(*this, ROOMS.c.deleted_at.is_(None))


def _existing(account_id: str) -> list[Any]:
    return [ROOMS.c.account_id == account_id, ROOMS.c.deleted_at.is_(None)]


def _locked(tx: Transaction, account_id: str | None, room_id: str) -> RoomRow:
    room = lock_room(tx, room_id)
    if room is None or account_id not in (None, room.account_id) or room.deleted_at is not None:
        raise NotFound
    return room


def _embed_sessions(tx: Transaction, rooms: list[Room], with_participants: bool) -> list[Room]:
    found = listing.sessions_by_room(tx, [room.id for room in rooms], with_participants=with_participants)
    return [replace(room, sessions=found[room.id]) for room in rooms]


@contextmanager
def _name_may_be_taken() -> Iterator[None]:
    """Raise Invalid if the block violates the unique index of room names. Other violations are raised unchanged."""
    try:
        yield
    except IntegrityError as error:
        if "unique_name" not in str(error.orig):
            raise
        fault = Fault("10012", "Duplicate resource", "has already been taken", pointer="/unique_name")
        raise Invalid(fault) from error
