"""A server that stands still for longer than the lease, or than Janus may take to answer, ends no call."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import PostgresCluster
from tests.gateway.conftest import Rooms
from tests.gateway.disturbed_server import STALL_SECS
from tests.gateway.outages import call
from tests.servers import PorticoServer
from tests.waiting import until_in_thread as until

pytestmark = pytest.mark.one_janus

ANSWERS_AGAIN_SECS = 10.0


def _stalling(server: PorticoServer) -> PorticoServer:
    server.command = (sys.executable, "-m", "tests.gateway.disturbed_server", "serve")
    server.environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    return server


async def test_a_stalled_event_loop(
    own_postgres: PostgresCluster, tmp_path: Path, portico: type[PorticoServer]
) -> None:
    """Another server on the same database would reap a gateway that does not beat."""
    own_postgres.execute("CREATE DATABASE stalled")
    url = own_postgres.url("stalled")
    settings = {"api_key": "KEY-of-two-processes", "database_url": url}
    with _stalling(portico(tmp_path / "a", **settings)) as server, portico(tmp_path / "b", **settings) as other:
        async with call(Rooms(server)) as caller:
            os.kill(server.pid, signal.SIGUSR1)
            begun = time.monotonic()
            await caller.keep_alive(within=STALL_SECS + ANSWERS_AGAIN_SECS)
            assert time.monotonic() - begun > STALL_SECS - 1, "it did not stall"
            await caller.is_still_in()
            await caller.another_joins(within=3)
        assert "lost gateway" not in other.log
        for log in (server.log, other.log):
            assert "gateway was reaped" not in log and "janus.lost" not in log


async def test_a_suspended_server(tmp_path: Path, portico: type[PorticoServer]) -> None:
    """On SQLite no other gateway could take it for dead."""
    with portico(tmp_path / "data") as server:
        async with call(Rooms(server)) as caller:
            os.kill(server.pid, signal.SIGSTOP)
            await asyncio.sleep(STALL_SECS)
            os.kill(server.pid, signal.SIGCONT)
            await caller.keep_alive()
            await caller.is_still_in()
            await caller.another_joins(within=3)
        assert "janus.lost" not in server.log


@pytest.fixture
def two(
    own_postgres: PostgresCluster, tmp_path: Path, portico: type[PorticoServer]
) -> Iterator[tuple[PorticoServer, PorticoServer]]:
    own_postgres.execute("DROP DATABASE IF EXISTS two WITH (FORCE)")
    own_postgres.execute("CREATE DATABASE two")
    settings = {
        "api_key": "KEY-of-two-processes",
        "database_url": own_postgres.url("two"),
        "empty_session_grace_secs": "60",
    }
    with portico(tmp_path / "a", **settings) as one, portico(tmp_path / "b", **settings) as other:
        yield one, other


async def test_a_suspended_server_among_others_takes_its_participants_back(
    two: tuple[PorticoServer, PorticoServer], own_postgres: PostgresCluster
) -> None:
    one, other = two
    elsewhere = Rooms(other)
    async with call(Rooms(one)) as caller:

        def left() -> bool:
            return elsewhere.participants(caller.room)[0]["left_at"] is not None

        os.kill(one.pid, signal.SIGSTOP)
        try:
            await until(left, 30)
            assert "participants of a lost gateway left" in other.log
        finally:
            os.kill(one.pid, signal.SIGCONT)
        await until(lambda: not left(), 10)
        await caller.is_still_in()
        await caller.another_joins(within=3)
        found = own_postgres.query(
            "two",
            "SELECT event_type, payload->>'left_reason' FROM events WHERE payload->>'participant_id' = %s ORDER BY seq",
            caller.browser.participant_id,
        )
        kind = "video.room.participant"
        assert found == [(f"{kind}.joined", None), (f"{kind}.left", "timeout"), (f"{kind}.joined", None)]


async def test_a_room_is_in_use_on_one_server_at_a_time(two: tuple[PorticoServer, PorticoServer]) -> None:
    one, other = two
    async with call(Rooms(one)) as caller:
        elsewhere = type(caller)(Rooms(other), caller.room, caller.browser)
        refused = await elsewhere.refused_to_join(elsewhere.rooms.token(caller.room))
        assert refused.status == 503
        assert "in use on another server" in str(refused)
        one.kill9()
        await until(lambda: "participants of a lost gateway left" in other.log, 30)
        async with elsewhere.rooms.browser(caller.room) as newcomer:
            await newcomer.join()


async def test_a_server_that_is_started_again_waits_for_no_lease(two: tuple[PorticoServer, PorticoServer]) -> None:
    """It has DATA_DIR locked, so its predecessor is dead: the room is free as soon as the server answers."""
    one, _ = two
    rooms = Rooms(one)
    room = rooms.create()
    async with rooms.browser(room) as lost:
        await lost.join()
        one.kill9()
        await asyncio.to_thread(one.start)
        assert rooms.participants(room)[0]["left_at"] is not None
        async with rooms.browser(room) as newcomer:
            await newcomer.join()
