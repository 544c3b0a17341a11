"""What the rest of the program sees of a database: functions of one connection, each in a transaction of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url

from portico.db.wakeup import Commits

T = TypeVar("T")
Transaction = Connection


class Database(Protocol):
    """SQLite or PostgreSQL; the same functions run on both. Refuses with Busy when too many of them wait."""

    engine: Engine
    """For migrations at start, before anything else runs."""
    commits: Commits
    """Hints of commits of this process that left work behind."""

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` and commit durably before returning. An exception rolls back exactly this function."""
        ...

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` against one snapshot, which contains every earlier write."""
        ...

    async def close(self) -> None:
        """Finish what was begun; whatever comes later is refused."""
        ...


def open_database(url: str) -> Database:
    """`sqlite:///PATH` or `postgresql://...`; raises ValueError with a sentence for anything else."""
    from portico.db.postgres import PostgresDatabase  # noqa: PLC0415  each imports its driver, and this module
    from portico.db.sqlite import SqliteDatabase  # noqa: PLC0415

    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            if not parsed.database:
                raise ValueError("an SQLite URL needs a file: sqlite:////path/to/portico.db")
            return SqliteDatabase(Path(parsed.database))
        case "postgresql":
            return PostgresDatabase(parsed.set(drivername="postgresql+psycopg"))
        case other:
            raise ValueError(f"{other} is not supported; use sqlite:///FILE or postgresql://USER@HOST/NAME")
