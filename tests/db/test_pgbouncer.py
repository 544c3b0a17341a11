"""PostgreSQL behind Debian's PgBouncer in transaction mode: each transaction may run on another server connection."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from portico.core.errors import DatabaseUnavailable
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.migrate import upgrade
from portico.services import participants
from tests.databases import PostgresCluster
from tests.factories import NOW, a_gateway, a_participant, a_room, row

AT_ONCE = 40
"""Many more than PgBouncer has server connections, and than a statement needs to be prepared by psycopg (5)."""


@pytest_asyncio.fixture(params=["", "ignore_startup_parameters = options"])
async def pooled(
    request: pytest.FixtureRequest, postgres_cluster: PostgresCluster, postgres_url: str
) -> AsyncIterator[Database]:
    """The database through a PgBouncer that refuses start-up options, or ignores them."""
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    with postgres_cluster.behind_pgbouncer(request.param) as folder:
        database = open_database(f"postgresql://postgres@/{name}?host={folder}&port=6432")
        try:
            yield database
        finally:
            await database.close()


async def test_the_schema_is_made(pooled: Database) -> None:
    def empty(tx: Transaction) -> None:
        tx.exec_driver_sql("DROP SCHEMA public CASCADE")
        tx.exec_driver_sql("CREATE SCHEMA public")

    await pooled.write(empty)
    await asyncio.to_thread(upgrade, pooled.engine)
    room_id = await pooled.write(a_room)
    assert (await pooled.read(partial(row, table=schema.rooms, row_id=room_id))).id == room_id


async def test_many_transactions_share_few_connections(pooled: Database) -> None:
    def call(tx: Transaction) -> tuple[str, str]:
        room_id = a_room(tx)
        return room_id, a_participant(tx, room_id, gateway_id=a_gateway(tx)).participant_id

    made = await asyncio.gather(*(pooled.write(call) for _ in range(AT_ONCE)))
    reads = [pooled.read(partial(row, table=schema.rooms, row_id=room_id)) for room_id, _ in made]
    assert [each.id for each in await asyncio.gather(*reads)] == [room_id for room_id, _ in made]
    leave = partial(participants.leave, reason="left", now=NOW)
    assert all(await asyncio.gather(*(pooled.write(partial(leave, participant_id=id_)) for _, id_ in made)))


async def test_timeouts_hold_in_each_transaction_and_stay_in_it(pooled: Database) -> None:
    def timeout_of(tx: Transaction) -> str:
        timeout: str = tx.exec_driver_sql("SHOW statement_timeout").scalar_one()
        return timeout

    assert set(await asyncio.gather(*(pooled.read(timeout_of) for _ in range(AT_ONCE)))) == {"15s"}


async def test_an_outage_behind_it_is_an_outage(pooled: Database) -> None:
    """PgBouncer itself answers when the server behind it has ended the connection."""

    def end_all(tx: Transaction) -> None:
        tx.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseUnavailable):
        await pooled.write(end_all)
    assert await pooled.write(a_room)
