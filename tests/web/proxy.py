"""A reverse proxy on loopback that serves one backend below a path, with or without removing that path."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HEAD_BYTES_MAX = 65_536


class _Proxy:
    """Forwards each connection for one request, or for one WebSocket."""

    def __init__(self, backend_port: int, prefix: str, strips: bool) -> None:
        self._backend_port = backend_port
        self._prefix = prefix
        self._strips = strips
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, port: int, ready: threading.Event, stop: asyncio.Event) -> None:
        async with await asyncio.start_server(self._connected, "127.0.0.1", port, limit=HEAD_BYTES_MAX):
            ready.set()
            await stop.wait()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        backend: asyncio.StreamWriter | None = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, path, rest = head.split(b" ", 2)
            if not path.startswith(self._prefix.encode() + b"/"):
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            path = path.removeprefix(self._prefix.encode()) if self._strips else path
            lines = rest.split(b"\r\n")
            is_upgrade = any(line.lower().startswith(b"upgrade:") for line in lines)
            if not is_upgrade:
                lines = [line for line in lines if not line.lower().startswith(b"connection:")]
                lines.insert(1, b"Connection: close")
            answers, backend = await asyncio.open_connection("127.0.0.1", self._backend_port)
            backend.write(b" ".join((method, path, b"\r\n".join(lines))))
            await asyncio.gather(_copy(reader, backend), _copy(answers, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side is gone, and with it what was to be forwarded
        finally:
            for one in (writer, backend):
                if one is not None:
                    one.close()
                    with suppress(OSError):
                        await one.wait_closed()
            self._tasks.discard(task)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(65_536):
        sink.write(chunk)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


@contextmanager
def proxy(port: int, backend_port: int, prefix: str, *, strips: bool) -> Iterator[None]:
    """Runs the proxy on this port until the block ends; what is not below `prefix` is 404."""
    loop = asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()
    running = _Proxy(backend_port, prefix, strips)
    thread = threading.Thread(target=lambda: loop.run_until_complete(running.serve(port, ready, stop)))
    thread.start()
    try:
        assert ready.wait(10), f"the proxy does not listen on port {port}"
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
