"""Limits that processes share: together they allow what one allows, and a slow database refuses no request."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from portico.core.rate import SECOND_NS, Limit
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database
from portico.db.statements import ping
from portico.services import rate_buckets
from portico.services.shared_buckets import SHARE, WITHIN_SECS, SharedBuckets
from tests.api.world import world_on
from tests.databases import PostgresCluster
from tests.factories import rows

pytestmark = pytest.mark.postgres
HUNDRED = Limit(100, 3600)


@asynccontextmanager
async def processes(url: str, limit: Limit, count: int = 2) -> AsyncIterator[list[SharedBuckets]]:
    """As many counts as processes have, each with connections of its own."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            db = open_database(url)
            stack.push_async_callback(db.close)
            await db.write(ping)  # so that no lease waits for a connection
            found.append(SharedBuckets(limit, 100, "test", db))
        yield found


async def allowed(buckets: SharedBuckets, requests: int, caller: str = "a") -> int:
    """How many of so many requests, all at once, are allowed."""
    return sum(not each.wait_secs for each in await asyncio.gather(*(buckets.take(caller) for _ in range(requests))))


async def test_two_processes_allow_together_what_one_allows(postgres_url: str) -> None:
    async with processes(postgres_url, HUNDRED) as (one, other):
        counts = [0, 0]
        for _ in range(30):  # in turn: both lease, and refuse in the end
            counts[0] += await allowed(one, 5)
            counts[1] += await allowed(other, 5)
        assert 100 - 2 * HUNDRED.requests // SHARE <= sum(counts) <= 100 + HUNDRED.requests // SHARE, counts
        assert min(counts) > 30
        refused = await one.take("a")
        assert 0 < refused.wait_secs <= 36 and refused.remaining <= 1
        assert await allowed(one, 1, "b") == 1


async def test_a_burst_to_both_at_once_is_no_way_around(postgres_url: str) -> None:
    async with processes(postgres_url, HUNDRED) as (one, other):
        counts = await asyncio.gather(allowed(one, 150), allowed(other, 150))
    assert 100 - 2 * HUNDRED.requests // SHARE <= sum(counts) <= 100 + HUNDRED.requests // SHARE, counts


async def test_not_every_request_is_a_write(postgres_url: str) -> None:
    limit = Limit(10_000, 3600)
    async with processes(postgres_url, limit, 1) as (one,):
        for _ in range(500):
            assert not (await one.take("a")).wait_secs
        db = open_database(postgres_url)
        try:
            (row,) = await db.read(partial(rows, table=schema.rate_buckets))
        finally:
            await db.close()
    assert row.granted > 100, "the last lease was a large one"


async def test_what_was_used_comes_back(postgres_url: str) -> None:
    async with processes(postgres_url, Limit(4, 2)) as (one, other):
        assert await allowed(one, 2) + await allowed(other, 4) == 4
        deadline = time.monotonic() + 30
        while (await other.take("a")).wait_secs:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_a_join_that_is_given_back_counts_nothing(postgres_url: str) -> None:
    async with processes(postgres_url, Limit(1, 3600), 1) as (one,):
        for _ in range(3):
            assert not (await one.take("a")).wait_secs
            one.give_back("a")
        assert not (await one.take("a")).wait_secs and (await one.take("a")).wait_secs


async def test_a_clock_that_was_set_back_empties_a_bucket_and_no_more(postgres_url: str) -> None:
    db = open_database(postgres_url)
    limit = Limit(2, 1)
    try:
        await db.write(partial(rate_buckets.lease, name="x", limit=limit, wanted=2))
        ahead = schema.rate_buckets.update().values(full_at=schema.rate_buckets.c.full_at + 3600 * SECOND_NS)
        await db.write(lambda tx: tx.execute(ahead).rowcount)
        lease = await db.write(partial(rate_buckets.lease, name="x", limit=limit, wanted=1))
        assert (lease.granted, lease.full_in_ns) == (0, SECOND_NS)
        await asyncio.sleep(1.1)
        assert await db.write(rate_buckets.forget_full) == 1
    finally:
        await db.close()


async def test_a_slow_database_refuses_no_request_and_delays_few(own_postgres: PostgresCluster) -> None:
    async with processes(own_postgres.url("portico_template"), Limit(1000, 3600), 1) as (one,):
        assert await allowed(one, 10) == 10
        own_postgres.suspend()
        try:
            began = time.monotonic()
            assert await allowed(one, 200) == 200
            for _ in range(50):
                assert not (await one.take("b")).wait_secs
            assert time.monotonic() - began < 4 * WITHIN_SECS
        finally:
            own_postgres.suspend(signal.SIGCONT)
        assert await allowed(one, 1000) <= 1000 - 210, "what was counted alone is counted"


async def test_on_sqlite_nothing_is_written(sqlite_url: str, tmp_path: Path) -> None:
    db: Database = open_database(sqlite_url)
    try:
        one = SharedBuckets(Limit(2, 3600), 10, "test", db)
        assert await allowed(one, 5) == 2
        assert await db.read(partial(rows, table=schema.rate_buckets)) == []
    finally:
        await db.close()


async def test_the_api_of_two_processes_shares_the_limit_of_an_account(postgres_url: str) -> None:
    async with AsyncExitStack() as stack:
        callers: list[httpx.AsyncClient] = []
        key = ""
        for _ in range(2):
            db = open_database(postgres_url)
            stack.push_async_callback(db.close)
            world = await stack.enter_async_context(world_on(db, rate_limit=Limit(20, 3600)))
            key = key or world.key
            transport = httpx.ASGITransport(world.app)
            client = httpx.AsyncClient(transport=transport, base_url="http://portico")
            client.headers["Authorization"] = f"Bearer {key}"
            callers.append(await stack.enter_async_context(client))
        statuses = [(await callers[number % 2].get("/v2/rooms")).status_code for number in range(30)]
    assert statuses == [200] * 20 + [429] * 10
