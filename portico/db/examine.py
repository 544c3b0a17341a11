"""Examines a database for `portico doctor`: its kind, its schema, and how long a round trip and a commit take."""

import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, func, select, text

from portico.db import migrate

ROUND_TRIPS, COMMITS = 15, 5
_MEASURED_SECS = 1.5
"""How long each of the two measurements may go on before its next try."""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The kind, schema and speed of a database."""

    product: str
    """Name and version, such as "PostgreSQL 15.6"."""
    revision: str | None
    """The last migration of the database; None: it has no tables of ours."""
    newest: str
    """The last migration of this program."""
    round_trip: timedelta
    """Median of a statement that reads nothing."""
    commit: timedelta | None
    """Median of a transaction that writes one row as it was; None without tables of ours."""
    ahead: timedelta | None
    """How far its clock is ahead of this machine's; None for SQLite, which has none."""


def examine(engine: Engine) -> DatabaseFacts:
    """Measure the database without changing anything in it. Raises the errors of its driver."""
    with engine.connect() as connection:
        revision = migrate.revision(connection)
        ahead = _clock_ahead(connection)
        round_trip = _median(lambda: connection.execute(text("SELECT 1")).all(), ROUND_TRIPS)
        product = _product(connection)
    commit = None if revision is None else _median(lambda: _write_unchanged(engine), COMMITS)
    return DatabaseFacts(product, revision, migrate.newest(), round_trip, commit, ahead)


def _write_unchanged(engine: Engine) -> None:
    # The one row of this table is locked by migrations alone.
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))


def _median(work: Callable[[], object], times: int) -> timedelta:
    took: list[float] = []
    began = time.monotonic()
    while not took or (len(took) < times and time.monotonic() - began < _MEASURED_SECS):
        start = time.monotonic()
        work()
        took.append(time.monotonic() - start)
    return timedelta(seconds=statistics.median(took))


def _clock_ahead(connection: Connection) -> timedelta | None:
    if connection.dialect.name == "sqlite":
        return None
    before = datetime.now(UTC)
    there: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return there - (before + (datetime.now(UTC) - before) / 2)


def _product(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    version = getattr(connection.dialect, "server_version_info", None) or ()
    return f"PostgreSQL {'.'.join(map(str, version))}"
