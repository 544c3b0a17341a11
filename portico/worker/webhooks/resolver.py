"""Resolves each name in a thread of its own, so that a name server that hangs delays no other lookup.

The event loop's own lookups share a handful of threads (six on two cores, four under uvloop) with all else that
blocks, so that a few receivers whose names do not resolve would stop every other webhook.
"""

import asyncio
import contextlib
import socket
import threading

from aiohttp.abc import AbstractResolver, ResolveResult

_MOST_LOOKUPS = 64
"""Threads at a time. aiohttp asks once per name, however many wait for it, and remembers the answer for 10 s."""
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

_Found = list[ResolveResult]


class ThreadPerName(AbstractResolver):
    """The system's resolver (hosts file, name servers), each lookup in a thread that does not hold up the exit."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_MOST_LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        async with self._slots:
            found: asyncio.Future[_Found] = asyncio.get_running_loop().create_future()
            threading.Thread(target=_answer, args=(found, host, port, family), name="resolve", daemon=True).start()
            return await found

    async def close(self) -> None:
        """Do nothing: no lookup is kept open."""


def _answer(found: asyncio.Future[_Found], host: str, port: int, family: socket.AddressFamily) -> None:
    def settle() -> None:
        if found.done():
            return
        if failure is None:
            found.set_result(addresses)
        else:
            found.set_exception(failure)

    addresses: _Found = []
    failure: OSError | None = None
    try:
        addresses = _lookup(host, port, family)
    except OSError as error:
        failure = error
    except UnicodeError:
        failure = socket.gaierror(socket.EAI_NONAME, "it is not a valid name")
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        found.get_loop().call_soon_threadsafe(settle)


def _lookup(host: str, port: int, family: socket.AddressFamily) -> _Found:
    rows = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        # An IPv6 address comes with its zone (`%eth0`) inside the text, where it has one.
        ResolveResult(hostname=host, host=str(at[0]), port=int(at[1]), family=kind, proto=protocol, flags=_NUMERIC)
        for kind, _, protocol, _, at in rows
    ]
