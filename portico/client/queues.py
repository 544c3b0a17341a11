"""A bounded queue between the network and a consumer: when it is full, the oldest items are dropped."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class DroppingQueue(Generic[T]):
    """Holds at most `size` items. `put` never waits; it drops the oldest item of a full queue and counts it."""

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque()
        self._size = size
        self._changed = asyncio.Event()
        self._is_closed = False
        self.dropped = 0
        """How many items were dropped so far."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> bool:
        """Add an item; False if an older one was dropped for it. Does nothing after `close`."""
        if self._is_closed:
            return True
        fits = len(self._items) < self._size
        if not fits:
            self._items.popleft()
            self.dropped += 1
        self._items.append(item)
        self._changed.set()
        return fits

    async def get(self) -> T | None:
        """The oldest item, as soon as there is one; None when the queue is closed and empty."""
        while not self._items:
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()

    def clear(self) -> None:
        """Drop all items."""
        self.dropped += len(self._items)
        self._items.clear()

    def close(self) -> None:
        """End the queue: the items in it can still be taken."""
        self._is_closed = True
        self._changed.set()
