"""A cable that a test cuts: a TCP relay on 127.0.0.1 in a thread of its own, which passes bytes on to other ports."""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self

from portico.runtime.side_loop import SideLoop


class Cable:
    """Leads to the first of its ports that answers. A context manager; the other methods may be called in between."""

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self._side = SideLoop()
        self._open: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._side.__enter__()
        self.port: int = self._side.submit(self._listen()).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close)
        self._side.__exit__()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Nothing passes any more, in either direction, and connections stay open. `mend` lets all of it pass."""
        self._call(self._passes.clear)

    def mend(self) -> None:
        """Pass on what was held back, and accept connections again."""
        self._call(self._mend)

    def refuse(self) -> None:
        """End all connections, and each new one at once."""
        self._call(self._refuse)

    def _call(self, change: Callable[[], None]) -> None:
        async def work() -> None:
            change()

        self._side.submit(work()).result()

    async def _listen(self) -> int:
        self._passes = asyncio.Event()
        self._mend()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def _mend(self) -> None:
        self._refuses = False
        self._passes.set()

    def _refuse(self) -> None:
        self._refuses = True
        self._passes.set()
        for task in self._open:
            task.cancel()

    def _close(self) -> None:
        self._server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outer: asyncio.StreamWriter | None = None
        try:
            if self._refuses:
                return
            await self._passes.wait()
            inner, outer = await self._connect()
            await asyncio.gather(self._pass_on(reader, outer), self._pass_on(inner, writer))
        except OSError:
            pass  # as an end
        finally:
            for each in (writer, outer):
                if each is not None:
                    each.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for port in self._ports[:-1]:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return await asyncio.open_connection("127.0.0.1", self._ports[-1])

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Until the end of the source, which a cut cable holds back like everything else."""
        while data := await source.read(65536):
            await self._passes.wait()
            sink.write(data)
            await sink.drain()
        await self._passes.wait()
        sink.write_eof()
