"""The room that a new installation has from the start."""

from functools import partial

import pytest

from portico.core.errors import NotFound
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import meetings, rooms, tokens
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


async def test_its_link_is_the_one_that_is_valid_also_after_a_restart(database: Database) -> None:
    def start(tx: Transaction) -> None:
        keys, room_id = tokens.load_keys(tx, NOW), meetings.first_room(tx, NOW)
        first = meetings.link_of(tx, keys, room_id, "http://portico")
        assert first.url == f"http://portico/meet/{room_id}#{tokens.invite(keys, room_id)}"
        made = meetings.new_link(tx, keys, room_id, "http://portico")
        assert (made.generation, made.account_id) == (1, an_account(tx))
        assert meetings.link_of(tx, keys, meetings.first_room(tx, NOW), "http://portico") == made
        assert tokens.redeem(tx, keys, room_id, made.url.partition("#")[2], now=NOW).token
        with pytest.raises(NotFound):
            meetings.new_link(tx, keys, room_id, "http://portico", account_id=an_account(tx, "other"))
        rooms.delete(tx, an_account(tx), room_id, now=NOW)
        for use in (meetings.link_of, meetings.new_link):
            with pytest.raises(NotFound):
                use(tx, keys, room_id, "http://portico")

    await database.write(start)


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
