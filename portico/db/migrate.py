"""Brings a database to the schema of this version; safe when several processes start at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x506F7274  # "Port": any constant, the same in every process


class NewerSchema(Exception):
    """A newer Portico has migrated the database; str() says so."""


def upgrade(engine: Engine) -> None:
    """Apply what is missing, in one transaction."""
    with engine.connect() as connection, _without_foreign_keys(connection), connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        version, head = revision(connection), newest()
        if version is not None and version > head:
            raise NewerSchema(
                f"The database belongs to a newer Portico (its schema is {version}): install that version."
            )
        if version != head:
            _migrate(connection)
            _check_foreign_keys(connection)


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """On SQLite, let a migration replace a table that rows of other tables refer to.

    SQLite cannot change most things of a table: a migration makes a new one, drops the old one and renames. With
    foreign keys the drop would be refused. SQLite ignores this pragma inside of a transaction, so it comes before.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection
    driver.execute("PRAGMA foreign_keys=OFF").close()
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON").close()


def _check_foreign_keys(connection: Connection) -> None:
    """Raise, so that the transaction is rolled back, where a migration has left a row that refers to none."""
    if connection.dialect.name == "sqlite":
        lost = connection.execute(text("PRAGMA foreign_key_check")).all()
        if lost:
            raise RuntimeError(f"the migration has lost rows that others refer to: {lost[:5]}")


def newest() -> str:
    """The revision of the last migration of this program: files begin with their number."""
    return max(path.name for path in (_MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def revision(connection: Connection) -> str | None:
    """The revision of the last migration of a database; None where there are no tables of ours."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return version


def _migrate(connection: Connection) -> None:
    # Imported here: it takes longer than everything else at a start that has nothing to migrate.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
