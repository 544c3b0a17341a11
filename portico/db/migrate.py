"""Brings a database to the schema of this version; safe when several processes start at once."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x506F7274  # "Port": any constant, the same in every process


class NewerSchema(Exception):
    """A newer Portico has migrated the database; str() says so."""


def upgrade(engine: Engine) -> None:
    """Apply what is missing, in one transaction."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        version, newest = _version(connection), _newest()
        if version is not None and version > newest:
            raise NewerSchema(
                f"The database belongs to a newer Portico (its schema is {version}): install that version."
            )
        if version != newest:
            _migrate(connection)


def _newest() -> str:
    """The revision of the last migration: files begin with their number."""
    return max(path.name for path in (_MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def _version(connection: Connection) -> str | None:
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
