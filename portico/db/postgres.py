"""PostgreSQL: a bounded pool of threads, one psycopg connection each; READ COMMITTED with explicit row locks."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError

from portico.db.engine import Transaction
from portico.db.lists import DEFAULT_SECS, LIST_THREADS, Limits, Lists, Stopped
from portico.db.threads import Threads
from portico.db.wakeup import Commits

S = TypeVar("S")
T = TypeVar("T")
POSTGRES_THREADS = 8
ATTEMPTS = 5
CANCEL_SECS = 5.0
_CANCELED = "57014"
"""SQLSTATE of a statement that ran into its time limit or was cancelled."""
_RETRIED = {"40001", "40P01"}
"""SQLSTATEs with which PostgreSQL asks to run a transaction again: serialization failure and deadlock."""


class PostgresDatabase:
    """Any number of processes may share one; they meet in its row locks."""

    def __init__(self, url: URL, list_secs: float = DEFAULT_SECS) -> None:
        self.engine = create_engine(
            url,
            pool_size=POSTGRES_THREADS + LIST_THREADS,
            max_overflow=0,
            pool_pre_ping=True,  # a restarted server costs nobody a request
            connect_args={"connect_timeout": 5, "options": "-c statement_timeout=15000 -c lock_timeout=10000"},
        )
        # A page and its count come from one snapshot.
        self._snapshots = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.commits = Commits()
        self._lists = Lists(list_secs)
        self._threads = Threads(POSTGRES_THREADS, "postgres")

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        return await self._threads.run(partial(self._in_transaction, self.engine, fn))

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        return await self._threads.run(partial(self._in_transaction, self._snapshots, fn))

    async def read_list(self, account_id: str, fn: Callable[[Transaction], S], then: Callable[[S], T]) -> T:
        return await self._lists.run(account_id, lambda limits: then(self._read_within(fn, limits)))

    async def close(self) -> None:
        await self._lists.close()
        await self._threads.close()
        self.engine.dispose()

    def _read_within(self, fn: Callable[[Transaction], T], limits: Limits) -> T:
        """The server ends a statement at the time limit; a cancellation from here ends it earlier."""
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

    def _in_transaction(self, engine: Engine, fn: Callable[[Transaction], T]) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._once(engine, fn)
            except OperationalError as error:
                if _sqlstate(error) not in _RETRIED:
                    raise
        return self._once(engine, fn)

    def _once(self, engine: Engine, fn: Callable[[Transaction], T]) -> T:
        with engine.connect() as connection:
            with connection.begin():
                result = fn(connection)
            self.commits.happened(connection)
        return result


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
