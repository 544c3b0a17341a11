"""API keys: which account a key opens, and that no key can be read out of the database."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.engine import make_url

from portico.core.errors import NotFound
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.db.sqlite import SqliteDatabase
from portico.services import api_keys
from tests.factories import NOW, an_account, rows

create = partial(api_keys.create, now=NOW)
DAY = timedelta(days=1)


def account_of(tx: Transaction, key: str, now: datetime = NOW) -> str | None:
    """The account that a key opens."""
    found = api_keys.find(tx, key, now=now)
    return None if found is None else found.account_id


async def test_a_new_key_opens_its_account(database: Database) -> None:
    key = await database.write(partial(create, account_name="default"))
    account_id = await database.write(an_account)
    assert await database.read(partial(account_of, key=key)) == account_id
    assert len(key) >= 43, "256 bits"
    assert key.split() == [key], "it is the last word of a sentence"


async def test_every_key_is_another_and_opens_the_same_account(database: Database) -> None:
    keys = [await database.write(partial(create, account_name="default")) for _ in range(5)]
    assert len(set(keys)) == 5
    assert len({await database.read(partial(account_of, key=key)) for key in keys}) == 1
    assert len(await database.read(partial(rows, table=schema.accounts))) == 1


async def test_two_accounts_are_two(database: Database) -> None:
    one, two = [await database.write(partial(create, account_name=name)) for name in ("one", "two")]
    first, second = [await database.read(partial(account_of, key=key)) for key in (one, two)]
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
    assert await database.read(partial(account_of, key=wrong)) is None


async def test_a_revoked_key_opens_nothing_not_even_when_admitted_again(database: Database) -> None:
    key = await database.write(partial(create, account_name="default"))
    await database.write(lambda tx: tx.execute(schema.api_keys.update().values(revoked_at=NOW)).rowcount)
    assert await database.read(partial(account_of, key=key)) is None
    await database.write(partial(api_keys.admit, key=key, account_name="default", now=NOW))
    assert await database.read(partial(account_of, key=key)) is None


async def test_admitting_is_for_every_start(database: Database) -> None:
    """PORTICO_API_KEY is admitted at each start; it may hold blanks, as the one of the official SDK's tests does."""
    for _ in range(2):
        await database.write(partial(api_keys.admit, key="My API Key", account_name="default", now=NOW))
    assert await database.read(partial(account_of, key="My API Key")) == await database.write(an_account)
    assert len(await database.read(partial(rows, table=schema.api_keys))) == 1


async def test_an_admitted_key_does_not_move_to_another_account(database: Database) -> None:
    key = await database.write(partial(create, account_name="one"))
    owner = await database.read(partial(account_of, key=key))
    await database.write(partial(api_keys.admit, key=key, account_name="two", now=NOW))
    assert await database.read(partial(account_of, key=key)) == owner


# The key of PORTICO_API_KEY.


async def test_a_replaced_setting_makes_its_former_key_void_and_no_other(database: Database) -> None:
    made = await database.write(partial(create, account_name="default"))
    for key in ("the-first-key", "the-second-key", "the-second-key"):
        assert await database.write(partial(api_keys.admit_setting, key=key, now=NOW))
    assert await opening(database, "the-first-key", "the-second-key", made) == ["the-second-key", made]
    assert await database.write(partial(api_keys.admit_setting, key="the-first-key", now=NOW)), "back again"
    assert await opening(database, "the-first-key", "the-second-key", made) == ["the-first-key", made]


async def test_a_key_that_was_made_stays_when_the_setting_that_named_it_changes(database: Database) -> None:
    made = await database.write(partial(create, account_name="default"))
    for key in (made, "the-second-key"):
        assert await database.write(partial(api_keys.admit_setting, key=key, now=NOW))
    assert await opening(database, made, "the-second-key") == [made, "the-second-key"]


async def test_the_former_setting_of_an_older_version_becomes_void_too(database: Database) -> None:
    """An older version did not note that a key is the setting's; the first start of this version notes it."""
    await database.write(partial(api_keys.admit, key="the-first-key", account_name="default", now=NOW))
    for key in ("the-first-key", "the-second-key"):
        assert await database.write(partial(api_keys.admit_setting, key=key, now=NOW))
    assert await opening(database, "the-first-key", "the-second-key") == ["the-second-key"]


async def test_a_revoked_key_of_the_setting_stays_revoked(database: Database) -> None:
    await database.write(partial(api_keys.admit_setting, key="the-first-key", now=NOW))
    (row,) = await database.read(api_keys.list_keys)
    assert (row.from_setting, row.account) == (True, "default")
    await database.write(partial(api_keys.revoke, key_id=row.id, now=NOW))
    for _ in range(2):
        assert not await database.write(partial(api_keys.admit_setting, key="the-first-key", now=NOW))
    assert await opening(database, "the-first-key") == []


async def opening(database: Database, *keys: str, now: datetime = NOW) -> list[str]:
    """Those of the keys that open an account."""
    return [key for key in keys if await database.read(partial(account_of, key=key, now=now)) is not None]


# Revocation and rotation.


async def test_revoking_is_final_and_concerns_one_key(database: Database) -> None:
    one, two = [await database.write(partial(create, account_name="default")) for _ in range(2)]
    key_id = await id_of(database, one)
    for _ in range(2):
        await database.write(partial(api_keys.revoke, key_id=key_id, now=NOW))
    assert await opening(database, one, two, now=NOW - DAY) == [two], "whatever the clock says"
    with pytest.raises(NotFound):
        await database.write(partial(api_keys.revoke, key_id=str(uuid4()), now=NOW))
    with pytest.raises(NotFound, match="void already"):
        await database.write(partial(api_keys.rotate, key_id=key_id, now=NOW, overlap=DAY))


async def test_a_rotated_key_is_good_until_the_overlap_is_over(database: Database) -> None:
    old = await database.write(partial(create, account_name="one", name="CI", scopes=("read",)))
    rotate = partial(api_keys.rotate, key_id=await id_of(database, old), now=NOW)
    new = await database.write(partial(rotate, overlap=DAY))
    assert await opening(database, old, new) == [old, new]
    assert await opening(database, old, new, now=NOW + DAY) == [new]
    first, second = await database.read(api_keys.list_keys)
    assert (first.account, first.name, first.scopes) == (second.account, second.name, second.scopes)
    assert (second.name, second.scopes) == ("CI", ["read"])
    with pytest.raises(NotFound, match="void already"):
        await database.write(partial(rotate, now=NOW + DAY, overlap=DAY))


async def test_without_an_overlap_a_rotated_key_is_void_at_once(database: Database) -> None:
    old = await database.write(partial(create, account_name="one"))
    rotate = partial(api_keys.rotate, key_id=await id_of(database, old), now=NOW, overlap=timedelta(0))
    new = await database.write(rotate)
    assert await opening(database, old, new, now=NOW - DAY) == [new]


async def test_the_last_use_only_moves_forward(database: Database) -> None:
    key_id = await id_of(database, await database.write(partial(create, account_name="one")))
    for at in (NOW, NOW - DAY, NOW + DAY):
        await database.write(partial(api_keys.note_use, key_id=key_id, at=at))
    (row,) = await database.read(api_keys.list_keys)
    assert row.last_used_at == NOW + DAY


async def test_keys_are_listed_oldest_first_and_by_account(database: Database) -> None:
    for number, account in enumerate(("one", "two", "one")):
        made = partial(api_keys.create, account_name=account, now=NOW + timedelta(seconds=number))
        await database.write(made)
    assert [row.account for row in await database.read(api_keys.list_keys)] == ["one", "two", "one"]
    assert len(await database.read(partial(api_keys.list_keys, account_name="one"))) == 2


async def id_of(database: Database, key: str) -> str:
    found = await database.read(partial(api_keys.find, key=key, now=NOW))
    assert found is not None
    return found.id


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
