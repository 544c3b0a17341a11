"""Passes the events of a room to its readers, each over a bounded queue."""

from collections.abc import AsyncIterator

from portico.client.dialect import Dialect
from portico.client.events import Event, Joined, Published
from portico.client.queues import DroppingQueue

WAITING_MAX = 1000
"""The length of a reader's queue; a further event drops the oldest."""


class EventFeed:
    """The readers of one room's events. The first reader receives all events since the join."""

    def __init__(self) -> None:
        self._first: DroppingQueue[Event] | None = DroppingQueue(WAITING_MAX)
        self._readers: set[DroppingQueue[Event]] = {self._first}
        self._is_closed = False

    def put(self, event: Event) -> None:
        """Add an event for all readers."""
        for reader in self._readers:
            reader.put(event)

    def close(self) -> None:
        """End all iterations once the waiting events are read."""
        self._is_closed = True
        for reader in self._readers:
            reader.close()

    def events(self, present: Dialect | None) -> AsyncIterator[Event]:
        """The events for a new reader. All but the first begin with the participants and streams in `present`."""
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
