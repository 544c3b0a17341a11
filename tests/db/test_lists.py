"""Reads that take long: their time limit, their end when no caller waits, and turns by account, on both databases."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import text

from portico.core.errors import Busy
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.lists import LIST_THREADS, PER_ACCOUNT, WAITING_PER_ACCOUNT

SECS = 30.0
"""The deadline of everything that must not hang."""
_COUNT = (
    "WITH RECURSIVE n (x) AS (SELECT {first} UNION ALL SELECT x + 1 FROM n WHERE x < {last}) SELECT count(*) FROM n"
)
Opened = Callable[[float], Awaitable[Database]]


def endless(tx: Transaction) -> int:
    """A query that would take days."""
    return int(tx.execute(text(_COUNT.format(first="CAST(1 AS BIGINT)", last=10**15))).scalar_one())


def quick(tx: Transaction) -> int:
    return int(tx.execute(text("SELECT 1")).scalar_one())


async def read_list(database: Database, account: str, fn: Callable[[Transaction], int | None]) -> int | None:
    return await database.read_list(account, fn, lambda found: found)


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[Opened]:
    """Opens the database with this limit of lists, in seconds."""
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def one(secs: float) -> AsyncIterator[Database]:
            database = open_database(database_url, list_secs=secs)
            try:
                yield database
            finally:
                await database.close()

        yield lambda secs: stack.enter_async_context(one(secs))


async def test_a_list_has_a_time_limit_and_the_next_one_begins_anew(opened: Opened) -> None:
    database = await opened(0.3)
    async with asyncio.timeout(SECS):
        for _ in range(2 * LIST_THREADS):
            with pytest.raises(Busy, match=r"longer than 0\.3 s"):
                await read_list(database, "a", endless)
        for _ in range(2 * LIST_THREADS):
            assert await read_list(database, "a", quick) == 1


async def test_a_list_that_no_caller_waits_for_is_stopped(opened: Opened) -> None:
    database = await opened(1000)
    async with asyncio.timeout(SECS):
        for _ in range(3):
            abandoned = [asyncio.create_task(read_list(database, "a", endless)) for _ in range(10)]
            await asyncio.sleep(0.05)
            for each in abandoned:
                each.cancel()
            assert await read_list(database, "a", quick) == 1


async def test_one_account_leaves_a_thread_to_the_others_and_all_of_them_to_reads(opened: Opened) -> None:
    database = await opened(1000)
    greedy = [asyncio.create_task(read_list(database, "greedy", endless)) for _ in range(50)]
    async with asyncio.timeout(SECS):
        for account in ("b", "c", "d"):
            assert await read_list(database, account, quick) == 1
        assert await asyncio.gather(*(database.read(quick) for _ in range(20))) == [1] * 20
    assert not any(each.done() for each in greedy)
    for each in greedy:
        each.cancel()


async def test_accounts_take_turns(opened: Opened) -> None:
    database = await opened(1000)
    hogs = [asyncio.create_task(read_list(database, name, endless)) for name in ("x", "x", "y")]
    await asyncio.sleep(0.05)
    order: list[str] = []

    async def ask(account: str) -> None:
        await read_list(database, account, lambda tx: order.append(account))

    waiting = [asyncio.create_task(ask(account)) for account in ("a",) * 5 + ("b", "c")]
    await asyncio.sleep(0)
    hogs[2].cancel()
    async with asyncio.timeout(SECS):
        await asyncio.gather(*waiting)
    assert order == ["a", "b", "c", "a", "a", "a", "a"]
    for each in hogs:
        each.cancel()


async def test_so_many_of_one_account_wait_and_one_more_is_refused(opened: Opened) -> None:
    database = await opened(1000)
    tasks = [asyncio.create_task(read_list(database, "a", endless)) for _ in range(PER_ACCOUNT + WAITING_PER_ACCOUNT)]
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="Too many lists"):
        await read_list(database, "a", quick)
    async with asyncio.timeout(SECS):
        assert await read_list(database, "b", quick) == 1
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await read_list(database, "a", quick) == 1


async def test_closing_stops_what_runs(opened: Opened) -> None:
    database = await opened(1000)
    running = [asyncio.create_task(read_list(database, "a", endless)) for _ in range(5)]
    await asyncio.sleep(0.05)
    begin = time.monotonic()
    await database.close()
    assert time.monotonic() - begin < SECS
    results = await asyncio.gather(*running, return_exceptions=True)
    assert [type(each) for each in results] == [Busy] * 5
