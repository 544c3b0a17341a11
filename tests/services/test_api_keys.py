"""API keys: what opens which account, and that nobody can read a key out of the database."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from portico.db import schema
from portico.db.engine import Database
from portico.db.sqlite import SqliteDatabase
from portico.services import api_keys
from tests.factories import NOW, an_account, rows

create = partial(api_keys.create, now=NOW)


async def test_a_new_key_opens_its_account(database: Database) -> None:
    key = await database.write(partial(create, account_name="default"))
    account_id = await database.write(an_account)
    assert await database.read(partial(api_keys.account_of, key=key)) == account_id
    assert len(key) >= 43, "256 bits"
    assert key.split() == [key], "it is the last word of a sentence"


async def test_every_key_is_another_and_opens_the_same_account(database: Database) -> None:
    keys = [await database.write(partial(create, account_name="default")) for _ in range(5)]
    assert len(set(keys)) == 5
    assert len({await database.read(partial(api_keys.account_of, key=key)) for key in keys}) == 1
    assert len(await database.read(partial(rows, table=schema.accounts))) == 1


async def test_two_accounts_are_two(database: Database) -> None:
    one, two = [await database.write(partial(create, account_name=name)) for name in ("one", "two")]
    first, second = [await database.read(partial(api_keys.account_of, key=key)) for key in (one, two)]
    assert first
    assert second
    assert first != second


@pytest.mark.parametrize("change", ["", "longer", "shorter", "case", "blank", "nul", "surrogate"])
async def test_only_the_very_key_opens(database: Database, change: str) -> None:
    key = await database.write(partial(create, account_name="default"))
    wrong = {
        "": "",
        "longer": key + "x",
        "shorter": key[:-1],
        "case": key.swapcase(),
        "blank": f" {key}",
        "nul": key + "\0",
        "surrogate": key + "\ud800",
    }[change]
    assert await database.read(partial(api_keys.account_of, key=wrong)) is None


async def test_a_revoked_key_opens_nothing_not_even_when_admitted_again(database: Database) -> None:
    key = await database.write(partial(create, account_name="default"))
    await database.write(lambda tx: tx.execute(schema.api_keys.update().values(revoked_at=NOW)).rowcount)
    assert await database.read(partial(api_keys.account_of, key=key)) is None
    await database.write(partial(api_keys.admit, key=key, account_name="default", now=NOW))
    assert await database.read(partial(api_keys.account_of, key=key)) is None


async def test_admitting_is_for_every_start(database: Database) -> None:
    """PORTICO_API_KEY is admitted at each start; it may hold blanks, as the one of the official SDK's tests does."""
    for _ in range(2):
        await database.write(partial(api_keys.admit, key="My API Key", account_name="default", now=NOW))
    assert await database.read(partial(api_keys.account_of, key="My API Key")) == await database.write(an_account)
    assert len(await database.read(partial(rows, table=schema.api_keys))) == 1


async def test_an_admitted_key_does_not_move_to_another_account(database: Database) -> None:
    key = await database.write(partial(create, account_name="one"))
    owner = await database.read(partial(api_keys.account_of, key=key))
    await database.write(partial(api_keys.admit, key=key, account_name="two", now=NOW))
    assert await database.read(partial(api_keys.account_of, key=key)) == owner


async def test_whether_any_exist(database: Database) -> None:
    assert not await database.read(api_keys.any_exist)
    await database.write(partial(create, account_name="default"))
    assert await database.read(api_keys.any_exist)


async def test_the_key_is_in_no_file_of_the_database(sqlite_url: str) -> None:
    path = Path(make_url(sqlite_url).database or "")
    database = SqliteDatabase(path)
    try:
        made = await database.write(partial(create, account_name="default"))
        await database.write(partial(api_keys.admit, key="chosen-by-hand", account_name="default", now=NOW))
        while_open = _contents(path.parent)
    finally:
        await database.close()
    closed = _contents(path.parent)
    for content in (while_open, closed):
        assert b"default" in content, "the rows are there"
        for key in (made, made.removeprefix("portico_"), "chosen-by-hand"):
            assert key.encode() not in content


async def test_the_key_is_in_no_column(database: Database) -> None:
    made = await database.write(partial(create, account_name="default"))
    found = await database.read(
        lambda tx: repr([tuple(each) for table in schema.metadata.sorted_tables for each in rows(tx, table)])
    )
    assert made.removeprefix("portico_") not in found


def _contents(folder: Path) -> bytes:
    """The database with its journals."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("portico.db*")))
