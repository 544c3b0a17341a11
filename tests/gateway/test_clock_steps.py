"""The wall clock of the whole process is set while a call runs, by Debian's libfaketime."""

import asyncio
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.databases import PostgresCluster
from tests.gateway.conftest import Rooms
from tests.gateway.outages import call
from tests.receiver import Receiver, status
from tests.servers import PorticoServer
from tests.set_clock import SetClock
from tests.waiting import until_in_thread as until

pytestmark = pytest.mark.one_janus

STEPS = (16, 60, 3600, -600)


@pytest.fixture
def clock(tmp_path: Path) -> SetClock:
    return SetClock(tmp_path / "clock")


async def test_no_step_ends_a_call_or_holds_anything_up(
    clock: SetClock, tmp_path: Path, portico: type[PorticoServer]
) -> None:
    server = clock.rule(portico(tmp_path / "data", token_expiry="session"))
    with server:
        rooms = Rooms(server)
        async with Receiver() as receiver, call(rooms, webhook_event_url=receiver.url) as caller:
            await receiver.wait_for(2, within=10)
            for step in STEPS:
                known = len(receiver.requests)
                await noticed(clock, step, server)
                await caller.keep_alive()
                await caller.is_still_in()
                await caller.another_joins(within=3)
                await receiver.wait_for(known + 2, within=5)  # the newcomer joined and left
                assert abs(dated(rooms, caller.room) - (time.time() + clock.offset)) < 5
            await caller.is_still_in()
            assert not caller.browser.closed.is_set()


async def test_a_step_moves_what_waits(clock: SetClock, tmp_path: Path, portico: type[PorticoServer]) -> None:
    """A retry that is due in some seconds stays due in some seconds, whichever way the clock is set."""
    server = clock.rule(portico(tmp_path / "data"))
    with server:
        rooms = Rooms(server)
        async with Receiver(otherwise=status(500)) as receiver, call(rooms, webhook_event_url=receiver.url):
            await receiver.wait_for(2, within=10)
            for step in (3600, -4200):
                await noticed(clock, step, server)
            requests = await receiver.wait_for(4, within=10)
        rounds: dict[str, list[datetime]] = {}
        for request in requests:
            rounds.setdefault(request.json["data"]["id"], []).append(request.at)
        pauses = [second - first for first, second in (each[:2] for each in rounds.values() if len(each) > 1)]
        # Five seconds, with jitter, and what a busy machine needs.
        assert pauses and all(timedelta(seconds=4) <= pause < timedelta(seconds=8) for pause in pauses), pauses


async def noticed(clock: SetClock, step: int, server: PorticoServer) -> None:
    """Set the clock, and wait until the server has noticed."""
    before = server.log.count("clock was set")
    clock.set(step)
    await until(lambda: server.log.count("clock was set") > before, 5)


def dated(rooms: Rooms, room: str) -> float:
    """When the room's last event occurred, in Unix seconds, as its row says."""
    return datetime.fromisoformat(rooms.events(room)[-1]["occurred_at"]).replace(tzinfo=UTC).timestamp()


async def test_a_day_down_is_in_no_duration(clock: SetClock, tmp_path: Path, portico: type[PorticoServer]) -> None:
    server = clock.rule(portico(tmp_path / "data"))
    with server:
        rooms = Rooms(server)
        async with call(rooms) as caller:
            await asyncio.sleep(1)
            server.kill9()
        clock.set(86_400)
        await asyncio.to_thread(server.start)
        await until(lambda: not rooms.sessions(caller.room)[0]["active"], 10)
        ended = rooms.events(caller.room)
    durations = {event["event_type"]: event["payload"].get("duration_secs") for event in ended}
    assert durations["video.room.participant.left"] <= 6
    assert durations["video.room.session.ended"] <= 6


async def test_servers_whose_clocks_differ_and_jump_share_calls_and_webhooks(
    clock: SetClock, own_postgres: PostgresCluster, tmp_path: Path, portico: type[PorticoServer]
) -> None:
    """By a minute at first, then one of them jumps by an hour in either direction, and then it stands still."""
    own_postgres.execute("CREATE DATABASE clocks")
    settings = {"api_key": "KEY-of-two-processes", "database_url": own_postgres.url("clocks")}
    one, ahead = portico(tmp_path / "a", **settings), portico(tmp_path / "b", **settings)
    clock.rule(ahead)
    clock.set(60)
    with one, ahead:
        async with (
            Receiver() as receiver,
            call(Rooms(one), webhook_event_url=receiver.url) as caller,
            call(Rooms(ahead), webhook_event_url=receiver.url) as other,
        ):
            await receiver.wait_for(4, within=10)
            for jump in (0, 3600, -7200):
                clock.set(jump)
                await asyncio.sleep(2)  # longer than a clock is looked at
                known = len(receiver.requests)
                for each in (caller, other):
                    await each.another_joins(within=3)
                await receiver.wait_for(known + 4, within=10)  # both newcomers joined and left
                for each in (caller, other):
                    await each.is_still_in()
                    newest = max(one["joined_at"] for one in each.rooms.participants(each.room))
                    by_database = datetime.fromisoformat(newest).timestamp()
                    assert abs(by_database - time.time()) < 30, "by the clock of the database"
            os.kill(ahead.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(4)
                await caller.is_still_in()
            finally:
                os.kill(ahead.pid, signal.SIGCONT)
            for each in (caller, other):
                await each.another_joins(within=5)
                await each.is_still_in()
        for server in (one, ahead):
            assert "reaped" not in server.log and "lost gateway" not in server.log
            assert "clock was set" not in server.log, "only the database's clock counts"
