"""What only a database server does: it deadlocks, and it closes connections."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from portico.core.errors import DatabaseUnavailable
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.postgres import POSTGRES_THREADS
from tests.factories import NOW, a_room, an_account, row

SECS = 20.0
_KILL_OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest_asyncio.fixture
async def server(postgres_url: str) -> AsyncIterator[Database]:
    """The database under test."""
    opened = open_database(postgres_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def operator(postgres_url: str) -> AsyncIterator[Database]:
    """Connections of another program to the same database."""
    opened = open_database(postgres_url)
    yield opened
    await opened.close()


async def test_of_two_that_deadlock_both_succeed_and_each_once(server: Database) -> None:
    one, two = [await server.write(partial(a_room, max_participants=10)) for _ in range(2)]
    meeting = threading.Barrier(2)
    attempts: list[str] = []

    def crosswise(tx: Transaction, first: str, second: str) -> None:
        attempts.append(first)
        _one_more(tx, first)
        if attempts.count(first) == 1:
            meeting.wait(SECS)
        _one_more(tx, second)

    async with asyncio.timeout(SECS):
        await asyncio.gather(
            server.write(partial(crosswise, first=one, second=two)),
            server.write(partial(crosswise, first=two, second=one)),
        )
    assert len(attempts) in (3, 4), "they did deadlock, and one of them was run again, or both"
    for room_id in (one, two):
        assert (await server.read(partial(row, table=schema.rooms, row_id=room_id))).max_participants == 12


async def test_lost_connections_cost_later_requests_nothing(server: Database, operator: Database) -> None:
    await operator.write(an_account)
    for _ in range(3):
        await _open_every_connection(server)
        assert await operator.read(lambda tx: tx.exec_driver_sql(_KILL_OTHERS).scalar_one()) >= POSTGRES_THREADS
        async with asyncio.timeout(SECS):
            rooms = await asyncio.gather(*(server.write(a_room) for _ in range(20)))
            await asyncio.gather(*(server.read(partial(row, table=schema.rooms, row_id=each)) for each in rooms))


async def test_a_request_whose_connection_is_cut_fails_alone(server: Database, operator: Database) -> None:
    asleep = asyncio.create_task(server.write(lambda tx: tx.exec_driver_sql("SELECT pg_sleep(30)").scalar_one()))
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    async with asyncio.timeout(SECS):
        while not await operator.read(lambda tx: tx.exec_driver_sql(sleeping).scalar_one()):
            await asyncio.sleep(0.005)
        await operator.read(lambda tx: tx.exec_driver_sql(_KILL_OTHERS).scalar_one())
        with pytest.raises(DatabaseUnavailable):
            await asleep
        assert await server.write(a_room)


def _one_more(tx: Transaction, room_id: str) -> None:
    rooms = schema.rooms
    more = rooms.update().where(rooms.c.id == room_id)
    tx.execute(more.values(max_participants=rooms.c.max_participants + 1, updated_at=NOW))


async def _open_every_connection(database: Database) -> None:
    meeting = threading.Barrier(POSTGRES_THREADS)

    def meet(tx: Transaction) -> None:
        tx.exec_driver_sql("SELECT 1")
        meeting.wait(SECS)

    async with asyncio.timeout(SECS):
        await asyncio.gather(*(database.read(meet) for _ in range(POSTGRES_THREADS)))
