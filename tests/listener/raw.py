"""Clients that do what no browser does: raw sockets, frames by hand, floods from a thread."""

import asyncio
import base64
import contextlib
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol, Self

from tests.gateway.browser import SignalingBrowser
from tests.servers import PorticoServer

PONG, PING, CONTINUATION, TEXT, CLOSE = 0xA, 0x9, 0x0, 0x1, 0x8
MEGABYTE = 2**20


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """A client's frame: masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2)
    return bytes([0x80 * final | opcode]) + length + b"\0\0\0\0" + payload


def handshake(room_id: str, *headers: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET /{room_id}/janus HTTP/1.1", "Host: x", "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Protocol: janus-protocol"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


class Listening(Protocol):
    """A server, or what is known of one."""

    @property
    def port(self) -> int: ...


class Raw:
    """A TCP connection to the server, as an async context."""

    def __init__(self, server: Listening, *, receive_buffer: int | None = None, source: str = "127.0.0.1") -> None:
        self._address = ("127.0.0.1", server.port)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # what it sent, the server was sent
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind((source, 0))
        self.socket.setblocking(False)

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().sock_connect(self.socket, self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def send_until_closed(self, data: bytes, within: float) -> int:
        """Send it again and again; bytes that were taken before the server closed. Fails when it does not in time."""
        sent = 0
        async with asyncio.timeout(within):
            try:
                while True:
                    await self.send(data)
                    sent += len(data)
            except OSError:
                return sent

    async def answer(self, within: float = 10.0) -> bytes:
        """What comes until the server closes the connection."""
        received = b""
        async with asyncio.timeout(within):
            with contextlib.suppress(ConnectionError):
                while part := await asyncio.get_running_loop().sock_recv(self.socket, 65536):
                    received += part
        return received

    async def head(self, within: float = 10.0) -> bytes:
        """What comes up to the first empty line."""
        received = b""
        async with asyncio.timeout(within):
            while b"\r\n\r\n" not in received:
                part = await asyncio.get_running_loop().sock_recv(self.socket, 1)
                if not part:
                    break
                received += part
        return received

    async def upgrade(self, room_id: str, *headers: str) -> Self:
        """Become a signaling socket."""
        await self.send(handshake(room_id, *headers))
        head = await self.head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return self

    async def seconds_until_closed(self, within: float) -> float:
        """Read nothing; wait until the server has ended the connection, as the kernel knows."""
        began = time.monotonic()
        async with asyncio.timeout(within):
            while is_open(self.socket):
                await asyncio.sleep(0.05)
        return time.monotonic() - began


def is_open(connection: socket.socket) -> bool:
    """Whether TCP holds the connection for established: TCP_INFO, of which the first byte is the state."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01"


@contextmanager
def flood(connection: socket.socket, data: bytes) -> Iterator[None]:
    """Send it without end, from a thread, until the block ends or the server closes."""
    stop = threading.Event()

    def run() -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.sendall(data)

    connection.settimeout(0.2)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
        connection.setblocking(False)


async def slowest_round_trip(bystander: SignalingBrowser, secs: float) -> float:
    """The longest that a keepalive took, of all that were sent one after the other for so long."""
    slowest, until = 0.0, time.monotonic() + secs
    while time.monotonic() < until:
        began = time.monotonic()
        await bystander.ask("keepalive")
        slowest = max(slowest, time.monotonic() - began)
        await asyncio.sleep(0.02)
    return slowest


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def many(server: PorticoServer, number: int) -> AsyncIterator[list[socket.socket]]:
    """Connections that say nothing."""
    loop = asyncio.get_running_loop()
    opened = []
    try:
        for _ in range(number):
            connection = socket.socket()
            connection.setblocking(False)
            opened.append(connection)
            await loop.sock_connect(connection, ("127.0.0.1", server.port))
        yield opened
    finally:
        for connection in opened:
            connection.close()
