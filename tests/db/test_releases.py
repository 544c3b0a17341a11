"""A database of every release is upgraded to what the code wants, with all of its rows, on both databases."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from portico import __version__
from portico.db import migrate, schema
from portico.db.connect import open_database
from portico.db.engine import Database
from portico.db.migrate import upgrade
from portico.services import api_keys, tokens
from tests.databases import PostgresCluster
from tests.db.keep_schema import API_KEY, SCHEMAS
from tests.factories import NOW, row, rows

RELEASES = sorted({file.name.rsplit(".", 2)[0] for file in SCHEMAS.glob("*.sql")})


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    version: str = request.param
    return version


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def kept(request: pytest.FixtureRequest, tmp_path: Path, release: str) -> Iterator[tuple[Database, str]]:
    """A database of this release, open, and its file."""
    text = (SCHEMAS / f"{release}.{request.param}.sql").read_text()
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "kept.db")) as connection:
            connection.executescript(text)
        yield from _opened(f"sqlite:///{tmp_path}/kept.db", text)
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
    name = f"kept_{uuid4().hex}"
    cluster.execute(f"CREATE DATABASE {name}")
    try:
        with psycopg.connect(cluster.url(name)) as connection:
            connection.execute(text.encode())
        yield from _opened(cluster.url(name), text)
    finally:
        cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _opened(url: str, text: str) -> Iterator[tuple[Database, str]]:
    database = open_database(url)
    try:
        yield database, text
    finally:
        database.engine.dispose()


def test_a_database_of_a_release_is_upgraded_with_all_of_its_rows(kept: tuple[Database, str]) -> None:
    database, text = kept
    with database.engine.connect() as connection:
        before = _counts(connection)
    assert sum(before.values()) > 10
    upgrade(database.engine)
    with database.engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
        after = _counts(connection)
        assert {name: after[name] for name in before} == before
        for table in schema.metadata.sorted_tables:
            rows(connection, table)  # every value is of the type that the code reads
        key = api_keys.find(connection, API_KEY, now=NOW)
        assert key is not None
        room_id, invitation = text.splitlines()[0].split()[1:]
        assert row(connection, schema.rooms, room_id).account_id == key.account_id
        assert tokens.redeem(connection, tokens.load_keys(connection, NOW), room_id, invitation, now=NOW).token
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1, "they are enforced again"


def test_a_migration_that_loses_rows_is_rolled_back(tmp_path: Path) -> None:
    """SQLite enforces no foreign keys during a migration; what is left is checked before the commit."""
    with closing(sqlite3.connect(tmp_path / "kept.db")) as driver:
        driver.executescript((SCHEMAS / "0.1.0.sqlite.sql").read_text())
        driver.execute("DELETE FROM rooms")
        driver.commit()
    database = open_database(f"sqlite:///{tmp_path}/kept.db")
    try:
        with pytest.raises(RuntimeError, match="lost rows"):
            upgrade(database.engine)
        with database.engine.connect() as connection:
            assert rows_of(connection, "alembic_version") == [("0001",)]
    finally:
        database.engine.dispose()


def _counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has that is there and is one of today's."""
    known = set(inspect(connection).get_table_names()) & set(schema.metadata.tables)
    return {name: len(rows_of(connection, name)) for name in sorted(known)}


def rows_of(connection: Connection, table: str) -> list[object]:
    """The rows of a table as the database has them, whatever its columns are."""
    return list(connection.exec_driver_sql(f"SELECT * FROM {table}"))


def test_a_release_was_kept_for_both_databases(release: str) -> None:
    for database in ("sqlite", "postgresql"):
        tables = re.findall(r"CREATE TABLE \"?(?:public\.)?(\w+)", (SCHEMAS / f"{release}.{database}.sql").read_text())
        assert {"accounts", "alembic_version", "rooms", "events"} <= set(tables)


def test_this_version_is_kept_once_its_schema_is_final() -> None:
    """`script/release` refuses a version whose kept schema is not that of the newest migration."""
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    known = {script.revision for script in scripts.walk_revisions()}
    assert __version__ in RELEASES
    for version in RELEASES:
        for file in SCHEMAS.glob(f"{version}.*.sql"):
            (revision,) = re.findall(r"INTO \S*alembic_version\S* VALUES ?\('(\w+)'\)", file.read_text())
            assert revision in known
