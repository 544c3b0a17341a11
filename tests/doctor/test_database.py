"""The database: good, away, silent, of another version, no database at all."""

import asyncio
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from portico.db import migrate
from portico.db.examine import DatabaseFacts
from portico.doctor import database
from portico.doctor.database import judge
from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.databases import PostgresCluster
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels

MS = timedelta(milliseconds=1)
GOOD = DatabaseFacts("PostgreSQL 15.14", migrate.newest(), migrate.newest(), MS, 5 * MS, 3 * MS)


@pytest.fixture
def chosen(subject: MakeSubject, database_url: str) -> Callable[[], dict[str, object]]:
    """The settings of a migrated database of either kind."""
    path = database_url.removeprefix("sqlite:///")
    return lambda: {"data_dir": str(Path(path).parent)} if path != database_url else {"database_url": database_url}


async def test_a_good_database_is_measured_and_left_as_it_was(
    subject: MakeSubject, chosen: Callable[[], dict[str, object]]
) -> None:
    found = await database.check(subject(**chosen()))
    assert "problem" not in levels(found)
    assert found[0].level == "ok" and f"({migrate.newest()}) is up to date" in found[0].text
    assert "round trip" in found[1].text and "commit" in found[1].text
    assert await database.check(subject(**chosen())), "as often as one likes"


async def test_a_database_without_tables_is_only_noted(subject: MakeSubject, tmp_path: Path) -> None:
    assert levels(await database.check(subject())) == ["note"]
    assert not (tmp_path / "data" / "portico.db").exists()
    sqlite3.connect(tmp_path / "data" / "portico.db").close()
    found = await database.check(subject())
    assert levels(found)[0] == "note"
    assert "no tables yet" in found[0].text


async def test_what_is_no_database_is_a_problem(subject: MakeSubject, tmp_path: Path) -> None:
    (tmp_path / "data" / "portico.db").write_bytes(b"This is a letter to my aunt. " * 100)
    found = await database.check(subject())
    assert levels(found) == ["problem"]
    assert "not a database" in found[0].text


async def test_postgresql_that_is_stopped_or_silent_is_a_problem_in_time(
    subject: MakeSubject, own_postgres: PostgresCluster
) -> None:
    chosen = subject(database_url=f"{own_postgres.url('postgres')}&password=s3cret")
    found = await database.check(chosen)
    assert found[0].level == "note", "a database without our tables"
    own_postgres.suspend()
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_SECS):
            silent = await database.check(chosen, within_secs=1.0)
    finally:
        own_postgres.suspend(signal.SIGCONT)
    own_postgres.stop()
    stopped = await database.check(chosen)
    own_postgres.start()
    assert levels(silent) == levels(stopped) == ["problem"]
    assert "does not answer" in stopped[0].text
    assert "s3cret" not in f"{found}{silent}{stopped}"


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (replace(GOOD, revision="0001"), "note", "next start"),
        (replace(GOOD, revision="9999"), "problem", "newer Portico"),
        (replace(GOOD, round_trip=50 * MS), "warning", "50.0 ms"),
        (replace(GOOD, round_trip=300 * MS), "problem", "300.0 ms"),
        (replace(GOOD, commit=80 * MS), "warning", "80.0 ms"),
        (replace(GOOD, commit=900 * MS), "problem", "900.0 ms"),
        (replace(GOOD, ahead=timedelta(seconds=-30)), "warning", "30.0 s behind"),
        (replace(GOOD, ahead=timedelta(seconds=4)), "warning", "4.0 s ahead of"),
    ],
)
def test_a_slow_database_another_schema_and_another_time_are_reported(
    facts: DatabaseFacts, level: str, words: str
) -> None:
    found = judge(facts, is_running=False)
    levels(found)
    assert [each.level for each in found if words in each.text] == [level]


def test_a_server_older_than_its_program_is_to_be_restarted() -> None:
    found = judge(replace(GOOD, revision="0001"), is_running=True)
    assert levels(found)[0] == "warning"
    assert "Restart" in found[0].remedy


def test_all_is_well_with_a_good_one() -> None:
    assert levels(judge(GOOD, is_running=True)) == ["ok", "ok", "ok"]
