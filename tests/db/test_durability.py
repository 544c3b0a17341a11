"""kill -9 of a process that writes: what it acknowledged is in the file, whole, and the file is good."""

import asyncio
import os
import random
import signal
from multiprocessing.connection import Connection
from typing import Any

from sqlalchemy import select

from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Transaction
from tests.db.processes import others
from tests.factories import NOW

KILLS = 24
WRITERS = 8
PAIR = ("first", "second")


async def test_no_acknowledged_write_is_lost_and_none_is_torn(sqlite_url: str) -> None:
    chance = random.Random(20260202)
    acknowledged: set[str] = set()
    for _ in range(KILLS):
        acknowledged |= await asyncio.to_thread(_write_until_killed, sqlite_url, chance.randint(1, 40))
    database = open_database(sqlite_url)
    try:
        stored = await database.read(_names)
        assert await database.read(lambda tx: tx.exec_driver_sql("PRAGMA integrity_check").scalar_one()) == "ok"
        assert await database.read(lambda tx: tx.exec_driver_sql("PRAGMA synchronous").scalar_one()) == 2, "FULL"
    finally:
        await database.close()
    assert len(acknowledged) >= KILLS
    halves = {name.rpartition(" ") for name in stored}
    firsts, seconds = ({key for key, _, half in halves if half == which} for which in PAIR)
    assert acknowledged <= firsts, "an acknowledged write is not in the file"
    assert firsts == seconds, "a transaction was torn"


def _write_until_killed(url: str, acknowledgements: int) -> set[str]:
    """Kill the writer after so many acknowledged commits; the keys of all that it acknowledged."""
    acknowledged: set[str] = set()
    with others(1, write_for_ever, url) as (writer,):
        while len(acknowledged) < acknowledgements:
            acknowledged.add(writer.ask())
        assert writer.process.pid
        os.kill(writer.process.pid, signal.SIGKILL)
        try:
            while True:  # what it had sent and we had not read yet
                acknowledged.add(writer.ask())
        except EOFError:
            return acknowledged


def write_for_ever(url: str, pipe: "Connection[Any, Any]") -> None:
    """In the other process: transactions of two rows each; a key is sent only when its rows are committed."""

    async def write() -> None:
        database = open_database(url)

        async def one_writer(number: int) -> None:
            for n in range(100_000):
                key = f"{os.getpid()} {number} {n}"
                await database.write(lambda tx, key=key: _insert_pair(tx, key))  # type: ignore[misc]
                pipe.send(key)

        await asyncio.gather(*map(one_writer, range(WRITERS)))

    asyncio.run(write())


def _insert_pair(tx: Transaction, key: str) -> None:
    for half in PAIR:
        name = f"{key} {half}"
        tx.execute(schema.accounts.insert().values(id=name, name=name, created_at=NOW))


def _names(tx: Transaction) -> list[str]:
    return list(tx.execute(select(schema.accounts.c.name)).scalars())
