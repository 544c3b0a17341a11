"""Hints after commits: a listener is woken by a commit that left work, and then sees it, on both databases."""

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


async def woken(wake: asyncio.Event) -> None:
    async with asyncio.timeout(WITHIN):
        await wake.wait()
    wake.clear()


async def test_a_commit_that_announced_wakes_all_listeners(database: Database) -> None:
    wakes = [asyncio.Event() for _ in range(3)]
    for wake in wakes:
        database.commits.listen("deliveries", wake)
    for _ in range(3):
        await database.write(work)
        for wake in wakes:
            await woken(wake)


async def test_other_commits_and_reads_wake_no_listener(database: Database) -> None:
    wake = asyncio.Event()
    database.commits.listen("deliveries", wake)
    await database.write(work)
    await woken(wake)
    await database.write(nothing)
    await database.read(nothing)
    # A hint of those two would have been sent before this, and hints arrive in order.
    fence = asyncio.Event()
    asyncio.get_running_loop().call_soon_threadsafe(fence.set)
    await fence.wait()
    assert not wake.is_set()


async def test_work_of_another_sort_wakes_no_listener(database: Database) -> None:
    wakes = [asyncio.Event() for _ in range(2)]
    database.commits.listen("participants", wakes[0])
    database.commits.listen("deliveries", wakes[1])
    await database.write(work)
    await woken(wakes[1])
    assert not wakes[0].is_set()


async def test_who_is_woken_sees_the_work(database: Database) -> None:
    wake = asyncio.Event()
    database.commits.listen("deliveries", wake)
    room_id = await database.write(partial(a_room, webhook_event_url="http://receiver.example/"))
    for count in range(1, 6):
        writing = asyncio.create_task(database.write(partial(a_participant, room_id=room_id)))
        await woken(wake)
        assert len(await database.read(partial(rows, table=schema.webhook_deliveries))) == count + 1
        await writing


async def test_a_failed_transaction_costs_no_listener_its_hint(database: Database) -> None:
    """It may wake a listener for nothing; the next one that commits wakes it all the same."""
    wake = asyncio.Event()
    database.commits.listen("deliveries", wake)
    writes = [database.write(fn) for fn in (announce_and_crash, work, announce_and_crash)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [Crash, type(None), Crash]
    await woken(wake)
    with pytest.raises(Crash):
        await database.write(announce_and_crash)
    await database.write(work)
    await woken(wake)


async def test_a_listener_whose_event_loop_is_gone_harms_no_other(database: Database) -> None:
    async def listen() -> None:
        database.commits.listen("deliveries", asyncio.Event())

    await asyncio.to_thread(asyncio.run, listen())
    wake = asyncio.Event()
    database.commits.listen("deliveries", wake)
    await database.write(work)
    await woken(wake)
