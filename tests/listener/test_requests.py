"""HTTP from clients that never finish, never read, or never go."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from tests.listener.conftest import ANSWER_SECS, BODY_SECS, HEAD_SECS, IDLE_SECS
from tests.listener.raw import MEGABYTE, Raw, is_open, memory
from tests.servers import PorticoServer

LATE_SECS = 8.0
"""How much later than promised a deadline may end on a machine that is busy with other tests."""


@pytest.mark.parametrize(
    ("begin", "part"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"x-more: " + b"x" * 8000 + b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nx-long: ", b"x" * 8000),
        (b"GET /", b"x" * 8000),
        (b"", b"\r\n" * 4000),
        (b"GET /healthz HTTP/1.1\r\n", b"a:\r\n" * 100),
        (b"POST /v2/rooms HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n1;x=", b"x" * 8000),
        (b"POST /v2/rooms HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-more: ", b"x" * 8000),
    ],
    ids=["headers", "one header", "URL", "empty lines", "tiny headers", "chunk extension", "trailer"],
)
async def test_a_request_without_end_is_refused_before_it_takes_memory(
    server: PorticoServer, begin: bytes, part: bytes
) -> None:
    before = memory(server.pid)
    async with Raw(server) as attacker:
        await attacker.send(begin)
        sent = await attacker.send_until_closed(part, within=LATE_SECS)
    assert sent < MEGABYTE  # the limit of 64 kB, and what both systems keep underway
    assert memory(server.pid) - before < 10 * MEGABYTE


async def test_a_head_of_ordinary_size_passes(server: PorticoServer) -> None:
    async with Raw(server) as client:
        await client.send(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nconnection: close\r\ncookie: " + b"x" * 40_000 + b"\r\n\r\n"
        )
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_too_large_a_head_is_answered(server: PorticoServer) -> None:
    async with Raw(server) as client:
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\ncookie: " + b"x" * 66_000)
        assert (await client.answer()).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("sent", "secs"),
    [
        (b"", HEAD_SECS),
        (b"GET /healthz HTTP/1.1\r\nHost:", HEAD_SECS),
        (b"POST /v2/rooms HTTP/1.1\r\nHost: x\r\ncontent-length: 100\r\n\r\n{", BODY_SECS),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", IDLE_SECS),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET", HEAD_SECS),
    ],
    ids=["nothing", "half a head", "half a body", "no further request", "half of the next"],
)
async def test_who_stops_in_the_middle_is_disconnected(server: PorticoServer, sent: bytes, secs: int) -> None:
    async with Raw(server) as attacker:
        await attacker.send(sent)
        await attacker.answer(within=secs + LATE_SECS)


async def test_who_says_a_byte_now_and_then_is_disconnected_as_well(server: PorticoServer) -> None:
    async with Raw(server) as attacker, asyncio.timeout(HEAD_SECS + LATE_SECS):
        while is_open(attacker.socket):
            with contextlib.suppress(ConnectionError):
                await attacker.send(b"G")
            await asyncio.sleep(0.1)


async def test_an_unread_answer_is_dropped(server: PorticoServer) -> None:
    before = memory(server.pid)
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    async with Raw(server, receive_buffer=4096) as attacker:
        await attacker.send(request * 400)
        await attacker.seconds_until_closed(within=ANSWER_SECS + LATE_SECS)
    assert memory(server.pid) - before < 10 * MEGABYTE


async def test_a_slow_reader_gets_everything(server: PorticoServer) -> None:
    """For longer than the deadline, which counts only while nothing is read."""
    async with Raw(server, receive_buffer=4096) as client:
        await client.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 19)
        await client.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nconnection: close\r\n\r\n")
        received = bytearray()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while part := await loop.sock_recv(client.socket, 65536):
            received += part
            if loop.time() - began < ANSWER_SECS + 3:
                await asyncio.sleep(0.2)
    assert received.count(b"HTTP/1.1 200 ") == 20
    assert json.loads(bytes(received).rpartition(b"\r\n\r\n")[2])["openapi"]


async def test_pipelined_requests_are_answered_in_order(server: PorticoServer) -> None:
    paths = [b"/healthz" if number % 2 else b"/nope" for number in range(300)]
    async with Raw(server) as client:
        await client.send(b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in paths[:-1]))
        await client.send(b"GET %s HTTP/1.1\r\nHost: x\r\nconnection: close\r\n\r\n" % paths[-1])
        answers = (await client.answer(within=30)).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200" if path == b"/healthz" else b"404" for path in paths]


async def test_an_address_that_asks_too_often_has_to_wait(tmp_path: Path, portico: type[PorticoServer]) -> None:
    """Of requests without a key; those with one are the rate limit's business."""
    with portico(tmp_path / "data", requests_per_address="5") as server:

        async def secs(requests: int, header: str) -> float:
            request = f"GET /v2/rooms HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n".encode()
            began = asyncio.get_running_loop().time()
            for _ in range(requests):
                async with Raw(server) as client:
                    await client.send(request)
                    assert (await client.answer(within=30)).startswith(b"HTTP/1.1 ")
            return asyncio.get_running_loop().time() - began

        await secs(15, "")
        assert await secs(10, "") > 1.5
        assert await secs(10, f"Authorization: Bearer {server.api_key}\r\n") < 1.5


async def test_a_key_that_is_none_is_no_way_past_the_limit(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data", requests_per_address="5") as server:
        for path in ("/v2/rooms", "/healthz", "/nothing"):
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nConnection: close\r\n\r\n"
            began = asyncio.get_running_loop().time()
            for _ in range(25):
                async with Raw(server) as client:
                    await client.send(request.encode())
                    assert (await client.answer(within=30)).startswith(b"HTTP/1.1 ")
            assert asyncio.get_running_loop().time() - began > 1.5, path


async def test_a_large_body_arrives_whole(server: PorticoServer) -> None:
    body = b'{"unique_name": "' + b"x" * 900_000 + b'"}'
    head = f"POST /v2/rooms HTTP/1.1\r\nHost: x\r\nauthorization: Bearer {server.api_key}\r\nconnection: close\r\n"
    async with Raw(server) as client:
        await client.send(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 422 ") and b"unique_name" in answer
