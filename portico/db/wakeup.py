"""A hint after a commit that there is work, so that it does not wait for the next poll. The rows are the truth."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Literal, get_args

from sqlalchemy import Connection

Topic = Literal["deliveries", "participants", "jobs"]
"""Webhooks to send; participants that were removed or muted; conversions and compositions to make."""
TOPICS: tuple[Topic, ...] = get_args(Topic)
_WORK = "portico.work"


def announce(tx: Connection, topic: Topic) -> None:
    """Note in a transaction that it leaves work of this topic: listeners are woken after its commit."""
    tx.info.setdefault(_WORK, set()).add(topic)


def left_by(tx: Connection) -> set[Topic]:
    """Remove and return the topics that the transaction has announced."""
    topics: set[Topic] = tx.info.pop(_WORK, set())
    return topics


class Commits:
    """Wakes listeners after commits that left work. `happened` may be called from any thread."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, list[Callable[[], None]]] = defaultdict(list)

    @property
    def come_from_all(self) -> bool:
        """Whether hints of all processes arrive at this moment, so that polling may be slow."""
        return False

    def listen(self, topic: Topic, wake: asyncio.Event) -> None:
        """Set `wake`, which belongs to the running event loop, after each such commit from now on."""
        loop = asyncio.get_running_loop()

        def notify() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake.set)

        self._listeners[topic].append(notify)

    def happened(self, tx: Connection) -> None:
        """Wake listeners after a commit; the engines call this with the connection that has committed."""
        self.wake(left_by(tx))

    def wake(self, topics: Iterable[Topic]) -> None:
        """Wake the listeners of these topics."""
        for topic in topics:
            for notify in self._listeners.get(topic, ()):
                notify()
