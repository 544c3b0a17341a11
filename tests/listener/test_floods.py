"""Signaling sockets that flood, never read, or never answer, beside a call that must not notice."""

import asyncio
import json

import pytest

from tests.gateway.conftest import Rooms
from tests.listener.conftest import ANSWER_SECS
from tests.listener.raw import (
    CLOSE,
    CONTINUATION,
    MEGABYTE,
    PING,
    PONG,
    TEXT,
    Raw,
    flood,
    frame,
    memory,
    slowest_round_trip,
)
from tests.servers import PorticoServer

FLOOD_SECS = 3.0
NOTICED_SECS = 2.0
"""A bystander's round trip on a machine that is busy with other tests; unbounded, a flood let none through in 10 s."""
LATE_SECS = 8.0
KEEPALIVE = json.dumps({"janus": "keepalive", "transaction": "x"}).encode()


@pytest.mark.parametrize(
    ("first", "part"),
    [
        (b"", frame(PONG) * 10_000),
        (b"", frame(PING) * 10_000),
        (frame(TEXT, b"{", final=False), frame(CONTINUATION, final=False) * 10_000),
        (b"", frame(TEXT, KEEPALIVE) * 1000),
        (b"", frame(TEXT, b"x" * 8000) * 10),
        (b"", b"\xff" * 60_000),
    ],
    ids=["pongs", "pings", "continuations", "messages", "long messages", "garbage"],
)
async def test_an_anonymous_client_that_floods_is_not_noticed(
    server: PorticoServer, rooms: Rooms, first: bytes, part: bytes
) -> None:
    room = rooms.create()
    async with rooms.browser(room) as bystander:
        await bystander.join()
        before = memory(server.pid)
        async with Raw(server) as attacker:
            await attacker.upgrade(room)
            await attacker.send(first)
            with flood(attacker.socket, part):
                assert await slowest_round_trip(bystander, FLOOD_SECS) < NOTICED_SECS
        assert memory(server.pid) - before < 20 * MEGABYTE


async def test_a_participant_that_floods_is_not_noticed_and_slowed_down(rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as bystander, rooms.browser(room) as attacker:
        await bystander.join()
        await attacker.join()
        flooding = asyncio.create_task(_ask_on_and_on(attacker.socket.send_str))
        try:
            assert await slowest_round_trip(bystander, FLOOD_SECS) < NOTICED_SECS
        finally:
            flooding.cancel()
        await bystander.ask("keepalive")


async def _ask_on_and_on(send: object) -> None:
    number = 0
    while True:
        number += 1
        message = {"janus": "keepalive", "transaction": f"flood-{number}"}
        await send(json.dumps(message))  # type: ignore[operator]
        if number % 50 == 0:
            await asyncio.sleep(0)


async def test_who_reads_no_answers_takes_no_memory_and_goes(server: PorticoServer, rooms: Rooms) -> None:
    room = rooms.create()
    before = memory(server.pid)
    async with Raw(server, receive_buffer=4096) as attacker:
        await attacker.upgrade(room)
        with flood(attacker.socket, frame(PING, b"x" * 125) * 1000):
            await attacker.seconds_until_closed(within=30 + LATE_SECS)
    assert memory(server.pid) - before < 10 * MEGABYTE


async def test_an_unanswered_close_frame_ends_the_connection_in_time(server: PorticoServer, rooms: Rooms) -> None:
    room = rooms.create()
    sockets = rooms.figure("portico_sockets")
    async with Raw(server) as attacker:
        await attacker.upgrade(room)
        await attacker.send(frame(TEXT, b"{"))  # is answered with a refusal and a close frame
        await attacker.seconds_until_closed(within=5 + LATE_SECS)
    async with asyncio.timeout(LATE_SECS):
        while rooms.figure("portico_sockets") > sockets:
            await asyncio.sleep(0.1)


async def test_who_floods_after_a_refusal_is_cut_off(server: PorticoServer, rooms: Rooms) -> None:
    before = memory(server.pid)
    room = rooms.create()
    async with Raw(server) as attacker:
        await attacker.upgrade(room)
        await attacker.send(frame(TEXT, b"{"))
        taken = await attacker.send_until_closed(frame(PONG) * 1000, within=LATE_SECS)
    assert taken < MEGABYTE
    assert memory(server.pid) - before < 10 * MEGABYTE


async def test_a_message_in_too_many_pieces_is_refused(server: PorticoServer, rooms: Rooms) -> None:
    room = rooms.create()
    async with Raw(server) as attacker:
        await attacker.upgrade(room)
        await attacker.send(frame(TEXT, b"{", final=False) + frame(CONTINUATION, b" ", final=False) * 300)
        answer = await attacker.answer(within=30)
    assert int.from_bytes(answer[2:4]) == 1008 and answer[0] == 0x80 | CLOSE


async def test_a_message_in_some_pieces_is_read(server: PorticoServer, rooms: Rooms) -> None:
    room = rooms.create()
    async with Raw(server) as client:
        await client.upgrade(room)
        pieces = [KEEPALIVE[at : at + 4] for at in range(0, len(KEEPALIVE), 4)]
        await client.send(frame(TEXT, pieces[0], final=False) + frame(PING, b"between"))
        for piece in pieces[1:]:
            await client.send(frame(CONTINUATION, piece, final=False))
        await client.send(frame(CONTINUATION))
        answer = await client.answer()
    assert answer.startswith(bytes([0x80 | PONG, 7]) + b"between")
    assert b'"transaction":"x"' in answer and b"401" in answer


async def test_an_anonymous_client_on_a_signaling_socket_does_not_stay(server: PorticoServer, rooms: Rooms) -> None:
    """Whatever it answers: without a token there is nothing to stay for."""
    room = rooms.create()
    async with Raw(server) as attacker:
        await attacker.upgrade(room)
        await attacker.answer(within=10 + ANSWER_SECS + LATE_SECS)
