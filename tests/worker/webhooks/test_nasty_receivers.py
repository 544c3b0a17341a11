"""Receivers that answer anything: an attempt ends in time, keeps little, drops its connection, says what it was."""

import asyncio
import gc
import os
import time
from pathlib import Path

import pytest

from portico.worker.webhooks import sender as sending
from portico.worker.webhooks.sender import Sender
from tests import receiver as nasty
from tests.pace import Pace
from tests.receiver import Behaviour, Receiver, raw, reset, unfinished
from tests.waiting import WITHIN_SECS
from tests.worker.webhooks.conftest import QUICKLY, sent

FAILED: dict[str, tuple[Behaviour, str]] = {
    "hangs": (nasty.hang(), "timed out after 0.4 s"),
    "closes": (nasty.close(), "the connection was closed without an answer"),
    "resets": (reset(), "connection reset by peer"),
    "resets in the headers": (reset(b"HTTP/1.1 200 OK\r\nx: "), "connection reset by peer"),
    "closes in the headers": (raw(b"HTTP/1.1 200 OK\r\nx: "), "the connection was closed without an answer"),
    "stops in the headers": (unfinished(b"HTTP/1.1 200 OK\r\nx: "), "timed out after 0.4 s"),
    "drips": (nasty.drip(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), "timed out after 0.4 s"),
    "never ends its headers": (nasty.endless_headers(), "the answer's headers are too long"),
    "never ends one header": (nasty.endless_header(), "the answer's headers are too long"),
    "never ends its status line": (nasty.endless(b"HTTP/1.1 200 ", b"O" * 1000), "the answer's headers are too long"),
    "answers 100 for ever": (nasty.endless_informational(), "timed out after 0.4 s"),
    "answers blank lines for ever": (nasty.endless(b"", b"\r\n" * 1000), "timed out after 0.4 s"),
    "answers zeros": (nasty.endless(b"", bytes(1000)), "the answer is not HTTP: "),
    "answers garbage": (raw(b"\x00\xff\xfe garbage\r\n\r\n"), "the answer is not HTTP: "),
    "answers as HTTP 0.9": (raw(b"<html>hello</html>"), "the answer is not HTTP: "),
    "speaks SSH": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "the answer is not HTTP: "),
    "speaks SMTP": (raw(b"220 mail.example.com ESMTP\r\n"), "the answer is not HTTP: "),
    "answers as HTTP 3": (raw(b"HTTP/3 200 OK\r\n\r\n"), "the answer is not HTTP: "),
    "has two lengths": (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"), "the answer is not"),
    "has a NUL in a header": (raw(b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n"), "the answer is not HTTP: "),
    "has status 99": (raw(b"HTTP/1.1 99 Low\r\n\r\n"), "the answer is not HTTP: "),
    "has status 1000": (raw(b"HTTP/1.1 1000 High\r\n\r\n"), "the answer is not HTTP: "),
    "switches protocols": (raw(b"HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nx"), "answered 101"),
    "fails with gigabytes": (nasty.gigabytes(500), "answered 500"),
    "fails and never ends": (unfinished(b"HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\n"), "answered 500"),
}
DELIVERED: dict[str, Behaviour] = {
    "sends gigabytes": nasty.gigabytes(),
    "never ends its body": unfinished(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"),
    "never begins its body": unfinished(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
    "resets in the body": reset(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"),
    "sends chunks for ever": nasty.endless(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "never ends the extension of a chunk": nasty.endless(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", b"x" * 1000
    ),
    "says it is packed": raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope"),
    "answers 100 and 103 first": raw(b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nx: y\r\n\r\nHTTP/1.1 204 N\r\n\r\n"),
    "speaks HTTP 1.0": raw(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"),
    "says more than it was asked": raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 500 No\r\n\r\n"),
}


@pytest.mark.parametrize("kind", FAILED)
async def test_it_is_recorded_as_what_it_was(sender: Sender, kind: str) -> None:
    behaviour, error = FAILED[kind]
    async with Receiver(behaviour) as receiver:
        async with Pace() as pace:
            outcome = await sent(sender, receiver.url, timeout_secs=limit_for(error))
        assert pace.secs < 5
        await gone(receiver)
        assert (await sent(sender, receiver.url)).delivered  # the next one gets a connection of its own
    assert outcome.error is not None and outcome.error.startswith(error)
    assert outcome.error.isprintable() and len(outcome.error) <= 300
    assert (outcome.status is None) == (not error.startswith("answered"))
    assert not outcome.delivered


@pytest.mark.parametrize("kind", DELIVERED)
async def test_a_2xx_counts_whatever_follows(sender: Sender, kind: str) -> None:
    async with Receiver(DELIVERED[kind]) as receiver:
        async with Pace() as pace:
            outcome = await sent(sender, receiver.url)
        assert pace.secs < 5  # not the ten seconds
        await gone(receiver)
        assert (await sent(sender, receiver.url)).delivered
    assert outcome.delivered and outcome.error is None
    assert len(outcome.response_body) <= 2000


async def test_the_body_has_what_is_left_of_the_time(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_BODY_SECS", 30.0)  # far from the limit, which a busy machine may nearly use up
    late = nasty.slow(0.7, unfinished(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"))
    async with Receiver(late) as receiver:
        async with Pace() as pace:
            outcome = await sent(sender, receiver.url, timeout_secs=3)
        assert pace.secs < 3.6  # and not the 30 s that it would have had, nor 3 s more
    assert (outcome.delivered, outcome.response_body) == (True, "abc")


async def test_headers_of_any_bytes_can_be_stored(sender: Sender) -> None:
    answer = raw(b"HTTP/1.1 500 \xe9\xff\r\nx: \xe9\xff\r\nx: two\r\ncontent-length: 0\r\n\r\n")
    async with Receiver(answer) as receiver:
        outcome = await sent(sender, receiver.url)
    outcome.response_headers["x"].encode()
    assert outcome.response_headers["x"].endswith(", two")


@pytest.mark.parametrize(
    "behaviour",
    [nasty.gigabytes(), nasty.gigabytes(500), nasty.endless_headers(), nasty.endless_informational()],
    ids=["2xx", "500", "headers", "informational"],
)
async def test_fifty_floods_take_little_memory_and_leave_nothing(sender: Sender, behaviour: Behaviour) -> None:
    async with Receiver(otherwise=behaviour) as receiver:
        await sent(sender, receiver.url, timeout_secs=QUICKLY)
        gc.collect()
        memory, descriptors = resident(), open_descriptors()
        await asyncio.gather(*(sent(sender, receiver.url, timeout_secs=QUICKLY) for _ in range(50)))
        grown = resident() - memory
        await gone(receiver)
        assert grown < 40_000_000  # the flooding servers' own buffers are in it: they run in this process
        async with asyncio.timeout(WITHIN_SECS):
            while open_descriptors() > descriptors + 2:
                await asyncio.sleep(0.01)


async def test_a_flood_leaves_time_for_others(sender: Sender) -> None:
    async with Receiver(otherwise=nasty.endless_informational()) as flooding, Receiver() as fast:
        flood = asyncio.create_task(sent(sender, flooding.url, timeout_secs=60))
        await flooding.wait_for(1, WITHIN_SECS)
        computed = time.process_time()  # how much of a second a busy machine leaves us says nothing about floods
        for _ in range(10):
            assert (await sent(sender, fast.url)).delivered
        assert time.process_time() - computed < 2
        assert not flood.done()
        flood.cancel()


def limit_for(error: str | None) -> float:
    return QUICKLY if error is not None and error.startswith("timed out") else 10


async def gone(receiver: Receiver) -> None:
    """The nasty connection is dropped, not drained: the receiver notices at once."""
    async with asyncio.timeout(WITHIN_SECS), Pace() as pace:
        while receiver.open_connections:
            await asyncio.sleep(0.01)
            assert pace.secs < 5


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
