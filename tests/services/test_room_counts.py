"""The kept number of rooms is the number of rooms, whatever happens at the same time, on both databases."""

import asyncio
import contextlib
from functools import partial

from sqlalchemy import delete, func, select

from portico.core.errors import Invalid
from portico.core.paging import Page
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import meetings, room_counts, rooms
from tests.factories import NOW, a_room, an_account


def counted(tx: Transaction) -> tuple[int, int]:
    """What is kept, and what is there."""
    account_id = an_account(tx)
    here = (schema.rooms.c.account_id == account_id) & schema.rooms.c.deleted_at.is_(None)
    there = tx.execute(select(func.count()).select_from(schema.rooms).where(here)).scalar_one()
    return room_counts.total(tx, account_id), there


async def test_rooms_that_come_and_go_at_the_same_time_are_counted(database: Database) -> None:
    account_id = await database.write(an_account)
    made = await asyncio.gather(*(database.write(a_room) for _ in range(40)))
    gone = [
        database.write(partial(rooms.delete, account_id=account_id, room_id=room_id, now=NOW)) for room_id in made[::2]
    ]
    await asyncio.gather(*gone, *(database.write(partial(a_room, account="other")) for _ in range(5)))
    assert await database.write(counted) == (20, 20)
    listed = await database.read(partial(rooms.list_rooms, account_id=account_id, page=Page(1, 5)))
    assert (len(listed.items), listed.total_results) == (5, 20)


async def test_a_room_that_was_refused_is_not_counted(database: Database) -> None:
    for _ in range(2):
        with contextlib.suppress(Invalid):
            await database.write(partial(a_room, unique_name="only one"))
    assert await database.write(counted) == (1, 1)


async def test_the_first_room_counts_once(database: Database) -> None:
    for _ in range(2):
        await database.write(partial(meetings.first_room, now=NOW))
    assert await database.write(counted) == (1, 1)


async def test_an_account_without_rooms_has_none(database: Database) -> None:
    await database.write(a_room)
    await database.write(lambda tx: tx.execute(delete(schema.room_counts)))
    assert (await database.write(counted))[0] == 0
