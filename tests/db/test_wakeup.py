"""Hints after commits: whoever listens is woken by what left work, and then sees it, on both databases."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import func, select

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.db.wakeup import announce
from tests.factories import a_participant, a_room, rows

WITHIN = 10.0


class Crash(Exception):
    """What a transaction under test raises."""


def nothing(tx: Transaction) -> None:
    tx.execute(select(func.count()).select_from(schema.rooms))


def work(tx: Transaction) -> None:
    announce(tx, "deliveries")


def announce_and_crash(tx: Transaction) -> None:
    announce(tx, "deliveries")
    raise Crash


async def heard(wake: asyncio.Event) -> None:
    async with asyncio.timeout(WITHIN):
        await wake.wait()
    wake.clear()


async def test_a_commit_that_announced_wakes_everybody_who_listens(database: Database) -> None:
    wakes = [asyncio.Event() for _ in range(3)]
    for wake in wakes:
        database.commits.listen("deliveries", wake)
    for _ in range(3):
        await database.write(work)
        for wake in wakes:
            await heard(wake)


async def test_other_commits_and_reads_wake_nobody(database: Database) -> None:
    wake = asyncio.Event()
    database.commits.listen("deliveries", wake)
    await database.write(work)
    await heard(wake)
    await database.write(nothing)
    await database.read(nothing)
    # Whatever those two said was said before this, and what is said is heard in order.
    fence = asyncio.Event()
    asyncio.get_running_loop().call_soon_threadsafe(fence.set)
    await fence.wait()
    assert not wake.is_set()


async def test_work_of_another_sort_wakes_nobody(database: Database) -> None:
    wakes = [asyncio.Event() for _ in range(2)]
    database.commits.listen("participants", wakes[0])
    database.commits.listen("deliveries", wakes[1])
    await database.write(work)
    await heard(wakes[1])
    assert not wakes[0].is_set()


async def test_who_is_woken_sees_the_work(database: Database) -> None:
    wake = asyncio.Event()
    database.commits.listen("deliveries", wake)
    room_id = await database.write(partial(a_room, webhook_event_url="http://receiver.example/"))
    for count in range(1, 6):
        writing = asyncio.create_task(database.write(partial(a_participant, room_id=room_id)))
        await heard(wake)
        assert len(await database.read(partial(rows, table=schema.webhook_deliveries))) == count + 1
        await writing


async def test_a_failed_transaction_costs_nobody_their_hint(database: Database) -> None:
    """It may wake somebody for nothing; the next one that commits is heard all the same."""
    wake = asyncio.Event()
    database.commits.listen("deliveries", wake)
    writes = [database.write(fn) for fn in (announce_and_crash, work, announce_and_crash)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [Crash, type(None), Crash]
    await heard(wake)
    with pytest.raises(Crash):
        await database.write(announce_and_crash)
    await database.write(work)
    await heard(wake)


async def test_a_listener_whose_event_loop_is_gone_harms_nobody(database: Database) -> None:
    async def listen() -> None:
        database.commits.listen("deliveries", asyncio.Event())

    await asyncio.to_thread(asyncio.run, listen())
    wake = asyncio.Event()
    database.commits.listen("deliveries", wake)
    await database.write(work)
    await heard(wake)
