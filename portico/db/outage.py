"""Outages of the database: one kind of error for callers, and a log line when an outage begins and when it ends."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from portico.core.errors import DatabaseUnavailable

log = structlog.get_logger()
Access = Literal["read", "write"]
QUIET_SECS = 1.0
"""An outage is over at the first success that comes at least this long after the last failure."""
UNAVAILABLE = "The database does not answer; try again in a moment."
_SQLITE_OUTAGE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
_POSTGRES_OUTAGE = ("08", "25006", "40001", "40P01", "53", "55P03", "57", "58")
"""SQLSTATEs, or their beginnings: lost connections, a read-only server, conflicts that five attempts did not settle, no
resources, lock and statement timeouts, shutdown, input and output errors."""


class Outage:
    """Whether the database answers, from the outcomes of its calls. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = 0.0
        self._failed: dict[Access, float] = {}  # when the last attempt failed; empty while all is well
        self._answered: dict[Access, float] = {"read": 0.0, "write": 0.0}

    @property
    def is_open(self) -> bool:
        """Whether the last attempts failed."""
        return bool(self._failed)

    @property
    def answered_at(self) -> float:
        """When the last attempt succeeded, in monotonic seconds."""
        return max(self._answered.values())

    def failed(self, work: Access, began: float, error: BaseException) -> DatabaseUnavailable:
        """Note a failed attempt that had begun at `began` (monotonic seconds); returns the error to raise for it."""
        with self._lock:
            # An attempt that began before the last success is no news.
            if began >= self._answered[work]:
                if not self._failed:
                    self._began = began
                    log.error("database unavailable", work=work, reason=_reason(error))
                self._failed[work] = time.monotonic()
        return DatabaseUnavailable(UNAVAILABLE)

    def answered(self, work: Access) -> None:
        """Note an attempt that succeeded."""
        now = time.monotonic()
        self._answered[work] = now
        if not self._failed:
            return
        with self._lock:
            if work not in self._failed or now - self._failed[work] < QUIET_SECS:
                return
            del self._failed[work]
            if not self._failed:
                log.info("database available again", outage_secs=round(now - self._began, 1))


def is_outage(error: BaseException) -> bool:
    """Whether the database, rather than the work that was asked of it, is the reason for the error."""
    if isinstance(error, PoolTimeoutError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in _SQLITE_OUTAGE
    if not isinstance(error, DBAPIError):
        return False
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate is None:  # no answer of PostgreSQL at all
        return isinstance(error, OperationalError | InterfaceError)
    return str(sqlstate).startswith(_POSTGRES_OUTAGE)


def explain(error: BaseException) -> str | None:
    """The first line of an error of the database or its driver; None for any other error."""
    return str(error).splitlines()[0] if isinstance(error, SQLAlchemyError) else None


def _reason(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split())[:300] or type(cause).__name__


@contextmanager
def faults_logged(event: str, **fields: object) -> Iterator[None]:
    """Log an exception of the block with its traceback, and go on after the block.

    An outage of the database is not logged here: `Outage` has done that once for all.
    """
    try:
        yield
    except DatabaseUnavailable:
        pass
    except Exception:
        log.exception(event, **fields)


@contextmanager
def kept_apart(tx: Connection, event: str, **fields: object) -> Iterator[None]:
    """Run the block in a savepoint: an exception undoes what the block wrote, is logged, and the transaction goes on.

    An outage of the database is raised: it concerns the whole transaction.
    """
    try:
        with tx.begin_nested():
            yield
    except Exception as error:
        if is_outage(error):
            raise
        # No traceback, which takes long to write: the transaction holds locks.
        log.error(event, error=f"{type(error).__name__}: {_reason(error)}", **fields)
