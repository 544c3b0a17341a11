"""The events of a room for those who read them: each reader has a bounded queue."""

from collections.abc import AsyncIterator

from portico.client.dialect import Dialect
from portico.client.events import Event, Joined, Published
from portico.client.queues import DroppingQueue

WAITING_MAX = 1000
"""Events that wait for one reader; more drop the oldest."""


class EventFeed:
    """Passes events on. The first reader receives all from the join on."""

    def __init__(self) -> None:
        self._first: DroppingQueue[Event] | None = DroppingQueue(WAITING_MAX)
        self._readers: set[DroppingQueue[Event]] = {self._first}
        self._is_closed = False

    def put(self, event: Event) -> None:
        """Add an event for all readers."""
        for reader in self._readers:
            reader.put(event)

    def close(self) -> None:
        """End all iterations after the events that wait."""
        self._is_closed = True
        for reader in self._readers:
            reader.close()

    def events(self, present: Dialect | None) -> AsyncIterator[Event]:
        """A new reader, which begins with who and what is `present` unless it is the first."""
        if (queue := self._first) is None:
            queue = DroppingQueue(WAITING_MAX)
            for participant in present.participants.values() if present else ():
                queue.put(Joined(participant))
                for stream in participant.streams.values():
                    queue.put(Published(participant, stream))
            self._readers.add(queue)
            if self._is_closed:
                queue.close()
        self._first = None
        return self._read(queue)

    async def _read(self, queue: DroppingQueue[Event]) -> AsyncIterator[Event]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._readers.discard(queue)
