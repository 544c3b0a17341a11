"""Runs transactions: one writer thread with group commit on SQLite, a pool of threads on PostgreSQL."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from portico.core.errors import Busy

log = structlog.get_logger()
T = TypeVar("T")
Transaction = Connection
MAX_WAITING = 10_000
"""Transactions that may wait at once; one more is refused with Busy instead of growing memory."""
MAX_BATCH = 256
"""Transactions that share one fsync on SQLite."""
POSTGRES_THREADS = 8
SQLITE_READERS = 4
_RETRIED_SQLSTATES = {"40001", "40P01"}  # serialization failure, deadlock: PostgreSQL asks to run it again


class Database(Protocol):
    """What the rest of the program sees: functions of one connection, run in a transaction of their own."""

    engine: Engine
    """For migrations at start, before anything else runs."""

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` and commit durably before returning. An exception rolls back exactly this function."""
        ...

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` against a snapshot that contains every earlier write."""
        ...

    async def close(self) -> None: ...


def open_database(url: str) -> Database:
    """`sqlite:///PATH` or `postgresql://...`; raises ValueError with a sentence for anything else."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            if not parsed.database:
                raise ValueError("an SQLite URL needs a file: sqlite:////path/to/portico.db")
            return SqliteDatabase(Path(parsed.database))
        case "postgresql":
            return PostgresDatabase(parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False))
        case other:
            raise ValueError(f"{other} is not supported; use sqlite:///FILE or postgresql://USER@HOST/NAME")


class _Waiting:
    """One write that waits for its turn, and the future of the coroutine that waits for it."""

    __slots__ = ("error", "fn", "future", "loop", "result")

    def __init__(self, fn: Callable[[Transaction], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.fn = fn
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """On the event loop: hand over what happened, unless nobody waits any more."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def _sqlite_engine(path: Path, *, begin: str, size: int) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}", pool_size=size, max_overflow=0, connect_args={"check_same_thread": False, "timeout": 10}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves; the driver would say it too late
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def say_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


class SqliteDatabase:
    """One thread writes; what waits together is committed together, each inside its own savepoint."""

    def __init__(self, path: Path) -> None:
        self.engine = _sqlite_engine(path, begin="BEGIN IMMEDIATE", size=1)
        self._readers = _sqlite_engine(path, begin="BEGIN", size=SQLITE_READERS)
        self._reading = ThreadPoolExecutor(SQLITE_READERS, thread_name_prefix="read")
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._write_for_ever, name="write", daemon=True)
        self._closing = threading.Lock()
        self._started = False

    async def write(self, fn: Callable[[Transaction], T]) -> T:
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
        return await asyncio.get_running_loop().run_in_executor(self._reading, _in_transaction, self._readers, fn)

    async def close(self) -> None:
        if self._started:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
        self._reading.shutdown()
        self._readers.dispose()
        self.engine.dispose()

    def _write_for_ever(self) -> None:
        while True:
            batch, last = self._next_batch()
            if batch:
                self._commit(batch)
                for loop in {waiting.loop for waiting in batch}:
                    with contextlib.suppress(RuntimeError):  # the loop of a caller that is gone is closed
                        loop.call_soon_threadsafe(_settle, [waiting for waiting in batch if waiting.loop is loop])
            if last:
                return

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        """Everything that waits, up to MAX_BATCH; True when the database closes after it."""
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

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            with self.engine.begin() as connection:
                for waiting in batch:
                    _run_in_savepoint(connection, waiting)
        except BaseException as error:  # noqa: BLE001  the commit failed: nobody's work is on disk, everybody hears it
            log.error("commit failed", error=repr(error), transactions=len(batch))
            for waiting in batch:
                waiting.error = waiting.error or error


def _run_in_savepoint(connection: Connection, waiting: _Waiting) -> None:
    # Plain SAVEPOINT strings: begin_nested() costs three times as much.
    connection.exec_driver_sql("SAVEPOINT one")
    try:
        waiting.result = waiting.fn(connection)
    except Exception as error:  # noqa: BLE001  it belongs to the caller, who gets it
        waiting.error = error
        connection.exec_driver_sql("ROLLBACK TO one")
    connection.exec_driver_sql("RELEASE one")


def _settle(batch: list[_Waiting]) -> None:
    for waiting in batch:
        waiting.settle()


def _in_transaction(engine: Engine, fn: Callable[[Transaction], T]) -> T:
    with engine.begin() as connection:
        return fn(connection)


class PostgresDatabase:
    """A bounded pool of threads, one psycopg connection each; READ COMMITTED with explicit row locks."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(
            url,
            pool_size=POSTGRES_THREADS,
            max_overflow=0,
            pool_pre_ping=True,  # a restarted server costs nobody a request
            connect_args={"connect_timeout": 5, "options": "-c statement_timeout=15000 -c lock_timeout=10000"},
        )
        self._threads = ThreadPoolExecutor(POSTGRES_THREADS, thread_name_prefix="postgres")
        self._waiting = 0

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        return await self._run(fn)

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        return await self._run(fn)

    async def _run(self, fn: Callable[[Transaction], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Busy("The database has more to do than it can; try again in a moment.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run_with_retries, fn)
        finally:
            self._waiting -= 1

    def _run_with_retries(self, fn: Callable[[Transaction], T], attempts: int = 5) -> T:
        for _ in range(attempts - 1):
            try:
                return _in_transaction(self.engine, fn)
            except OperationalError as error:
                if _sqlstate(error) not in _RETRIED_SQLSTATES:
                    raise
        return _in_transaction(self.engine, fn)

    async def close(self) -> None:
        self._threads.shutdown()
        self.engine.dispose()


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
