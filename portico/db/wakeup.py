"""A hint after a commit that there is work, so that it does not wait for the next poll. The rows are the truth."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Literal

from sqlalchemy import Connection

Topic = Literal["deliveries", "participants", "jobs"]
"""Webhooks to send; participants that were removed or muted; conversions and compositions to make."""
_WORK = "portico.work"


def announce(tx: Connection, topic: Topic) -> None:
    """Note, inside a transaction, that it leaves work of this sort, so that listeners are woken after the commit."""
    tx.info.setdefault(_WORK, set()).add(topic)


class Commits:
    """Wakes listeners after commits that left work. `happened` may be called from any thread."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, list[Callable[[], None]]] = defaultdict(list)

    def listen(self, topic: Topic, wake: asyncio.Event) -> None:
        """Set `wake`, which belongs to the running event loop, after each such commit from now on."""
        loop = asyncio.get_running_loop()

        def notify() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake.set)

        self._listeners[topic].append(notify)

    def happened(self, tx: Connection) -> None:
        """For the engines: this connection has just committed."""
        for topic in tx.info.pop(_WORK, ()):
            for notify in self._listeners.get(topic, ()):
                notify()
