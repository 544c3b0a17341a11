"""A small real HTTP proxy: CONNECT and requests in absolute form, with a user if wanted, and with names of its own."""

import asyncio
import base64
import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HEAD_SECS = 20.0
_REPLACED = (b"host:", b"connection:", b"proxy-")


class Relay:
    """A server on 127.0.0.1 that passes bytes on to other ports here."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        raise NotImplementedError

    async def relay(self, port: int, begin: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send these bytes to a port, and then whatever comes from either side to the other."""
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        self._writers.append(outer)
        outer.write(begin)
        sending = asyncio.create_task(_pump(reader, outer))
        await _pump(inner, writer)
        sending.cancel()
        outer.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._tasks.append(asyncio.create_task(self._run(reader, writer)))

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            await self.serve(reader, writer)
        writer.close()


class Proxy(Relay):
    """`asked` are the request lines; `goes_to` maps HOST:PORT, as it is asked for, to a port here."""

    def __init__(self, *, user: str | None = None, goes_to: dict[str, int] | None = None) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.goes_to = goes_to or {}
        self._user = user

    @property
    def url(self) -> str:
        user = f"{self._user}@" if self._user else ""
        return f"http://{user}127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECS):
            head = await reader.readuntil(b"\r\n\r\n")
        first, _, headers = head.partition(b"\r\n")
        line = first.decode()
        self.asked.append(line)
        if self._user is not None and self._authorization() not in headers.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        method, target, version = line.split(" ")
        authority = target if method == "CONNECT" else urlsplit(target).netloc
        port = self.goes_to.get(authority) or int(authority.rpartition(":")[2])
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self.relay(port, b"", reader, writer)
            return
        path = target.partition("://")[2][len(authority) :]
        # As RFC 9112 has it: the host is the one of the target, whatever the header says.
        kept = [each for each in headers.split(b"\r\n") if not each.lower().startswith(_REPLACED)]
        begin = f"{method} {path} {version}\r\nHost: {authority}\r\nConnection: close\r\n".encode()
        await self.relay(port, begin + b"\r\n".join(kept), reader, writer)

    def _authorization(self) -> bytes:
        assert self._user is not None
        return b"proxy-authorization: basic " + base64.b64encode(self._user.encode()).lower()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
