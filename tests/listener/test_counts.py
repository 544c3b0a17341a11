"""How many connections one client may have: few without a token, with tokens as many as their rooms admit."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from portico.gateway import joining
from tests.gateway.browser import Refused
from tests.gateway.conftest import Rooms
from tests.listener.raw import Raw, handshake, is_open, many
from tests.servers import PorticoServer
from tests.signaling.conversation import AUDIOBRIDGE
from tests.waiting import until_in_thread as until

PER_ADDRESS = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    """With the limits that an installation has."""
    with portico(tmp_path_factory.mktemp("counts") / "data") as server:
        yield server


async def test_a_thousand_silent_sockets_do_not_get_in_and_a_hundred_people_do(
    server: PorticoServer, rooms: Rooms
) -> None:
    """All of one address, at the same time."""
    people = [(room, rooms.token(room)) for room in (rooms.create(max_participants=50) for _ in range(4))]
    async with many(server, 1000) as silent, AsyncExitStack() as stack:

        def those_left() -> int:
            return sum(is_open(each) for each in silent)

        await until(lambda: those_left() <= PER_ADDRESS, within=20)
        await asyncio.sleep(3)  # from this age on they give way
        browsers = [rooms.browser(room, token=token) for room, token in people for _ in range(25)]
        for browser in browsers:
            await stack.enter_async_context(browser)
            await browser.create()
        assert those_left() <= PER_ADDRESS - 1
        assert not any(browser.closed.is_set() for browser in browsers)
        assert rooms.figure("portico_sockets") >= 100
        assert rooms.figure("portico_sockets_without_token") <= PER_ADDRESS


async def test_a_socket_that_says_nothing_gives_way_to_a_new_one(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data", sockets_per_address="5") as server:
        async with many(server, 5) as silent, Raw(server) as refused:
            assert (await refused.answer()).startswith(b"HTTP/1.1 503 ")  # they may be about to say something
            await asyncio.sleep(3)
            async with Raw(server) as client:
                await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await client.head()).startswith(b"HTTP/1.1 200 ")
                assert [is_open(each) for each in silent] == [False, True, True, True, True]


async def test_sockets_of_a_token_that_do_not_join_are_few(rooms: Rooms) -> None:
    room = rooms.create(max_participants=8)
    token = rooms.token(room)
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(rooms.browser(room, token=token)) for _ in range(19)]
        for browser in browsers[:18]:  # 16 and a quarter of the room's limit
            await browser.create()
        began = time.monotonic()
        await browsers[18].create()  # is answered as if: the SDK would not process a refusal
        with pytest.raises(Refused, match="have not joined") as refused:
            await browsers[18].attach(AUDIOBRIDGE)
        assert refused.value.status == 503
        assert time.monotonic() - began > joining.WAIT_SECS - 1
        await browsers[0].leave()
        late = await stack.enter_async_context(rooms.browser(room, token=token))
        await late.create()  # in the place of the one that left
        async with rooms.browser(room) as other:  # with a token of its own
            await other.join()


async def test_a_socket_for_no_room_is_refused_before_it_is_one(server: PorticoServer, rooms: Rooms) -> None:
    async with Raw(server) as other_client:
        with pytest.raises(AssertionError, match="404 Not Found"):
            await other_client.upgrade(str(uuid4()))
    async with Raw(server) as client:
        await client.upgrade(rooms.create())  # made a moment ago


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Sec-WebSocket-Version: 12", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="], 426),
        (["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"], 400),
        (["Sec-WebSocket-Version: 13"], 400),
    ],
)
async def test_what_is_no_handshake_is_refused(
    server: PorticoServer, rooms: Rooms, lines: list[str], status: int
) -> None:
    head = [f"GET /{rooms.create()}/janus HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket", *lines]
    async with Raw(server) as client:
        await client.send("\r\n".join([*head, "", ""]).encode())
        assert (await client.answer()).startswith(f"HTTP/1.1 {status} ".encode())


async def test_behind_a_trusted_proxy_every_client_counts_for_itself(
    tmp_path: Path, portico: type[PorticoServer]
) -> None:
    settings = {"trusted_proxies": "127.0.0.1", "sockets_per_address": "2"}
    with portico(tmp_path / "data", **settings) as server:
        room = Rooms(server).create()
        async with AsyncExitStack() as stack:

            async def come(header: str) -> bytes:
                client = await stack.enter_async_context(Raw(server))
                try:
                    await client.upgrade(room, header)
                except AssertionError as refused:
                    return str(refused).encode()
                return b"101"

            for address in ("192.0.2.1", "192.0.2.2"):
                assert await come(f"X-Forwarded-For: 6.6.6.6, {address}") == b"101"
                assert await come(f"Forwarded: for={address}") == b"101"
                assert b"503 Service Unavailable" in await come(f"X-Forwarded-For: {address}")
            for number in range(2):
                assert await come(f"X-Forwarded-For: 2001:db8::{number + 1}") == b"101"
            assert b"503 Service Unavailable" in await come("X-Forwarded-For: 2001:db8::ffff")


async def test_a_key_on_a_proxys_connection_admits_no_other_client(
    tmp_path: Path, portico: type[PorticoServer]
) -> None:
    """Proxies send the requests of many clients, and at last a handshake, over one connection."""
    settings = {"trusted_proxies": "127.0.0.1", "sockets_per_address": "2"}
    with portico(tmp_path / "data", **settings) as server:
        room = Rooms(server).create()
        head = ["GET /v2/public_key HTTP/1.1", "Host: x", f"Authorization: Bearer {server.api_key}"]
        request = "\r\n".join([*head, "X-Forwarded-For: 192.0.2.1", "", ""]).encode()
        async with AsyncExitStack() as stack:
            for number in range(3):
                client = await stack.enter_async_context(Raw(server))
                await client.send(request)
                answer = await client.head()
                length = next(int(line.split(b":")[1]) for line in answer.lower().splitlines() if b"length" in line)
                for _ in range(length):
                    await asyncio.get_running_loop().sock_recv(client.socket, 1)
                await client.send(handshake(room, "X-Forwarded-For: 192.0.2.2"))
                assert (await client.head()).startswith(b"HTTP/1.1 101 " if number < 2 else b"HTTP/1.1 503 ")


async def test_headers_of_others_than_trusted_proxies_do_not_count(
    tmp_path: Path, portico: type[PorticoServer]
) -> None:
    with portico(tmp_path / "data", sockets_per_address="2") as server:
        async with AsyncExitStack() as stack:
            for number in range(3):
                client = await stack.enter_async_context(Raw(server))
                await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n" % number)
                head = await client.head()
                assert head.startswith(b"HTTP/1.1 200 " if number < 2 else b"HTTP/1.1 503 ")


async def test_the_request_limit_counts_the_client_that_a_trusted_proxy_names(
    tmp_path: Path, portico: type[PorticoServer]
) -> None:
    with portico(tmp_path / "data", trusted_proxies="127.0.0.1", rate_limit="2/h") as server:

        async def status(address: str) -> bytes:
            head = ["GET /v2/rooms HTTP/1.1", "Host: x", f"X-Forwarded-For: {address}", "Connection: close", "", ""]
            async with Raw(server) as client:
                await client.send("\r\n".join(head).encode())
                return (await client.answer())[9:12]

        assert [await status("192.0.2.1") for _ in range(3)] == [b"401", b"401", b"429"]
        assert await status("192.0.2.2") == b"401"


async def test_janus_comes_back_while_an_attacker_holds_all_descriptors(
    tmp_path: Path, portico: type[PorticoServer]
) -> None:
    """192 of 256 are for connections; the limit of anonymous ones is far above it."""
    limits = {"sockets_per_address": "5000", "sockets_without_token": "5000"}
    with portico(tmp_path / "data", prefix=("prlimit", "--nofile=256:256", "--"), **limits) as server:
        rooms = Rooms(server)
        (janus,) = server.descendants("janus")
        async with many(server, 600) as silent:
            await until(lambda: sum(is_open(each) for each in silent) < 200, within=20)
            assert len(list(Path(f"/proc/{server.pid}/fd").iterdir())) <= 200
            os.kill(janus, signal.SIGKILL)
            await until(lambda: any(pid != janus for pid in server.descendants("janus")), within=20)
        await until(lambda: rooms.figure("portico_janus_up") == 1, within=20)
