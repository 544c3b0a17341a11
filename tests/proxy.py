"""A small real HTTP proxy: CONNECT and requests in absolute form, with a user if wanted, and with names of its own."""

import asyncio
import base64
import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HEAD_SECS = 20.0


class Proxy:
    """Listens on 127.0.0.1. `asked` are the request lines; `goes_to` maps HOST:PORT as asked for to a port here."""

    def __init__(self, *, user: str | None = None, goes_to: dict[str, int] | None = None) -> None:
        self.asked: list[str] = []
        self.goes_to = goes_to or {}
        self._user = user
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

    @property
    def url(self) -> str:
        user = f"{self._user}@" if self._user else ""
        return f"http://{user}127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._tasks.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(HEAD_SECS):
                head = await reader.readuntil(b"\r\n\r\n")
            line, _, headers = head.partition(b"\r\n")
            self.asked.append(line.decode())
            await self._relay(line.decode(), headers, reader, writer)
        writer.close()

    async def _relay(
        self, line: str, headers: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._user is not None:
            expected = b"basic " + base64.b64encode(self._user.encode()).lower()
            if b"proxy-authorization: " + expected not in headers.lower():
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
        method, target, version = line.split(" ")
        authority = target if method == "CONNECT" else urlsplit(target).netloc
        port = self.goes_to.get(authority) or int(authority.rpartition(":")[2])
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = target.partition("://")[2][len(authority) :]
            # As RFC 9112 has it: the host is the one of the target, whatever the header says.
            kept = [each for each in headers.split(b"\r\n") if not each.lower().startswith((b"host:", b"proxy-"))]
            begin = f"{method} {path} {version}\r\nHost: {authority}\r\n".encode()
            outer.write(begin + b"\r\n".join(kept))
        self._writers.append(outer)
        await asyncio.gather(_pump(reader, outer), _pump(inner, writer))
        outer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
