"""Rooms and lists on both databases: names, changes, deletion with its events, pages, embedding and its bounds."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import event, select

from portico.core.errors import Invalid, NotFound, RoomGone
from portico.core.filters import Condition
from portico.core.model import Room, RoomSettings
from portico.core.paging import Page
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.sqlite import SqliteDatabase
from portico.services import api_keys, gateways, listing, participants, rooms
from tests.factories import gateway_of

START = datetime(2026, 3, 26, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest_asyncio.fixture
async def account_id(database: Database) -> str:
    return await database.write(lambda tx: api_keys.account_named(tx, "one", START))


def a_room(account_id: str, seconds: float = 0, **settings: Any) -> Callable[[Transaction], Room]:
    return lambda tx: rooms.create(tx, account_id, RoomSettings(**settings), now=at(seconds))


def join(tx: Transaction, room_id: str, seconds: float) -> participants.Joined:
    gateway_id = gateway_of(tx, room_id) or gateways.register(tx, at(seconds))
    return participants.join(tx, room_id, str(uuid4()), None, gateway_id=gateway_id, now=at(seconds))


async def test_a_taken_name_spoils_no_other_transaction_of_its_batch(database: Database, account_id: str) -> None:
    names = ["a", "b", "a", "c", "b", "a"]
    made = await asyncio.gather(
        *(database.write(a_room(account_id, unique_name=name)) for name in names), return_exceptions=True
    )
    assert sum(isinstance(each, Room) for each in made) == 3
    assert sum(isinstance(each, Invalid) for each in made) == 3
    listed = await database.read(lambda tx: rooms.list_rooms(tx, account_id, Page()))
    assert sorted(str(room.unique_name) for room in listed.items) == ["a", "b", "c"]


async def test_a_room_may_take_its_own_name_and_no_other(database: Database, account_id: str) -> None:
    room = await database.write(a_room(account_id, unique_name="mine"))
    await database.write(a_room(account_id, unique_name="taken"))

    def rename(tx: Transaction, name: str) -> Room:
        return rooms.update(tx, account_id, room.id, {"unique_name": name}, now=at(1))

    assert await database.write(lambda tx: rename(tx, "mine")) == room
    with pytest.raises(Invalid):
        await database.write(lambda tx: rename(tx, "taken"))
    assert (await database.write(lambda tx: rename(tx, "free"))).unique_name == "free"


async def test_a_change_moves_updated_at_even_when_the_clock_was_set_back(database: Database, account_id: str) -> None:
    room = await database.write(a_room(account_id, seconds=10))
    changed = await database.write(lambda tx: rooms.update(tx, account_id, room.id, {"max_participants": 3}, now=at(0)))
    assert changed.updated_at > room.updated_at


async def test_deleting_a_room_ends_its_session_with_the_events(database: Database, account_id: str) -> None:
    room = await database.write(a_room(account_id))
    joined = [await database.write(lambda tx: join(tx, room.id, 1)) for _ in range(2)]
    await database.write(lambda tx: rooms.delete(tx, account_id, room.id, now=at(4)))

    def recorded(tx: Transaction) -> list[tuple[str, dict[str, Any]]]:
        rows = tx.execute(select(schema.events).order_by(schema.events.c.seq)).all()
        return [(row.event_type.removeprefix("video.room."), row.payload) for row in rows]

    events = (await database.read(recorded))[3:]
    assert [kind for kind, _ in events] == ["participant.left", "participant.left", "session.ended"]
    assert {payload.get("left_reason") for _, payload in events[:2]} == {"room_deleted"}
    assert events[2][1]["ended_reason"] == "Room deleted"
    session = await database.read(
        lambda tx: listing.retrieve_session(tx, account_id, joined[0].session_id, with_participants=True)
    )
    assert (session.active, session.ended_at) == (False, at(4))
    assert [person.left_at for person in session.participants or ()] == [at(4), at(4)]
    with pytest.raises(NotFound):
        await database.write(lambda tx: rooms.delete(tx, account_id, room.id, now=at(5)))
    with pytest.raises(RoomGone):
        await database.write(lambda tx: join(tx, room.id, 6))


async def test_lists_of_a_deleted_rooms_sessions_stay(database: Database, account_id: str) -> None:
    room = await database.write(a_room(account_id))
    await database.write(lambda tx: join(tx, room.id, 1))
    await database.write(lambda tx: rooms.delete(tx, account_id, room.id, now=at(2)))
    of_room = [Condition("room_id", "eq", room.id)]
    listed = await database.read(lambda tx: listing.list_sessions(tx, account_id, Page(), of_room))
    assert [session.room_id for session in listed.items] == [room.id]
    people = await database.read(lambda tx: listing.list_participants(tx, account_id, Page()))
    assert people.total_results == 1
    with pytest.raises(NotFound):
        await database.read(lambda tx: listing.list_sessions(tx, account_id, Page(), room_id=room.id))


async def test_rooms_of_one_instant_are_still_in_one_order(database: Database, account_id: str) -> None:
    for _ in range(5):
        await database.write(a_room(account_id))
    pages = [
        await database.read(partial(rooms.list_rooms, account_id=account_id, page=Page(number, 2)))
        for number in (1, 2, 3)
    ]
    found = [room.id for page in pages for room in page.items]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 5


def sessions_of_the_past(account_id: str, room_id: str, count: int, people: int) -> Callable[[Transaction], None]:
    """Rows as earlier calls leave them: writing thousands through the services would take minutes."""

    def write(tx: Transaction) -> None:
        sessions = [{"id": str(uuid4()), "started": at(number)} for number in range(count)]
        rows = [
            {
                "id": session["id"],
                "room_id": room_id,
                "account_id": account_id,
                "active": False,
                "created_at": session["started"],
                "updated_at": session["started"],
                "ended_at": session["started"],
            }
            for session in sessions
        ]
        tx.execute(schema.room_sessions.insert(), rows)
        present = [
            {
                "id": str(uuid4()),
                "session_id": session["id"],
                "room_id": room_id,
                "account_id": account_id,
                "gateway_id": str(uuid4()),
                "joined_at": session["started"],
                "updated_at": session["started"],
                "left_at": session["started"],
            }
            for session in sessions
            for _ in range(people)
        ]
        if present:
            tx.execute(schema.room_participants.insert(), present)

    return write


async def test_embedding_is_bounded_and_takes_three_queries(database: Database, account_id: str) -> None:
    busy, quiet, empty = [await database.write(a_room(account_id, seconds=number)) for number in range(3)]
    await database.write(sessions_of_the_past(account_id, busy.id, listing.EMBEDDED_PER_PARENT + 5, 1))
    await database.write(sessions_of_the_past(account_id, quiet.id, 2, 3))
    statements: list[str] = []

    def read(tx: Transaction) -> listing.Listed[Room]:
        event.listen(tx, "before_cursor_execute", lambda *args: statements.append(args[2]))
        return rooms.list_rooms(tx, account_id, Page(), with_sessions=True, with_participants=True)

    listed = await database.read(read)
    assert len(statements) == 4, "count, rooms, sessions, participants"
    found = {room.id: room.sessions or () for room in listed.items}
    assert [len(found[room.id]) for room in (busy, quiet, empty)] == [listing.EMBEDDED_PER_PARENT, 2, 0]
    assert found[busy.id][0].created_at == at(listing.EMBEDDED_PER_PARENT + 4)
    assert [session.created_at for session in found[quiet.id]] == [at(1), at(0)]
    assert [len(session.participants or ()) for session in found[quiet.id]] == [3, 3]


async def test_an_answer_never_embeds_more_than_its_limit(database: Database, account_id: str) -> None:
    enough = listing.EMBEDDED_PER_ANSWER // listing.EMBEDDED_PER_PARENT + 1

    def fill(tx: Transaction) -> None:
        for _ in range(enough):
            room = a_room(account_id)(tx)
            sessions_of_the_past(account_id, room.id, listing.EMBEDDED_PER_PARENT, 0)(tx)

    await database.write(fill)
    listed = await database.read(lambda tx: rooms.list_rooms(tx, account_id, Page(1, 250), with_sessions=True))
    assert sum(len(room.sessions or ()) for room in listed.items) == listing.EMBEDDED_PER_ANSWER


async def test_sqlite_finds_active_sessions_by_their_own_index(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    assert isinstance(database, SqliteDatabase)
    try:

        def plan(tx: Transaction) -> str:
            columns = schema.rooms.c
            newest_first = (columns.created_at.desc(), columns.id.desc())
            query = rooms._rooms().where(columns.account_id == "x").order_by(*newest_first)
            text = str(query.compile(dialect=tx.dialect, compile_kwargs={"literal_binds": True}))
            return str(tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all())

        explained = await database.read(plan)
    finally:
        await database.close()
    assert "uq_room_sessions_active" in explained
    assert "ix_rooms_account_id_created_at" in explained
    assert "TEMP B-TREE" not in explained
