"""Opens the database that a URL names."""

from pathlib import Path

from sqlalchemy.engine import make_url

from portico.db.engine import Database
from portico.db.lists import DEFAULT_SECS
from portico.db.postgres import PostgresDatabase
from portico.db.sqlite import SqliteDatabase


def open_database(url: str, *, list_secs: float = DEFAULT_SECS) -> Database:
    """Open `sqlite:///PATH` or `postgresql://...`. Raises ValueError with a sentence for anything else.

    `list_secs` is how long a list may take.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            if not parsed.database:
                raise ValueError("an SQLite URL needs a file: sqlite:////path/to/portico.db")
            return SqliteDatabase(Path(parsed.database), list_secs)
        case "postgresql":
            return PostgresDatabase(parsed.set(drivername="postgresql+psycopg"), list_secs)
        case other:
            raise ValueError(f"{other} is not supported; use sqlite:///FILE or postgresql://USER@HOST/NAME")
