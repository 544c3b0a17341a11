"""How calls end: rooms deleted, tokens expired, Janus gone, the server stopped."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from aiohttp import ClientError, WSMsgType, WSServerHandshakeError

from portico.db.connect import open_database
from portico.services import gateways
from portico.signaling.effects import CloseCode
from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.gateway.browser import SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.receiver import Receiver
from tests.servers import PorticoServer
from tests.waiting import until_in_thread as until


@pytest.fixture
def own(tmp_path: Path, portico: type[PorticoServer]) -> Iterator[Rooms]:
    """A server that the test may hurt."""
    with portico(tmp_path / "data", empty_session_grace_secs="1") as server:
        yield Rooms(server)


async def test_deleting_the_room_ends_the_call_with_its_facts(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna:
        await anna.join()
        (session,) = rooms.sessions(room)
        rooms.rest.rooms.delete(room)
        await asyncio.wait_for(anna.closed.wait(), 2)
        assert anna.close_code == CloseCode.SESSION_ENDED
        ended = rooms.server.get(f"/v2/room_sessions/{session['id']}?include_participants=true")["data"]
        assert not ended["active"]
        assert ended["participants"][0]["left_at"] == ended["ended_at"]


async def disconnect(browser: SignalingBrowser, server: PorticoServer) -> None:
    """As the SDK does: says goodbye and closes in one breath. The server receives both at once."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        await browser.say({"janus": "destroy", "transaction": "goodbye", "client_token": browser.token})
        await browser.socket.send_frame((1000).to_bytes(2), WSMsgType.CLOSE)
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize(("how", "reason"), [("leaves", "left"), ("closes the tab", "left"), ("is lost", "timeout")])
async def test_the_reason_for_leaving_is_how_a_participant_left(rooms: Rooms, how: str, reason: str) -> None:
    async with Receiver() as receiver:
        room = rooms.create(webhook_event_url=receiver.url, webhook_timeout_secs=30)
        async with rooms.browser(room) as anna:
            await anna.join()
            match how:
                case "leaves":
                    await disconnect(anna, rooms.server)
                case "closes the tab":
                    await anna.leave()
                case "is lost":
                    await anna.vanish()
            received = await receiver.wait_for(3, within=10)
    payloads = [request.json["data"]["payload"] for request in received]
    assert [payload["left_reason"] for payload in payloads if "left_reason" in payload] == [reason]


async def test_an_expired_token_ends_no_running_call(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room, token=rooms.token(room, token_ttl_secs=10)) as anna:
        await anna.join()
        stale = rooms.token(room, token_ttl_secs=10)
        await asyncio.sleep(16)  # the ttl and the leeway: time itself is what this test is about
        assert (await anna.ask("keepalive"))["janus"] == "ack"
        anna.token = stale
        assert (await anna.ask("keepalive"))["janus"] == "ack"
        async with rooms.browser(room, token=stale) as late:
            assert "portico" not in await late.ask("create")  # no relay either
            with pytest.raises(Exception, match="expired"):
                await late.attach("janus.plugin.videoroom")


async def test_a_call_may_end_with_its_token(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data", token_expiry="session") as server:
        rooms = Rooms(server)
        room = rooms.create()
        async with (
            rooms.browser(room, token=rooms.token(room, token_ttl_secs=10)) as anna,
            rooms.browser(room, token=rooms.token(room, token_ttl_secs=10)) as ben,
        ):
            await anna.join()
            await ben.join()
            ben.token = rooms.token(room)
            await ben.ask("keepalive")
            await asyncio.wait_for(anna.closed.wait(), 20)
            assert anna.events[-1]["status_code"] == 401
            assert not ben.closed.is_set()


async def test_a_hanging_janus_is_noticed_and_the_next_call_works(own: Rooms) -> None:
    room = own.create()
    (janus,) = own.server.descendants("janus")
    async with own.browser(room) as anna:
        await anna.join()
        os.kill(janus, signal.SIGSTOP)
        await asyncio.wait_for(anna.closed.wait(), 12)
        assert anna.close_code == CloseCode.MEDIA_LOST
    (session,) = own.sessions(room)
    assert not session["active"]
    await until(lambda: own.figure("portico_janus_up") == 1, 5)
    async with own.browser(room) as ben:
        await ben.join()


async def test_a_killed_janus_ends_its_sessions_with_their_facts(own: Rooms) -> None:
    room = own.create()
    (janus,) = own.server.descendants("janus")
    async with own.browser(room) as anna:
        await anna.join()
        os.kill(janus, signal.SIGKILL)
        await asyncio.wait_for(anna.closed.wait(), 3)
        assert anna.close_code == CloseCode.MEDIA_LOST
    assert [one["left_at"] is not None for one in own.participants(room)] == [True]


async def test_after_kill_9_of_the_server_no_ghost_is_left(own: Rooms) -> None:
    room = own.create()
    browsers = [own.browser(room) for _ in range(3)]
    for browser in browsers:
        await browser.__aenter__()
        await browser.join()
    own.server.kill9()
    for browser in browsers:
        await asyncio.wait_for(browser.closed.wait(), 3)
        await browser.leave()
    await asyncio.to_thread(own.server.start)
    assert all(one["left_at"] is not None for one in own.participants(room))
    await until(lambda: not own.sessions(room)[0]["active"], 5)
    async with own.browser(room) as anna:
        await anna.join()
    assert len(own.sessions(room)) == 2


async def test_hanging_up_the_terminal_ends_as_a_stop_does(own: Rooms) -> None:
    room = own.create()
    async with own.browser(room) as anna:
        await anna.join()
        os.kill(own.server.pid, signal.SIGHUP)
        await asyncio.wait_for(anna.closed.wait(), 30)
        assert anna.close_code == CloseCode.RESTART
        assert await asyncio.to_thread(own.server.wait) == 0
    own.server.start()
    assert own.participants(room)[0]["left_at"] is not None


def _is_ready(server: PorticoServer) -> bool:
    try:
        with urlopen(f"{server.base_url}/readyz", timeout=ANSWERS_WITHIN_SECS):
            return True
    except HTTPError:
        return False


async def test_a_server_that_drains_lets_calls_end_and_begins_none(
    tmp_path: Path, portico: type[PorticoServer]
) -> None:
    with portico(tmp_path / "data", drain_secs="60") as server:
        rooms = Rooms(server)
        room = rooms.create()
        late = rooms.browser(room)
        async with rooms.browser(room) as anna:
            await anna.join()
            os.kill(server.pid, signal.SIGTERM)
            await until(lambda: "draining" in server.log, 10)
            with pytest.raises(WSServerHandshakeError) as refused:
                await late.__aenter__()
            assert refused.value.status == 503
            assert (await anna.ask("keepalive"))["janus"] == "ack"
            await until(lambda: not _is_ready(server), 10)
            assert not anna.closed.is_set()
        assert await asyncio.to_thread(server.wait) == 0, "the last one has left: it need not wait"


@pytest.mark.parametrize(("drain_secs", "signals"), [("2", 1), ("600", 2)])
async def test_draining_ends_in_time_or_at_a_second_signal(
    tmp_path: Path, drain_secs: str, signals: int, portico: type[PorticoServer]
) -> None:
    with portico(tmp_path / "data", drain_secs=drain_secs) as server:
        rooms = Rooms(server)
        async with rooms.browser(rooms.create()) as anna:
            await anna.join()
            for _ in range(signals):
                os.kill(server.pid, signal.SIGTERM)
                await until(lambda: "draining" in server.log, 10)
            await asyncio.wait_for(anna.closed.wait(), 20)
            assert anna.close_code == CloseCode.RESTART
        assert await asyncio.to_thread(server.wait) == 0


async def test_a_server_that_stops_hands_over_to_one_that_has_just_started(
    tmp_path: Path, portico: type[PorticoServer], postgres_url: str
) -> None:
    """It looks for others when it stops: what it saw before may be a second old."""
    with portico(tmp_path / "data", database_url=postgres_url, hand_over_after_secs="0") as server:
        rooms = Rooms(server)
        async with rooms.browser(rooms.create()) as anna:
            await anna.join()
            db = open_database(postgres_url)
            try:
                await db.write(partial(gateways.register, now=datetime.now(UTC)))
            finally:
                await db.close()
            os.kill(server.pid, signal.SIGTERM)
            await asyncio.wait_for(anna.closed.wait(), 20)
        assert await asyncio.to_thread(server.wait) == 0
        assert "handing over" in server.log


async def test_no_socket_is_opened_by_a_server_that_stops(own: Rooms) -> None:
    """It would be cut off while its client waits for answers. Clients who are back at once are refused."""
    room = own.create()
    token = own.token(room)
    opened: list[SignalingBrowser] = []

    async def knock(stack: contextlib.AsyncExitStack) -> None:
        """Connect whenever the connection is closed, until nothing listens any more."""
        while True:
            browser = SignalingBrowser(own.server, room, token)
            try:
                await stack.enter_async_context(browser)
            except WSServerHandshakeError:
                continue
            except (ClientError, OSError):
                return
            opened.append(browser)
            await browser.closed.wait()

    async with contextlib.AsyncExitStack() as stack, own.browser(room) as anna:
        await anna.join()
        knocking = [asyncio.create_task(knock(stack)) for _ in range(8)]
        await until(lambda: len(opened) == 8)
        os.kill(own.server.pid, signal.SIGTERM)
        assert await asyncio.to_thread(own.server.wait) == 0
        await asyncio.wait_for(asyncio.gather(*knocking), 20)
        assert anna.close_code == CloseCode.RESTART
    codes = [browser.close_code for browser in opened]
    assert set(codes) == {CloseCode.RESTART}, codes


async def test_ctrl_c_closes_calls_and_writes_that_their_people_left(own: Rooms) -> None:
    room = own.create()
    async with own.browser(room) as anna:
        await anna.join()
        await asyncio.to_thread(own.server.stop)
        await asyncio.wait_for(anna.closed.wait(), 2)
        assert anna.close_code == CloseCode.RESTART
    own.server.start()
    assert own.participants(room)[0]["left_at"] is not None
    left = [event for event in own.events(room) if event["event_type"] == "video.room.participant.left"]
    assert [event["payload"]["left_reason"] for event in left] == ["server_stopped"]
