"""Statements that go straight to the driver do what they do through SQLAlchemy, on both databases."""

from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Row, bindparam, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.db.statements import Prepared
from tests.factories import NOW

ROOMS = schema.rooms
ROOM: dict[str, Any] = {
    "id": "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0",
    "account_id": "account",
    "unique_name": "caf\u00e9 %s ? :id",
    "max_participants": 7,
    "enable_recording": True,
    "webhook_event_url": None,
    "webhook_event_failover_url": "",
    "webhook_timeout_secs": 3,
    "created_at": datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=2))),
    "updated_at": NOW,
}


@pytest.fixture
async def account(database: Database) -> None:
    await database.write(
        lambda tx: tx.execute(schema.accounts.insert(), {"id": "account", "name": "a", "created_at": NOW})
    )


def _rooms(tx: Transaction) -> list[Row[Any]]:
    return list(tx.execute(select(ROOMS).order_by(ROOMS.c.id)))


@pytest.mark.usefixtures("account")
async def test_a_row_is_the_same_on_both_ways(database: Database) -> None:
    other = ROOM | {"id": "1" + ROOM["id"][1:], "unique_name": None}
    await database.write(lambda tx: (Prepared(ROOMS.insert()).run(tx, ROOM), tx.execute(ROOMS.insert(), other)))
    straight, through = await database.read(_rooms)
    assert dict(straight._mapping) == ROOM | {"deleted_at": None, "link_generation": 0}
    assert dict(through._mapping) == other | {"deleted_at": None, "link_generation": 0}
    assert straight.created_at.utcoffset() == timedelta(0) and straight.created_at.tzinfo is UTC


@pytest.mark.usefixtures("account")
async def test_one_statement_serves_again_and_again(database: Database) -> None:
    insert = Prepared(ROOMS.insert())
    named = Prepared(select(ROOMS.c.id).where(ROOMS.c.unique_name == bindparam("name"), ROOMS.c.deleted_at.is_(None)))
    for number in range(3):
        room = ROOM | {"id": f"{number}{ROOM['id'][1:]}", "unique_name": f"room {number}"}
        await database.write(partial(insert.run, values=room))
    assert await database.read(partial(named.run, values={"name": "room 1"})) == [(f"1{ROOM['id'][1:]}",)]
    assert await database.read(partial(named.run, values={"name": "room 4"})) == []


@pytest.mark.usefixtures("account")
async def test_what_is_taken_is_refused_as_everywhere(database: Database) -> None:
    insert = Prepared(ROOMS.insert())
    await database.write(partial(insert.run, values=ROOM))
    with pytest.raises(IntegrityError, match="unique_name"):
        await database.write(partial(insert.run, values=ROOM | {"id": "1" + ROOM["id"][1:]}))
    with pytest.raises(IntegrityError):
        await database.write(partial(insert.run, values=ROOM | {"unique_name": None}))
    assert len(await database.read(_rooms)) == 1


async def test_what_is_missing_or_unaware_is_a_mistake_of_ours(database: Database) -> None:
    insert = Prepared(schema.accounts.insert())
    whole = {"id": "account", "name": "a", "created_at": NOW}
    await database.write(partial(insert.run, values=whole))
    with pytest.raises(KeyError, match="name"):
        await database.write(partial(insert.run, values={"id": "other", "created_at": NOW}))
    with pytest.raises(ValueError, match="aware"):
        await database.write(partial(insert.run, values=whole | {"created_at": datetime(2026, 1, 1)}))  # noqa: DTZ001
    await database.write(lambda tx: tx.exec_driver_sql("ALTER TABLE webhook_attempts RENAME TO gone"))
    attempts = Prepared(select(schema.webhook_attempts.c.number))
    with pytest.raises(DBAPIError, match="webhook_attempts"):
        await database.read(partial(attempts.run, values={}))
