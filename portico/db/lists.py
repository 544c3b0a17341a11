"""Runs reads that may take long in threads of their own: with a time limit, and the accounts in turn."""

import asyncio
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from portico.core.errors import Busy
from portico.db.threads import guarded

T = TypeVar("T")
LIST_THREADS = 3
PER_ACCOUNT = 2
"""Reads of one account at a time: one thread is left for all others."""
WAITING_PER_ACCOUNT = 200
WAITING_MAX = 2000
DEFAULT_SECS = 5.0
"""How long one read may run, and likewise how long it may wait for its turn."""


class Stopped(Exception):
    """Raised inside a read that ran for too long, or whose caller is gone."""


class ReadLimit:
    """The deadline of one read, and how to stop it before that. Thread-safe."""

    def __init__(self, secs: float) -> None:
        self.secs = secs
        self._deadline = float("inf")
        self._lock = threading.Lock()
        self._stopped = False
        self._interrupt: Callable[[], None] | None = None

    def begin(self) -> None:
        """Start the time limit: the read has a thread."""
        self._deadline = time.monotonic() + self.secs

    def is_over(self) -> bool:
        """Whether the read has to end now."""
        return self._stopped or time.monotonic() > self._deadline

    def check(self) -> None:
        """Raise Stopped when the read has to end now."""
        if self.is_over():
            raise Stopped

    def stop(self) -> None:
        """End the read soon. May wait for the network, so it must not be called on the event loop."""
        with self._lock:
            self._stopped = True
            if self._interrupt is not None:
                self._interrupt()

    def interrupt_with(self, interrupt: Callable[[], None] | None) -> bool:
        """Set how to interrupt the statement that runs now (None: none runs). True if the read was stopped before."""
        with self._lock:
            self._interrupt = interrupt
            return self._stopped


class _Waiting:
    """A read that waits for its turn, and the future of the coroutine that waits for it."""

    def __init__(self, work: Callable[[ReadLimit], Any], limits: ReadLimit) -> None:
        self.work = work
        self.limits = limits
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Lists:
    """Runs reads in a few threads, the accounts in turn."""

    def __init__(self, secs: float = DEFAULT_SECS) -> None:
        self._secs = secs
        self._executor = ThreadPoolExecutor(LIST_THREADS, thread_name_prefix="list")
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._limits: set[ReadLimit] = set()  # of what is running
        self._closed = False

    async def run(self, account_id: str, work: Callable[[ReadLimit], T]) -> T:
        """Run `work`; returns its result. Raises Busy when too many wait or it takes too long. Cancelling stops it."""
        if self._closed:
            raise Busy("The server stops.")
        queue = self._waiting.setdefault(account_id, deque())
        if len(queue) >= WAITING_PER_ACCOUNT or sum(map(len, self._waiting.values())) >= WAITING_MAX:
            self._forget_if_empty(account_id)
            raise Busy("Too many lists are being made; try again in a moment.")
        waiting = _Waiting(work, ReadLimit(self._secs))
        queue.append(waiting)
        self._begin_next()
        try:
            async with asyncio.timeout(2 * self._secs + 1):
                result: T = await asyncio.shield(waiting.future)
                return result
        except Stopped:
            raise Busy(f"The list takes longer than {self._secs:g} s: ask for less, or try again later.") from None
        except TimeoutError:
            raise Busy("The list did not get its turn in time; try again in a moment.") from None
        finally:
            self._give_up(account_id, waiting)

    async def close(self) -> None:
        """Refuse what waits, stop what runs, and wait until it has ended."""
        self._closed = True
        for queue in self._waiting.values():
            for waiting in queue:
                waiting.future.set_exception(Busy("The server stops."))
        self._waiting.clear()
        for limits in list(self._limits):
            await asyncio.to_thread(limits.stop)
        await asyncio.to_thread(self._executor.shutdown)

    def _give_up(self, account_id: str, waiting: _Waiting) -> None:
        if waiting.future.done():
            return
        waiting.future.cancel()
        if waiting in (queue := self._waiting.get(account_id, deque())):
            queue.remove(waiting)
            self._forget_if_empty(account_id)
        else:
            asyncio.get_running_loop().run_in_executor(None, waiting.limits.stop)

    def _forget_if_empty(self, account_id: str) -> None:
        if not self._waiting.get(account_id, True):
            del self._waiting[account_id]

    def _begin_next(self) -> None:
        """Start as many as threads are free: of each account the longest waiting one, the accounts in turn."""
        while self._running.total() < LIST_THREADS and not self._closed:
            chosen = next((each for each in self._waiting if self._running[each] < PER_ACCOUNT), None)
            if chosen is None:
                return
            waiting = self._waiting[chosen].popleft()
            self._waiting.move_to_end(chosen)
            self._forget_if_empty(chosen)
            self._running[chosen] += 1
            self._limits.add(waiting.limits)
            task = asyncio.get_running_loop().run_in_executor(self._executor, guarded(partial(_work, waiting)))
            task.add_done_callback(partial(self._end, chosen, waiting))

    def _end(self, account_id: str, waiting: _Waiting, done: "asyncio.Future[Any]") -> None:
        self._limits.discard(waiting.limits)
        self._running[account_id] -= 1
        if not self._running[account_id]:
            del self._running[account_id]
        error = None if done.cancelled() else done.exception()
        if not waiting.future.done():
            if error is not None:
                waiting.future.set_exception(error)
            else:
                waiting.future.set_result(done.result())
        self._begin_next()


def _work(waiting: _Waiting) -> Any:
    waiting.limits.begin()
    waiting.limits.check()
    return waiting.work(waiting.limits)
