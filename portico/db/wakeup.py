"""A hint after a commit that there is work, so that nobody has to wait for the next poll. The rows are the truth."""

import asyncio
from collections.abc import Callable

from sqlalchemy import Connection

_WORK = "portico.work"


def announce(tx: Connection) -> None:
    """Say, inside a transaction, that it leaves work behind."""
    tx.info[_WORK] = True


class Commits:
    """Who wants to hear of commits that left work. Called from whatever thread committed."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, wake: asyncio.Event) -> None:
        """Set `wake`, which belongs to the running event loop, after each such commit from now on."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake.set)

        self._listeners.append(tell)

    def happened(self, tx: Connection) -> None:
        """For the engines: this connection has just committed."""
        if tx.info.pop(_WORK, False):
            for tell in self._listeners:
                tell()
