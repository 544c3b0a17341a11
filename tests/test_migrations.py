"""Migrations, on both databases: complete, repeatable, reversible, and safe when several processes begin at once."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

import portico
from portico.db import migrate, schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.migrate import upgrade
from portico.services import jobs, recordings, tokens, webhook_queue
from tests.databases import PostgresCluster
from tests.db.processes import others
from tests.factories import NOW, a_participant, a_room, rows
from tests.recorded import a_recorded_participant

PROCESSES = 3
ROUNDS = 2


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """As many databases without a table as there are rounds."""
    if request.param == "sqlite":
        yield [f"sqlite:///{tmp_path / str(n)}.db" for n in range(ROUNDS)]
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
    with ExitStack() as ending:
        names = [f"empty_{uuid4().hex}" for _ in range(ROUNDS)]
        for name in names:
            cluster.execute(f"CREATE DATABASE {name}")
            ending.callback(cluster.execute, f"DROP DATABASE {name} WITH (FORCE)")
        yield [cluster.url(name) for name in names]


async def test_the_migrated_schema_is_the_one_that_the_code_uses(database: Database) -> None:
    def differences(tx: Transaction) -> list[object]:
        context = MigrationContext.configure(tx, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, schema.metadata))

    assert await database.write(differences) == []


async def test_upgrading_again_changes_nothing_and_loses_nothing(database: Database) -> None:
    room_id = await database.write(a_room)
    await database.write(lambda tx: a_participant(tx, room_id))
    before = await database.read(_everything)
    for _ in range(2):
        await asyncio.to_thread(upgrade, database.engine)
    assert await database.read(_everything) == before


def test_processes_that_start_at_once_all_succeed(empty_urls: list[str]) -> None:
    for url in empty_urls:
        with others(PROCESSES, upgrade_on_message, url) as starting:
            for each in starting:
                assert each.ask() == "ready"
            for each in starting:
                each.pipe.send("go")
            assert [each.ask() for each in starting] == ["done"] * PROCESSES
        database = open_database(url)
        try:
            with database.engine.connect() as connection:
                assert set(inspect(connection).get_table_names()) == {*schema.metadata.tables, "alembic_version"}
        finally:
            database.engine.dispose()


def upgrade_on_message(url: str, pipe: "Pipe[object, object]") -> None:
    """In the other process: upgrade after a message, and report the outcome."""
    pipe.send("ready")
    pipe.recv()
    database = open_database(url)
    try:
        upgrade(database.engine)
        pipe.send("done")
    except Exception as error:
        pipe.send(repr(error))


def test_an_upgrade_that_fails_leaves_nothing_behind(empty_urls: list[str]) -> None:
    """One transaction: a half-migrated database could neither go on nor back."""
    database = open_database(empty_urls[0])
    try:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE gateways (id INTEGER)")  # in the way of the first migration
        with pytest.raises(Exception, match="gateways"):
            upgrade(database.engine)
        with database.engine.connect() as connection:
            assert set(inspect(connection).get_table_names()) == {"gateways"}
    finally:
        database.engine.dispose()


def test_links_of_rooms_that_were_there_before_generations_stay_valid(empty_urls: list[str]) -> None:
    """Down to the schema before, which knows nothing of them, and up again."""
    database = open_database(empty_urls[0])
    try:
        upgrade(database.engine)
        with database.engine.begin() as connection:
            room_id = a_room(connection)
            keys = tokens.load_keys(connection, NOW)
            link = tokens.invite(keys, room_id)
        with database.engine.begin() as connection:
            _downgrade(connection, "0008")
            columns = {column["name"] for column in inspect(connection).get_columns("rooms")}
            assert "max_participants" in columns and "link_generation" not in columns
        upgrade(database.engine)
        with database.engine.connect() as connection:
            assert tokens.redeem(connection, keys, room_id, link, now=NOW).token
    finally:
        database.engine.dispose()


def test_deliveries_to_urls_of_any_length_that_wait_become_ready(empty_urls: list[str]) -> None:
    """Former versions had the whole URL in the index of what is ready, where PostgreSQL refuses a long one."""
    database = open_database(empty_urls[0])
    letters = random.Random(1)
    url = f"https://{''.join(chr(letters.randrange(0x20000, 0x2A000)) for _ in range(3000))}/"
    deliveries = schema.webhook_deliveries
    try:
        upgrade(database.engine)
        with database.engine.begin() as connection:
            a_participant(connection, a_room(connection, webhook_event_url=url))
            connection.execute(deliveries.update().values(stage="later", origin=url))
        with database.engine.begin() as connection:
            _downgrade(connection, "0011")
        upgrade(database.engine)
        with database.engine.begin() as connection:
            ids = [row.id for row in connection.execute(deliveries.select())]
            webhook_queue.make_ready(connection, ids, now=NOW)
            assert {row.stage for row in connection.execute(deliveries.select())} == {"ready"}
            assert {row.url for row in webhook_queue.claim(connection, ids, now=NOW)} == {url}
    finally:
        database.engine.dispose()


def test_recordings_that_wait_for_their_conversion_outlast_new_names(empty_urls: list[str]) -> None:
    """Down to the schema with the old names, and up again: the row and its job are the same as before."""
    database = open_database(empty_urls[0])
    try:
        upgrade(database.engine)
        with database.engine.begin() as connection:
            joined = a_recorded_participant(connection)
            mjr_name = "0a1b2c3d_first"
            assert recordings.begin(connection, joined.participant_id, "self", mjr_name, now=NOW)
            recordings.end(connection, mjr_name, now=NOW)
            before = rows(connection, schema.room_recordings), rows(connection, schema.jobs)
        with database.engine.begin() as connection:
            _downgrade(connection, "0012")
            columns = {column["name"] for column in inspect(connection).get_columns("room_recordings")}
            assert "dump" in columns and "mjr_name" not in columns
            kinds = {kind for (kind,) in connection.exec_driver_sql("SELECT kind FROM jobs")}
            assert kinds == {"finish_recording@0a1b2c3d"}
        upgrade(database.engine)
        with database.engine.connect() as connection:
            assert {each.mjr_name for each in before[0]} == {mjr_name} and len(before[1]) == 2
            assert (rows(connection, schema.room_recordings), rows(connection, schema.jobs)) == before
            indexes = {index["name"] for index in inspect(connection).get_indexes("room_recordings")}
            assert indexes >= {index.name for index in schema.room_recordings.indexes}
    finally:
        database.engine.dispose()


def test_jobs_that_were_woken_before_stay_so(empty_urls: list[str]) -> None:
    """Down to the schema before, where a due time of the year 2000 marked them, and up again."""
    database = open_database(empty_urls[0])
    later, lease = NOW + timedelta(seconds=30), timedelta(seconds=9)
    try:
        upgrade(database.engine)
        with database.engine.begin() as connection:
            for subject in ("running", "waits"):
                jobs.enqueue(connection, jobs.COMPOSE, subject, now=NOW, waits_for="the session")
            for job in jobs.claim(connection, [jobs.COMPOSE], now=NOW, lease=lease, limit=2):
                if job.subject == "waits":
                    jobs.again(connection, job.id, None, due_at=later)
            jobs.wake(connection, "the session")
            connection.execute(schema.jobs.update().where(schema.jobs.c.subject == "waits").values(due_at=later))
        with database.engine.begin() as connection:
            _downgrade(connection, "0014")
            due = connection.exec_driver_sql("SELECT subject, due_at < '2001-01-01' FROM jobs").all()
            assert {subject: bool(is_marked) for subject, is_marked in due} == {"running": True, "waits": False}
        upgrade(database.engine)
        with database.engine.begin() as connection:
            jobs_now = {each.subject: each for each in rows(connection, schema.jobs)}
            assert {subject: each.woken for subject, each in jobs_now.items()} == {"running": True, "waits": False}
            assert {subject: each.due_at for subject, each in jobs_now.items()} == {"running": NOW, "waits": later}
            jobs.again(connection, jobs_now["running"].id, None, due_at=later)
            claimed = jobs.claim(connection, [jobs.COMPOSE], now=NOW, lease=lease, limit=2)
            assert [job.subject for job in claimed] == ["running"]
    finally:
        database.engine.dispose()


def _downgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def test_the_migrations_are_one_chain_and_inside_the_package() -> None:
    folder = Path(migrate.__file__).parent / "migrations"
    assert folder.is_relative_to(Path(portico.__file__).parent)
    assert len(ScriptDirectory(str(folder)).get_heads()) == 1


def _everything(tx: Transaction) -> list[tuple[object, ...]]:
    version = tx.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    return [(version,), *(tuple(each) for table in schema.metadata.sorted_tables for each in rows(tx, table))]
