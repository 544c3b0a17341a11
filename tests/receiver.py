"""A real HTTP(S) server that receives webhooks and can answer anything, or nothing.

In a test:

    async with Receiver(status(500), hang(), otherwise=status(204)) as receiver:
        ...  # deliver something to receiver.url
        first, second = await receiver.wait_for(2, within=5)

Each request is answered by the next behaviour of the script, and by `otherwise` when the script is over. A behaviour
is an async function of one Exchange; those that tests use are below.

As a process of its own, which outlives what the test kills:

    python -m tests.receiver --port 0 --log requests.jsonl [--status 500] [--delay 0.1]

prints its URL and appends one JSON line per request, before it answers.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import socket
import ssl
import struct
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_HEAD_MOST = 64 * 1024
_ACCEPTED_AFTER = 5
"""Rounds of the event loop between accepting a connection and knowing it."""
_BODY_MOST = 16 * 1024 * 1024
_CHUNK = bytes(64 * 1024)


@dataclass(frozen=True)
class Received:
    """One request, as it arrived. Header names are in lower case."""

    at: datetime  # when its last byte was read
    connection: int  # counts from 1: equal numbers mean one connection
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def event(self) -> Any:
        """The webhook's `data`."""
        return self.json["data"]

    @property
    def data_bytes(self) -> bytes:
        """The bytes of the member `data`, which are the same in every attempt; `meta` follows it."""
        start, end = self.body.index(b'{"data":') + len(b'{"data":'), self.body.rindex(b',"meta":')
        return self.body[start:end]

    def unwrap(self, public_key: str) -> Any:
        """The event as the official SDK gives it, which checks signature and age; ValueError when it refuses."""
        from telnyx import Telnyx

        client = Telnyx(api_key="none", base_url="http://127.0.0.1:9/v2", public_key=public_key)
        return client.webhooks.unwrap(self.body.decode(), headers=self.headers)

    def check_signature(self, public_key: str) -> None:
        """Raises InvalidSignature unless the key signed this; the age does not matter (for clocks moved by tests)."""
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        signature = base64.b64decode(self.headers["telnyx-signature-ed25519"], validate=True)
        key.verify(signature, self.headers["telnyx-timestamp"].encode() + b"|" + self.body)

    def line(self) -> str:
        """For the log of the process: what `Received` holds, as JSON."""
        body = self.body.decode("utf-8", "replace")
        return json.dumps({**asdict(self), "at": self.at.isoformat(), "time": self.at.timestamp(), "body": body}) + "\n"


def read_log(path: Path) -> list[Received]:
    """What a receiver that runs as a process has written so far; a line half written is not there yet."""
    whole, _, _ = path.read_text().rpartition("\n") if path.exists() else ("", "", "")
    return [_from_line(json.loads(line)) for line in whole.splitlines()]


def _from_line(members: dict[str, Any]) -> Received:
    del members["time"]
    return Received(**{**members, "at": datetime.fromisoformat(members["at"]), "body": members["body"].encode()})


class Exchange:
    """What a behaviour works with: one request and the connection that it arrived on."""

    def __init__(self, request: Received, writer: asyncio.StreamWriter) -> None:
        self.request, self.writer = request, writer
        self.keep = True  # whether the connection lives on for another request afterwards

    async def write(self, raw: bytes) -> None:
        """Waits until the other side has taken most of it."""
        self.writer.write(raw)
        await self.writer.drain()
        # drain() does not wait where a transport drops what it gets, as that of uvloop after the end of TLS.
        await asyncio.sleep(0)

    async def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        """A complete, correct answer. `content_type="text/plain"` is the header Content-Type."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.write(head(code, {**named, "content-length": str(len(body))}) + body)

    def reset(self) -> None:
        """RST instead of FIN: what a crashed machine or a firewall does."""
        connected = self.writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        self.keep = False


Behaviour = Callable[[Exchange], Awaitable[None]]


def head(code: int, headers: dict[str, str]) -> bytes:
    phrase = HTTPStatus(code).phrase if code in set(HTTPStatus) else "Strange"
    lines = [f"HTTP/1.1 {code} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def status(code: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answers at once, correctly."""
    return lambda exchange: exchange.answer(code, body, **headers)


OK = status(200)


def retry_after(value: str, code: int = 503) -> Behaviour:
    return status(code, retry_after=value)


def redirect(location: str, code: int = 302) -> Behaviour:
    return status(code, location=location)


def slow(secs: float, then: Behaviour = OK) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await asyncio.sleep(secs)
        await then(exchange)

    return behave


def hang() -> Behaviour:
    """Takes the request and never says a word, until the other side hangs up."""
    return slow(3600)


def held(until: asyncio.Event, then: Behaviour = OK) -> Behaviour:
    """Answers when the test says so."""

    async def behave(exchange: Exchange) -> None:
        await until.wait()
        await then(exchange)

    return behave


def close() -> Behaviour:
    """Hangs up without an answer."""
    return raw(b"")


def reset(after: bytes = b"") -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.write(after)
        exchange.reset()

    return behave


def raw(answer: bytes) -> Behaviour:
    """Exactly these bytes, and then the end of the connection."""

    async def behave(exchange: Exchange) -> None:
        exchange.keep = False
        await exchange.write(answer)

    return behave


def unfinished(start: bytes) -> Behaviour:
    """Exactly these bytes, and then nothing."""

    async def behave(exchange: Exchange) -> None:
        await exchange.write(start)
        await asyncio.sleep(3600)

    return behave


def drip(answer: bytes, every: float = 0.05) -> Behaviour:
    """One byte at a time."""

    async def behave(exchange: Exchange) -> None:
        for byte in answer:
            await exchange.write(bytes([byte]))
            await asyncio.sleep(every)

    return behave


def endless(start: bytes, repeat: bytes) -> Behaviour:
    """Once `start`, then `repeat` as fast as the other side takes it, for ever."""

    async def behave(exchange: Exchange) -> None:
        await exchange.write(start)
        block = repeat * max(1, len(_CHUNK) // len(repeat))
        while True:
            await exchange.write(block)

    return behave


def gigabytes(code: int = 200) -> Behaviour:
    """A body that says it has a terabyte, of zeros."""
    return endless(head(code, {"content-length": str(10**12)}), _CHUNK)


def endless_headers() -> Behaviour:
    return endless(b"HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n")


def endless_header() -> Behaviour:
    """A single header whose value does not end."""
    return endless(b"HTTP/1.1 200 OK\r\nx-long: ", b"x" * 1024)


def endless_informational() -> Behaviour:
    """100 Continue for ever, and no final status."""
    return endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")


class Receiver:
    """Listens from entering the context to leaving it. `stop` and `start` make it go away and come back."""

    def __init__(
        self,
        *script: Behaviour,
        otherwise: Behaviour = OK,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str = "/hook",
        log: TextIO | None = None,
    ) -> None:
        self.script: deque[Behaviour] = deque(script)
        self.otherwise = otherwise
        self.requests: list[Received] = []
        self.connections = 0
        """How many were accepted so far."""
        self._tls, self._host, self._path, self._log = tls, host, path, log
        self.port = port  # the one that it got, from start() on; the same after stop() and start()
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._arrived = asyncio.Condition()

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}{self._path}"

    @property
    def open_connections(self) -> int:
        return len(self._open)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        # The backlog is for hundreds of connections at once.
        self._server = await loop.create_server(self._protocol, self._host, self.port, ssl=self._tls, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops listening and resets every connection."""
        if self._server is None:
            return
        # What was accepted last becomes a connection of ours first: a server that is closed meanwhile leaves it open.
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_ACCEPTED_AFTER):
            await asyncio.sleep(0)
        self._server.close()
        self._server = None
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open)

    async def wait_for(self, count: int, within: float) -> list[Received]:
        """All requests so far, as soon as there are `count` of them; AssertionError after `within` seconds."""
        try:
            async with asyncio.timeout(within), self._arrived:
                await self._arrived.wait_for(lambda: len(self.requests) >= count)
        except TimeoutError:
            arrived = [(request.method, request.target, request.body[:200]) for request in self.requests]
            raise AssertionError(f"{len(arrived)} of {count} requests arrived within {within:g} s: {arrived}") from None
        return list(self.requests)

    def _protocol(self) -> asyncio.Protocol:
        return _Protocol(asyncio.StreamReader(limit=_HEAD_MOST), self._accept)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        self.connections += 1
        serving = asyncio.create_task(self._serve(reader, writer, self.connections))
        gone = asyncio.create_task(writer.wait_closed())  # then a behaviour that waits for ever ends, too
        try:
            await asyncio.wait([serving, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (serving, gone):
                each.cancel()
            await asyncio.gather(serving, gone, return_exceptions=True)
            del self._open[task]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            keep = True
            while keep:
                request = await _read(reader, connection)
                await self._take(request)
                exchange = Exchange(request, writer)
                await self._next_behaviour()(exchange)
                keep = exchange.keep and request.headers.get("connection", "").lower() != "close"

    async def _take(self, request: Received) -> None:
        if self._log is not None:
            self._log.write(request.line())
            self._log.flush()
        async with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()

    def _next_behaviour(self) -> Behaviour:
        return self.script.popleft() if self.script else self.otherwise


class _Protocol(asyncio.StreamReaderProtocol):
    """Ends the connection when the other side has hung up; asyncio's own would leave it half open."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


async def _read(reader: asyncio.StreamReader, connection: int) -> Received:
    raw_head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = raw_head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    assert length <= _BODY_MOST
    body = await reader.readexactly(length)
    return Received(datetime.now(UTC), connection, method, target, headers, body)


async def serve(arguments: argparse.Namespace) -> None:
    """The process: until it is killed."""
    behaviour = slow(arguments.delay, status(arguments.status)) if arguments.delay else status(arguments.status)
    with Path(arguments.log).open("a") as log:
        async with Receiver(otherwise=behaviour, port=arguments.port, log=log) as receiver:
            print(receiver.url, flush=True)
            await asyncio.Event().wait()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.receiver")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", required=True)
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
