"""A server that stands still for longer than the lease, or than Janus may take to answer, ends no call."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portico.signaling.effects import CloseCode
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


async def test_a_suspended_server_among_others_loses_its_node_and_its_calls_are_joined_again(
    two: tuple[PorticoServer, PorticoServer], own_postgres: PostgresCluster
) -> None:
    """The agent of its node is suspended with it: after 10 s without a beat the others take the node for dead."""
    one, other = two
    elsewhere = Rooms(other)
    async with call(Rooms(one)) as caller:

        def left() -> bool:
            return elsewhere.participants(caller.room)[0]["left_at"] is not None

        os.kill(one.pid, signal.SIGSTOP)
        try:
            await until(left, 30)
            assert "media node lost" in other.log
            async with elsewhere.browser(caller.room) as newcomer:
                await newcomer.join()  # the room is on the other node now
        finally:
            os.kill(one.pid, signal.SIGCONT)
        async with asyncio.timeout(20):
            await caller.browser.closed.wait()
        assert caller.browser.close_code == CloseCode.MEDIA_LOST
        async with caller.rooms.browser(caller.room) as again:
            await again.join()
        found = own_postgres.query(
            "two",
            "SELECT event_type, payload->>'left_reason' FROM events WHERE payload->>'participant_id' = %s ORDER BY seq",
            caller.browser.participant_id,
        )
        kind = "video.room.participant"
        assert found == [(f"{kind}.joined", None), (f"{kind}.left", "media_lost")]


async def test_a_room_is_in_use_on_two_servers_and_outlives_one(two: tuple[PorticoServer, PorticoServer]) -> None:
    one, other = two
    elsewhere = Rooms(other)
    async with call(elsewhere) as caller, Rooms(one).browser(caller.room) as ben:
        await ben.join()
        await caller.browser.receives("participants")
        one.kill9()
        await until(lambda: "participants of a lost gateway left" in other.log, 30)
        await caller.is_still_in()
        await caller.another_joins(within=3)


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
