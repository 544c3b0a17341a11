"""PostgreSQL: a bounded pool of threads, one psycopg connection each; READ COMMITTED with explicit row locks."""

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from portico.db.engine import Transaction
from portico.db.lists import DEFAULT_SECS, LIST_THREADS, Lists, ReadLimit, Stopped
from portico.db.notify import SharedCommits
from portico.db.outage import Access, Outage, is_outage
from portico.db.threads import Threads
from portico.db.wakeup import Commits

S = TypeVar("S")
T = TypeVar("T")
POSTGRES_THREADS = 8
ATTEMPTS = 5
ANSWER_SECS = 8.0
"""After so long without any answer of the database, calls fail: a suspended host closes no connection."""
_TIMEOUTS = {"statement_timeout": 15000, "lock_timeout": 10000}
CANCEL_SECS = 5.0
_CANCELED = "57014"
"""SQLSTATE of a statement that ran into its time limit or was cancelled."""
_RETRIED = {"40001", "40P01"}
"""SQLSTATEs with which PostgreSQL asks to run a transaction again: serialization failure and deadlock."""


class PostgresDatabase:
    """A PostgreSQL database, which any number of processes may share: row locks order their writes."""

    def __init__(
        self,
        url: URL,
        list_secs: float = DEFAULT_SECS,
        *,
        threads: int = POSTGRES_THREADS,
        outage: Outage | None = None,
    ) -> None:
        self._url = url
        self._is_pooled = False
        self.engine = create_engine(
            url,
            pool_size=threads + LIST_THREADS,
            max_overflow=0,
            pool_pre_ping=True,  # a restarted server costs no request
            connect_args={"connect_timeout": 5},
        )
        event.listen(self.engine, "do_connect", self._connect)
        event.listen(self.engine, "begin", self._begin)
        # A page and its count come from one snapshot.
        self._snapshots = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._shared = SharedCommits(self._open_for_hints)
        self.commits: Commits = self._shared
        self._lists = Lists(list_secs)
        self._threads = Threads(threads, "postgres")
        self._outage = outage or Outage()
        self._beside: PostgresDatabase | None = None

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        return await self._run("write", self.engine, fn)

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        return await self._run("read", self._snapshots, fn)

    async def read_list(self, account_id: str, fn: Callable[[Transaction], S], then: Callable[[S], T]) -> T:
        return await self._lists.run(account_id, lambda limits: then(self._read_within(fn, limits)))

    def beside(self) -> "PostgresDatabase":
        """One thread and one connection of its own."""
        if self._beside is None:
            self._beside = PostgresDatabase(self._url, threads=1, outage=self._outage)
        return self._beside

    async def close(self) -> None:
        if self._beside is not None:
            await self._beside.close()
        await self._lists.close()
        await self._threads.close()
        await asyncio.to_thread(self._shared.close)
        self.engine.dispose()

    async def _run(self, work: Access, engine: Engine, fn: Callable[[Transaction], T]) -> T:
        began, call = time.monotonic(), _Call()
        task = self._threads.submit(partial(self._watched, work, engine, fn, call))
        try:
            while not task.done():
                silent_secs = time.monotonic() - max(began, self._outage.answered_at)
                if silent_secs >= ANSWER_SECS and call.abandon():
                    task.add_done_callback(_retrieve)
                    raise self._outage.failed(work, began, TimeoutError(f"no answer within {ANSWER_SECS:g} s"))
                await asyncio.wait((task,), timeout=max(ANSWER_SECS - silent_secs, 0.1))
        except asyncio.CancelledError:
            task.cancel()
            raise
        return await task

    def _read_within(self, fn: Callable[[Transaction], T], limits: ReadLimit) -> T:
        """Run a read with the time limit of the server; `limits` cancels a statement earlier."""
        began = time.monotonic()
        try:
            result = self._read_list(fn, limits)
        except DBAPIError as error:
            if is_outage(error):
                raise self._outage.failed("read", began, error) from error
            raise
        self._outage.answered("read")
        return result

    def _read_list(self, fn: Callable[[Transaction], T], limits: ReadLimit) -> T:
        with self._snapshots.connect() as connection, connection.begin():
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(1000 * limits.secs)}")
            driver: Any = connection.connection.driver_connection
            try:
                if limits.interrupt_with(partial(driver.cancel_safe, timeout=CANCEL_SECS)):
                    raise Stopped
                return fn(connection)
            except DBAPIError as error:
                if _sqlstate(error) == _CANCELED:
                    raise Stopped from None
                raise
            finally:
                if limits.interrupt_with(None):
                    connection.invalidate()  # the cancellation may arrive late and must not meet the next statement

    def _watched(self, work: Access, engine: Engine, fn: Callable[[Transaction], T], call: "_Call") -> T:
        began = time.monotonic()
        try:
            result = self._in_transaction(engine, fn, call)
        except Exception as error:
            if is_outage(error) and not call.is_abandoned:
                raise self._outage.failed(work, began, error) from error
            raise
        self._outage.answered(work)
        return result

    def _in_transaction(self, engine: Engine, fn: Callable[[Transaction], T], call: "_Call") -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._once(engine, fn, call)
            except OperationalError as error:
                if _sqlstate(error) not in _RETRIED:
                    raise
                call.runs_again()
        return self._once(engine, fn, call)

    def _once(self, engine: Engine, fn: Callable[[Transaction], T], call: "_Call") -> T:
        if call.is_abandoned:
            raise _Abandoned
        with engine.connect() as connection:
            with connection.begin():
                result = fn(connection)
                if not call.may_commit():
                    raise _Abandoned
            self.commits.happened(connection)
        return result

    def _connect(self, dialect: Any, record: Any, args: Any, parameters: dict[str, Any]) -> psycopg.Connection[Any]:
        """A new connection. Behind PgBouncer it gets nothing that would outlive a transaction."""
        options = " ".join(f"-c {name}={milliseconds}" for name, milliseconds in _TIMEOUTS.items())
        try:
            connection = psycopg.connect(*args, **{"options": options, **parameters})
        except psycopg.OperationalError as error:
            if "startup parameter" not in str(error):
                raise
            connection = psycopg.connect(*args, **parameters)
            self._is_pooled = True
        # PgBouncer invents the process id that clients get.
        (pid,) = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone() or (None,)
        connection.rollback()
        if pid != connection.info.backend_pid:
            self._is_pooled = True
        if self._is_pooled:
            connection.prepare_threshold = None  # the next transaction may run on another server connection
        return connection

    def _open_for_hints(self) -> tuple[psycopg.Connection[Any], bool]:
        """A connection for LISTEN and NOTIFY, and whether it is one of PgBouncer."""
        args, parameters = self.engine.dialect.create_connect_args(self._url)
        connection = self._connect(None, None, args, {"connect_timeout": 5, **parameters})
        return connection, self._is_pooled

    def _begin(self, connection: Connection) -> None:
        if self._is_pooled:
            for name, milliseconds in _TIMEOUTS.items():
                connection.exec_driver_sql(f"SET LOCAL {name} = {milliseconds}")


class _Abandoned(Exception):
    """The caller waits no more, so the transaction is rolled back."""


class _Call:
    """One call, which its caller may abandon until its transaction commits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commits = False
        self.is_abandoned = False

    def may_commit(self) -> bool:
        """Whether to commit: True makes the caller wait for the outcome, False if it has given up already."""
        with self._lock:
            self._commits = not self.is_abandoned
            return self._commits

    def runs_again(self) -> None:
        """Note that the commit was refused, so that the caller may give up again."""
        with self._lock:
            self._commits = False

    def abandon(self) -> bool:
        """Give up; False when the transaction may be committed at this moment."""
        with self._lock:
            self.is_abandoned = not self._commits
            return self.is_abandoned


def _retrieve(task: "asyncio.Future[Any]") -> None:
    """Take the error of a call that was given up, which asyncio would log otherwise."""
    if not task.cancelled():
        task.exception()


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
