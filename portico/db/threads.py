"""A bounded pool of threads in which transactions run, so that the event loop never waits for a database."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from portico.core.errors import Busy

T = TypeVar("T")
MAX_WAITING = 10_000
"""Transactions that may wait at once; one more is refused with Busy instead of growing memory."""


class Threads:
    """Runs functions in at most `size` threads; refuses when too many wait, or when it is closed."""

    def __init__(self, size: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._waiting = 0
        self._closed = False

    async def run(self, fn: Callable[[], T]) -> T:
        """Run `fn` in a thread; returns its result, or raises its exception."""
        return await self.submit(fn)

    def submit(self, fn: Callable[[], T]) -> "asyncio.Future[T]":
        """A future of the result of `fn`. Raises Busy if MAX_WAITING functions wait or the pool is closed."""
        if self._closed:
            raise Busy("The server stops.")
        if self._waiting >= MAX_WAITING:
            raise Busy("The database has more to do than it can; try again in a moment.")
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, guarded(fn))
        future.add_done_callback(self._leave)
        return future

    def _leave(self, future: "asyncio.Future[Any]") -> None:
        self._waiting -= 1

    async def close(self) -> None:
        """Wait, off the event loop, until everything that was accepted is done."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown)


def guarded(fn: Callable[[], T]) -> Callable[[], T]:
    """`fn`, whose StopIteration becomes a RuntimeError: a future cannot carry one, and its waiter would hang."""

    def run() -> T:
        try:
            return fn()
        except StopIteration as error:
            raise RuntimeError("a transaction raised StopIteration") from error

    return run
