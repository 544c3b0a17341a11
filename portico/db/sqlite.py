"""SQLite: one thread writes, and commits all waiting transactions together; a few threads read."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from portico.core.errors import Busy
from portico.db.engine import Transaction
from portico.db.lists import DEFAULT_SECS, LIST_THREADS, Lists, ReadLimit, Stopped
from portico.db.outage import Outage, is_outage
from portico.db.threads import MAX_WAITING, Threads, guarded
from portico.db.wakeup import Commits

log = structlog.get_logger()
S = TypeVar("S")
T = TypeVar("T")
MAX_BATCH = 256
"""Transactions that share one fsync."""
READERS = 4
_STEPS = 5000
"""Instructions of SQLite's virtual machine between two checks of a time limit: less than 1 ms. A check costs 0.01 %."""
LOCKED_SECS = 5
"""How long to wait for another process that writes."""
LOCKED_AGAIN_SECS = 1
"""How long to wait while another process is known to write for longer, so that other writes get an answer soon."""


class SqliteDatabase:
    """Group commit at synchronous=FULL: each transaction of a batch has a savepoint, the batch has the fsync."""

    def __init__(self, path: Path, list_secs: float = DEFAULT_SECS) -> None:
        self.engine = _engine(path, begin="BEGIN IMMEDIATE", size=1)
        self._readers = _engine(path, begin="BEGIN", size=READERS + LIST_THREADS)
        self._reading = Threads(READERS, "read")
        self._lists = Lists(list_secs)
        self._threads_own = threading.local()
        self._read_through: list[Connection] = []
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._write_for_ever, name="write", daemon=True)
        self.commits = Commits()
        self._outage = Outage()
        self._started = False
        self._closed = False

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        if self._closed:
            raise Busy("The server stops.")
        if not self._started:
            self._started = True
            self._thread.start()
        waiting = _Waiting(fn, asyncio.get_running_loop())
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            raise Busy("The database has more to write than it can; try again in a moment.") from None
        return await waiting.future  # type: ignore[no-any-return]

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        return await self._reading.run(partial(self._read, fn))

    async def read_list(self, account_id: str, fn: Callable[[Transaction], S], then: Callable[[S], T]) -> T:
        return await self._lists.run(account_id, lambda limits: then(self._read_within(fn, limits)))

    def beside(self) -> "SqliteDatabase":
        """Return this database itself: it has one writer, and no other process whose lease on it could expire."""
        return self

    async def close(self) -> None:
        await self._lists.close()
        if self._started and not self._closed:
            self._closed = True
            await asyncio.to_thread(self._queue.put, None)
            await asyncio.to_thread(self._thread.join)
        self._closed = True
        await self._reading.close()
        for connection in self._read_through:
            connection.close()
        self._readers.dispose()
        self.engine.dispose()

    def _read(self, fn: Callable[[Transaction], T]) -> T:
        """Run a read on this thread's own connection: taking one from a pool costs as much as most reads."""
        began = time.monotonic()
        try:
            connection: Connection | None = getattr(self._threads_own, "connection", None)
            if connection is None:
                connection = self._threads_own.connection = self._readers.connect()
                self._read_through.append(connection)
            with connection.begin():
                result = fn(connection)
        except Exception as error:
            if is_outage(error):
                raise self._outage.failed("read", began, error) from error
            raise
        self._outage.answered("read")
        return result

    def _read_within(self, fn: Callable[[Transaction], T], limits: ReadLimit) -> T:
        """Run a read that `limits` may end: SQLite calls a function every _STEPS instructions."""

        def run(connection: Connection) -> T:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(limits.is_over, _STEPS)
            try:
                return fn(connection)
            finally:
                driver.set_progress_handler(None, 0)

        try:
            return self._read(run)
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise Stopped from None
            raise

    def _write_for_ever(self) -> None:
        last = False
        while not last:
            batch, last = self._next_batch()
            self._commit(batch)
            for loop in {waiting.loop for waiting in batch}:
                theirs = [waiting for waiting in batch if waiting.loop is loop]
                with contextlib.suppress(RuntimeError):  # the loop of callers that are gone is closed
                    loop.call_soon_threadsafe(_settle, theirs)

    def _next_batch(self) -> "tuple[list[_Waiting], bool]":
        """The waiting writes, MAX_BATCH at most, and whether the database is closed after them."""
        batch: list[_Waiting] = []
        waiting = self._queue.get()
        while waiting is not None:
            if not waiting.future.cancelled():
                batch.append(waiting)
            if len(batch) == MAX_BATCH:
                return batch, False
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: "list[_Waiting]") -> None:
        if not batch:
            return
        began = time.monotonic()
        try:
            with self.engine.connect() as connection:
                secs = LOCKED_AGAIN_SECS if self._outage.is_open else LOCKED_SECS
                connection.connection.execute(f"PRAGMA busy_timeout={secs * 1000}")
                with connection.begin():
                    driver: Any = connection.connection.driver_connection
                    for waiting in batch:
                        waiting.run(connection, driver)
                self.commits.happened(connection)
        except Exception as error:  # no work of the batch is on disk: each caller gets the error
            if not is_outage(error):
                log.exception("commit failed", transactions=len(batch))
            for waiting in batch:
                waiting.error = waiting.error or error
        outages = [self._is_outage(waiting, began) for waiting in batch]
        if not any(outages):
            self._outage.answered("write")

    def _is_outage(self, waiting: "_Waiting", began: float) -> bool:
        """Whether a write failed because of the database; its caller then gets DatabaseUnavailable."""
        error = waiting.error
        if error is None or not is_outage(error):
            return False
        waiting.error = self._outage.failed("write", began, error)
        waiting.error.__cause__ = error
        return True


class _Waiting:
    """One write that waits for its turn, and the future of the coroutine that waits for it."""

    __slots__ = ("error", "fn", "future", "loop", "result")

    def __init__(self, fn: Callable[[Transaction], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.fn = fn
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, connection: Connection, driver: sqlite3.Connection) -> None:
        """Run the work in a savepoint of its own. Called in the writer thread."""
        # Straight to the driver: through SQLAlchemy the two statements take 7 % of what a new room takes.
        driver.execute("SAVEPOINT one")
        try:
            self.result = guarded(partial(self.fn, connection))()
        except BaseException as error:  # noqa: BLE001  it belongs to the caller, who gets it
            self.error = error
            driver.execute("ROLLBACK TO one")
        driver.execute("RELEASE one")

    def settle(self) -> None:
        """Give the caller the result or the error, unless it waits no more. Called on the event loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def _settle(batch: list[_Waiting]) -> None:
    for waiting in batch:
        waiting.settle()


def _engine(path: Path, *, begin: str, size: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": LOCKED_SECS},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        connection.isolation_level = None  # we execute BEGIN ourselves; the driver would do it too late
        _use_wal(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def say_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Set the journal to WAL. Tries for LOCKED_SECS, as SQLite does not wait for other processes in this statement."""
    give_up_at = time.monotonic() + LOCKED_SECS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.02)
        else:
            return
