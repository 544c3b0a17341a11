"""What is left of Janus' ports and descriptors shows at /readyz and /metrics."""

import asyncio
import contextlib
import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aioice.ice import get_host_addresses

from portico.janus.capacity import CALL_OF_TWO_PORTS, Capacity, cameras_in_one_room, join_ports
from portico.signaling.liveness import PUBLISH_SECS
from tests.gateway.browser import Refused
from tests.gateway.conftest import Rooms
from tests.gateway.fuzzer import recorded_requests
from tests.gateway.media_peer import Mixer, Source, TextChannel, Videos
from tests.servers import PorticoServer
from tests.signaling.conversation import VIDEOROOM, stream_display
from tests.waiting import until_in_thread as until

PORTS = 40


@pytest.fixture
def free_range() -> tuple[int, int]:
    """A range of UDP ports of which none is in use, below those that Linux gives to sockets without a port (32768)."""
    slots = range(10000, 19000, PORTS)
    first = os.getpid() % len(slots)  # other test processes look for one at the same moment
    for low in (*slots[first:], *slots[:first]):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(low, low + PORTS):
                held.enter_context(_bound(port))
            return low, low + PORTS - 1
    raise AssertionError("no free range of ports")


@pytest.fixture
def server(tmp_path: Path, free_range: tuple[int, int], portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    low, high = free_range
    with portico(tmp_path / "data", rtp_ports=f"{low}-{high}") as server:
        yield server


@contextlib.contextmanager
def nothing_left(ports: tuple[int, int]) -> Iterator[None]:
    """Holds every port of the range that is free, on every address of this machine."""
    with contextlib.ExitStack() as held:
        for address in get_host_addresses(use_ipv4=True, use_ipv6=True):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for port in range(ports[0], ports[1] + 1):
                bound = held.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                with contextlib.suppress(OSError):
                    bound.bind((address, port))
        yield


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound


def ready(server: PorticoServer) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{server.base_url}/readyz", timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def becomes(server: PorticoServer, status: int) -> dict[str, Any]:
    """The answer with this status, which comes once what is remembered is old."""
    end = time.monotonic() + 15
    while (answer := ready(server))[0] != status:
        assert time.monotonic() < end, answer
        time.sleep(0.1)
    return answer[1]


def test_without_ports_for_a_join_the_server_is_not_ready(
    server: PorticoServer, rooms: Rooms, free_range: tuple[int, int]
) -> None:
    becomes(server, 200)
    assert rooms.figure("portico_janus_ports_total") == PORTS
    assert rooms.figure("portico_janus_descriptors") > 5
    assert rooms.figure("portico_janus_descriptors_total") >= 1024
    used = rooms.figure("portico_janus_ports_used")
    assert used < PORTS
    with contextlib.ExitStack() as held:
        for port in range(*free_range):
            with contextlib.suppress(OSError):
                held.enter_context(_bound(port))
        reasons = becomes(server, 503)["reasons"]
        assert list(reasons) == ["media"] and "ports" in reasons["media"]
        assert rooms.figure("portico_janus_ports_used") > PORTS - CALL_OF_TWO_PORTS
        assert "widen PORTICO_RTP_PORTS" in server.log
    becomes(server, 200)


async def test_the_ports_of_a_stream_of_which_nothing_comes_are_given_back(server: PorticoServer, rooms: Rooms) -> None:
    room = rooms.create()
    offers = (one["jsep"] for one in recorded_requests() if one.get("jsep", {}).get("type") == "offer")
    offer = next(one for one in offers if "m=video" in one["sdp"])
    async with rooms.browser(room) as anna:
        await anna.join()
        # The figure is counted once in a while: a moment ago the room was empty.
        await until(lambda: rooms.figure("portico_janus_ports_used") > 0, 5)
        idle = await asyncio.to_thread(rooms.figure, "portico_janus_ports_used")
        handle = await anna.attach(VIDEOROOM)
        body = {"request": "join", "ptype": "publisher", "display": stream_display("self", anna.participant_id)}
        await anna.request(handle, body)
        answer = await anna.ask("message", handle_id=handle, body={"request": "configure"}, jsep=offer)
        assert answer["plugindata"]["data"]["configured"] == "ok"
        await until(lambda: rooms.figure("portico_janus_ports_used") > idle, 5)
        await until(lambda: rooms.figure("portico_janus_ports_used") == idle, PUBLISH_SECS + 10)
        assert not anna.closed.is_set()


@pytest.mark.parametrize(
    ("capacity", "word"),
    [
        (Capacity(0, 20001, 20, 65536), None),
        (Capacity(19993, 20001, 20, 65536), None),
        (Capacity(19994, 20001, 20, 65536), "7 of 20001 media ports"),
        (Capacity(0, 20001, 1000, 1024), "24 of 1024 file descriptors"),
        (Capacity(0, 6, 20, 1024), None),  # a small range is not out of ports before the first join
    ],
)
def test_a_shortage_is_stated_in_a_sentence(capacity: Capacity, word: str | None) -> None:
    assert capacity.shortage() is None if word is None else word in str(capacity.shortage())


def test_one_more_needs_what_a_range_for_so_many_holds_more() -> None:
    for present in range(20):
        ports = (present + 1) * (present + 3)
        left = Capacity(present * (present + 2), ports, 20, 65536)
        assert cameras_in_one_room((1, ports)) == present + 1 and cameras_in_one_room((1, ports - 1)) == present
        assert left.shortage(join_ports(present)) is None
        assert left.shortage(join_ports(present) + 1) is not None


@pytest.mark.parametrize(("ports", "carried"), [(7, 1), (8, 2), (14, 2), (15, 3), (120, 10), (20001, 140)])
def test_a_range_carries_so_many_people_with_cameras(ports: int, carried: int) -> None:
    assert cameras_in_one_room((20000, 20000 + ports - 1)) == carried


async def test_a_join_without_ports_is_refused_in_words(
    server: PorticoServer, rooms: Rooms, free_range: tuple[int, int]
) -> None:
    assert "5 people with cameras in one room" in server.log and "cameras_in_one_room=5" in server.log
    room = rooms.create()
    with contextlib.ExitStack() as held:
        for port in range(*free_range):
            with contextlib.suppress(OSError):
                held.enter_context(_bound(port))
        await asyncio.to_thread(becomes, server, 503)
        for _ in range(2):
            async with rooms.browser(room) as anna:
                with pytest.raises(Refused, match="no port is left") as refused:
                    await anna.join()
                assert refused.value.status == 503
        assert server.log.count("janus.full") == 1
    await asyncio.to_thread(becomes, server, 200)
    async with rooms.browser(room) as anna:
        await anna.join()


def holds(rooms: Rooms, ports: int) -> bool:
    return rooms.figure("portico_janus_ports_used") == ports


async def test_people_with_cameras_hold_as_many_ports_as_the_start_says(server: PorticoServer, rooms: Rooms) -> None:
    """Each with a data channel, a mixer, a camera, and the cameras of all others; on the fullest address."""
    room = rooms.create()
    async with contextlib.AsyncExitStack() as stack:
        present: list[tuple[Videos, int]] = []
        for number in (1, 2, 3):
            browser = await stack.enter_async_context(rooms.browser(room))
            await browser.create()
            text = await stack.enter_async_context(TextChannel(browser))
            text.join(text.room, browser.participant_id)
            await browser.enter()
            await stack.enter_async_context(Mixer(browser, Source(440)))
            videos = await stack.enter_async_context(Videos(browser))
            feed = await videos.publish()
            for other, shown in present:
                await other.subscribe(feed)
                await videos.subscribe(shown)
            present.append((videos, feed))
            await until(partial(holds, rooms, number * (number + 2)), 10)


async def test_a_stream_or_a_subscription_without_a_port_is_refused_in_words_and_the_call_goes_on(
    server: PorticoServer, rooms: Rooms, free_range: tuple[int, int]
) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        for browser in (anna, ben):
            await browser.create()
            await browser.enter()
        async with Videos(anna) as annas, Videos(ben) as bens:
            feed = await annas.publish()
            with nothing_left(free_range):
                _, answer = await bens.offer()
                assert answer["type"] == "answer" and "no port is left" in answer["sdp"]
                _, offer = await bens.ask_for(feed)
                assert offer["type"] == "offer" and "no port is left" in offer["sdp"]
            assert "widen PORTICO_RTP_PORTS" in server.log
            await bens.subscribe(feed)
            await annas.subscribe(await bens.publish())
        assert not anna.closed.is_set() and not ben.closed.is_set()


async def test_a_mixer_without_a_port_is_refused_in_words(
    server: PorticoServer, rooms: Rooms, free_range: tuple[int, int]
) -> None:
    async with rooms.browser(rooms.create()) as anna:
        await anna.create()
        await anna.enter()
        with nothing_left(free_range), pytest.raises(Refused, match="no port is left") as refused:
            async with Mixer(anna, Source(440)):
                raise AssertionError("there is a port")
        assert refused.value.status == 503
        await asyncio.wait_for(anna.closed.wait(), 30)
        assert anna.close_code == 4006
