"""The room that a new installation has from the start."""

from functools import partial

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import meetings, rooms
from tests.factories import NOW, a_room, an_account, row, rows


async def test_it_is_made_once(database: Database) -> None:
    first = await database.write(partial(meetings.first_room, now=NOW))
    assert await database.write(partial(meetings.first_room, now=NOW)) == first
    assert [each.id for each in await database.read(partial(rows, table=schema.rooms))] == [first]


async def test_it_belongs_to_the_default_account_and_is_as_large_as_a_room_may_be(database: Database) -> None:
    room_id = await database.write(partial(meetings.first_room, now=NOW))
    room = await database.read(lambda tx: row(tx, schema.rooms, room_id))
    assert room.max_participants == 50
    assert room.account_id == await database.write(an_account)


async def test_it_is_made_again_when_it_was_deleted(database: Database) -> None:
    def delete_and_start(tx: Transaction) -> None:
        first = meetings.first_room(tx, NOW)
        rooms.delete(tx, an_account(tx), first, now=NOW)
        second = meetings.first_room(tx, NOW)
        assert second != first
        assert rooms.retrieve(tx, an_account(tx), second).unique_name == meetings.FIRST_ROOM.unique_name

    await database.write(delete_and_start)


async def test_a_room_of_the_same_name_in_another_account_is_not_taken(database: Database) -> None:
    other = await database.write(partial(a_room, account="other", unique_name=meetings.FIRST_ROOM.unique_name))
    assert await database.write(partial(meetings.first_room, now=NOW)) != other
