"""Database outages: callers get a 503, the log a line, and calls that run go on."""

import asyncio
import contextlib
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.databases import PostgresCluster
from tests.gateway.conftest import Rooms
from tests.gateway.outages import Caller, call, write
from tests.mounts import with_disk
from tests.servers import PorticoServer
from tests.waiting import until_in_thread as until

pytestmark = pytest.mark.one_janus

OUTAGE_SECS = 20.0
"""Longer than the lease of a gateway."""
Outage = Callable[[], AbstractAsyncContextManager[None]]


async def check_an_outage(rooms: Rooms, outage: Outage) -> None:
    async with call(rooms) as caller:
        token, fresh = [await asyncio.to_thread(rooms.token, caller.room) for _ in range(2)]
        known = len(rooms.server.log)
        begun = time.monotonic()
        async with outage():
            while True:
                await check_during(caller, token)
                if time.monotonic() - begun > OUTAGE_SECS:
                    break
                await asyncio.sleep(1)
            caller.browser.token = fresh  # whether it was revoked cannot be found out now
            shown = asyncio.create_task(caller.keep_alive(within=60))
            await asyncio.sleep(1)
        await shown
        await until(lambda: "database available again" in rooms.server.log[known:], 10)
        await caller.is_still_in()
        await caller.another_joins(within=3)
        assert (await write(rooms)).status_code == 201
        log = rooms.server.log[known:]
        assert "Traceback" not in log
        assert log.count("database unavailable") == log.count("database available again") == 1


async def check_during(caller: Caller, token: str) -> None:
    answer = await write(caller.rooms)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["errors"][0]["detail"] == "The database does not answer; try again in a moment."
    refused = await caller.refused_to_join(token)
    assert refused.status == 503
    await caller.keep_alive()


async def test_a_foreign_write_lock(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data") as server:

        @asynccontextmanager
        async def locked() -> AsyncIterator[None]:
            with contextlib.closing(sqlite3.connect(tmp_path / "data" / "portico.db", timeout=10)) as other:
                other.execute("BEGIN IMMEDIATE")
                yield
                other.rollback()

        await check_an_outage(Rooms(server), locked)


async def test_a_full_disk(tmp_path: Path, portico: type[PorticoServer]) -> None:
    data = tmp_path / "data"
    data.mkdir()
    small = portico(data, recording_min_free_mb="1")
    small.command = with_disk(data, "24m", small.command)
    with small as server:
        disk = Path(f"/proc/{server.pid}/root{data}")

        @asynccontextmanager
        async def full() -> AsyncIterator[None]:
            filler = disk / "filler"
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                for size in (1 << 16, 1 << 10, 1):
                    with contextlib.suppress(OSError):
                        while True:
                            file.write(b"x" * size)
            yield
            filler.unlink()

        await check_an_outage(Rooms(server), full)


@pytest.mark.parametrize("how", ["stopped", "suspended"])
async def test_postgresql_away(
    own_postgres: PostgresCluster, tmp_path: Path, how: str, portico: type[PorticoServer]
) -> None:
    own_postgres.execute(f"CREATE DATABASE {how}")
    with portico(tmp_path / "data", database_url=own_postgres.url(how)) as server:

        @asynccontextmanager
        async def away() -> AsyncIterator[None]:
            own_postgres.stop() if how == "stopped" else own_postgres.suspend()
            try:
                yield
            finally:
                own_postgres.start() if how == "stopped" else own_postgres.suspend(signal.SIGCONT)

        await check_an_outage(Rooms(server), away)
