"""PostgreSQL: a bounded pool of threads, one psycopg connection each; READ COMMITTED with explicit row locks."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError

from portico.db.engine import Transaction
from portico.db.threads import Threads
from portico.db.wakeup import Commits

T = TypeVar("T")
POSTGRES_THREADS = 8
ATTEMPTS = 5
_RETRIED = {"40001", "40P01"}
"""SQLSTATEs with which PostgreSQL asks to run a transaction again: serialization failure and deadlock."""


class PostgresDatabase:
    """Any number of processes may share one; they meet in its row locks."""

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(
            url,
            pool_size=POSTGRES_THREADS,
            max_overflow=0,
            pool_pre_ping=True,  # a restarted server costs nobody a request
            connect_args={"connect_timeout": 5, "options": "-c statement_timeout=15000 -c lock_timeout=10000"},
        )
        # A page and its count come from one snapshot.
        self._snapshots = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.commits = Commits()
        self._threads = Threads(POSTGRES_THREADS, "postgres")

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        return await self._threads.run(partial(self._in_transaction, self.engine, fn))

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        return await self._threads.run(partial(self._in_transaction, self._snapshots, fn))

    async def close(self) -> None:
        await self._threads.close()
        self.engine.dispose()

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
