"""Hints between the processes of one PostgreSQL: they cross, survive a lost connection, and polling replaces them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.wakeup import announce
from tests.databases import PostgresCluster
from tests.waiting import until

WITHIN = 15.0


@pytest_asyncio.fixture
async def two(postgres_url: str) -> AsyncIterator[tuple[Database, Database]]:
    """Two databases on one PostgreSQL, as two processes have them."""
    first, second = open_database(postgres_url), open_database(postgres_url)
    try:
        yield first, second
    finally:
        await first.close()
        await second.close()


def work(tx: Transaction) -> None:
    announce(tx, "participants")
    announce(tx, "jobs")


async def woken(wake: asyncio.Event) -> None:
    async with asyncio.timeout(WITHIN):
        await wake.wait()
    wake.clear()


async def listening(database: Database) -> asyncio.Event:
    """An event that hints about participants set, from now on those of other processes, too."""
    wake = asyncio.Event()
    database.commits.listen("participants", wake)
    await until(lambda: database.commits.come_from_all)
    return wake


async def test_a_commit_wakes_the_listeners_of_another_process(two: tuple[Database, Database]) -> None:
    first, second = two
    wake, other = await listening(second), asyncio.Event()
    second.commits.listen("deliveries", other)
    for _ in range(3):
        await first.write(work)
        await woken(wake)
    assert not other.is_set()


async def test_a_process_that_ends_after_its_commit_sends_the_hint_first(
    two: tuple[Database, Database], postgres_url: str
) -> None:
    wake = await listening(two[1])
    command = open_database(postgres_url)
    await command.write(work)
    await command.close()
    await woken(wake)


async def test_a_lost_connection_is_made_again_and_wakes_listeners_for_what_they_missed(
    two: tuple[Database, Database], postgres_cluster: PostgresCluster
) -> None:
    first, second = two
    wake = await listening(second)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
    postgres_cluster.query("postgres", others)
    await woken(wake)
    assert second.commits.come_from_all
    await first.write(work)
    await woken(wake)


async def test_behind_pgbouncer_no_hint_is_relied_on(postgres_cluster: PostgresCluster, postgres_url: str) -> None:
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    direct = open_database(postgres_url)
    wake = await listening(direct)
    with postgres_cluster.behind_pgbouncer() as folder:
        pooled = open_database(f"postgresql://postgres@/{name}?host={folder}&port=6432")
        try:
            own = asyncio.Event()
            pooled.commits.listen("participants", own)
            await pooled.write(work)
            await woken(own)  # a commit of its own process
            await woken(wake)  # and another process, which is connected directly
            assert not pooled.commits.come_from_all
        finally:
            await pooled.close()
            await direct.close()


@pytest.mark.parametrize("listens", [True, False])
async def test_closing_ends_the_connection_for_hints(
    postgres_url: str, postgres_cluster: PostgresCluster, listens: bool
) -> None:
    database = open_database(postgres_url)
    if listens:
        await listening(database)
    await database.write(work)
    await database.close()
    name = postgres_url.partition("?")[0].rpartition("/")[2]

    def connections() -> int:
        ((number,),) = postgres_cluster.query(
            "postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", name
        )
        return int(number)

    await until(lambda: connections() == 0)
