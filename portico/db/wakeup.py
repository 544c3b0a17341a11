"""A hint after a commit that there is work, so that nobody has to wait for the next poll. The rows are the truth."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Literal

from sqlalchemy import Connection

Topic = Literal["deliveries", "participants", "jobs"]
"""Webhooks to send; people whom their gateway has to act on; conversions and compositions to make."""
_WORK = "portico.work"


def announce(tx: Connection, topic: Topic) -> None:
    """Say, inside a transaction, that it leaves work of this sort behind."""
    tx.info.setdefault(_WORK, set()).add(topic)


class Commits:
    """Who wants to hear of commits that left work. Called from whatever thread committed."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, list[Callable[[], None]]] = defaultdict(list)

    def listen(self, topic: Topic, wake: asyncio.Event) -> None:
        """Set `wake`, which belongs to the running event loop, after each such commit from now on."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake.set)

        self._listeners[topic].append(tell)

    def happened(self, tx: Connection) -> None:
        """For the engines: this connection has just committed."""
        for topic in tx.info.pop(_WORK, ()):
            for tell in self._listeners.get(topic, ()):
                tell()
