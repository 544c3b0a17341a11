"""API keys: how they are written, and how soon a revoked one stops working."""

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest

from portico.api.app import document
from portico.api.auth import REMEMBERED_SECS, WRONG_KEYS, KeyRing, bearer_key
from portico.core.errors import TooManyRequests
from portico.core.scopes import SCOPES
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import api_keys
from portico.services.api_keys import DEFAULT_ACCOUNT
from tests.api.world import World, world_on
from tests.factories import NOW


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER   My API Key  ", "My API Key"),
        ("Bearer\tabc", "abc"),
        (None, None),
        ("", None),
        ("abc", None),
        ("Bearer", None),
        ("Bearer  ", None),
        ("Basic abc", None),
        ("Bearerabc", None),
    ],
)
def test_credentials(header: str | None, key: str | None) -> None:
    assert bearer_key(header) == key


async def test_keys_with_blanks_and_other_scripts_work(world: World) -> None:
    for key in ("My API Key", "sch\u00fcssel"):
        await world.db.write(partial(api_keys.admit, key=key, account_name="one", now=datetime.now(UTC)))
        headers = [(b"Authorization", f"bearer {key}".encode("latin-1"))]
        assert (await world.anonymous.get("/v2/rooms", headers=headers)).status_code == 200


async def test_a_rotated_key_ends_by_the_programs_clock(world: World) -> None:
    """Servers with one database have one clock, whatever those of their machines say."""
    now = world.clock()

    def rotate(tx: Transaction) -> None:
        key = api_keys.find(tx, world.key, now=now)
        assert key is not None
        api_keys.rotate(tx, key.id, now=now, overlap=timedelta(hours=1))

    await world.db.write(rotate)
    assert (await world.k1.get("/v2/rooms")).status_code == 200
    world.clock.advance(hours=2)
    await asyncio.sleep(REMEMBERED_SECS)
    assert (await world.k1.get("/v2/rooms")).status_code == 401


async def test_an_answer_that_was_long_on_its_way_is_remembered_no_longer(database: Database) -> None:
    key = await database.write(partial(api_keys.create, account_name="one", now=NOW))
    ring = KeyRing(database, lambda: NOW)
    asking = asyncio.create_task(ring.account_of(f"Bearer {key}"))
    await asyncio.sleep(0)
    time.sleep(REMEMBERED_SECS)  # the request has been sent, and its answer is late
    assert await asking is not None
    await database.write(lambda tx: tx.execute(schema.api_keys.update().values(revoked_at=NOW)))
    assert await ring.account_of(f"Bearer {key}") is None


async def test_a_revoked_key_stops_within_a_second(world: World) -> None:
    assert (await world.k1.get("/v2/rooms")).status_code == 200
    now = datetime.now(UTC)
    await world.db.write(lambda tx: tx.execute(schema.api_keys.update().values(revoked_at=now)))
    revoked = asked = time.monotonic()
    while (await world.k1.get("/v2/rooms")).status_code == 200:
        assert asked - revoked < REMEMBERED_SECS
        asked = time.monotonic()


# Scopes.


DOCUMENT = document()


def needs(operation: dict[str, Any]) -> set[str] | None:
    """What the document says that a key needs: any of these; None for an operation without a key."""
    security = operation.get("security", DOCUMENT["security"])
    return {scope for each in security for scope in each["bearerAuth"]} if security else None


OPERATIONS = [
    (method.upper(), path, needs(operation))
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]


def test_what_the_scopes_allow() -> None:
    allowed = {scope: [f"{m} {p[3:]}" for m, p, any_of in OPERATIONS if scope in (any_of or ())] for scope in SCOPES}
    assert all(method == "GET" for method in (each.split()[0] for each in allowed["read"]))
    assert {each for each in allowed["rooms"] if not each.startswith("GET")} == {
        "POST /rooms",
        "PATCH /rooms/{room_id}",
        "DELETE /rooms/{room_id}",
        "POST /rooms/{room_id}/actions/generate_join_client_token",
        "POST /rooms/{room_id}/actions/generate_meeting_link",
        "POST /webhook_deliveries/{webhook_delivery_id}/actions/replay",
        "POST /webhook_deliveries/actions/replay",
    }
    assert [each for each in allowed["moderate"] if not each.startswith("GET")] == [
        f"POST /room_sessions/{{room_session_id}}/actions/{act}" for act in ("end", "kick", "mute", "unmute")
    ]
    assert {each for each in allowed["nodes"] if not each.startswith("GET")} == {
        f"POST /media_nodes/actions/{action}" for action in ("drain", "resume", "remove")
    }
    assert {each for each in allowed["recordings"] if not each.startswith("GET")} == {
        "DELETE /room_recordings",
        "DELETE /room_recordings/{room_recording_id}",
        "POST /room_compositions",
        "DELETE /room_compositions/{room_composition_id}",
        "POST /room_participants/{room_participant_id}/actions/erase",
    }
    without = {f"{method} {path[3:]}" for method, path, any_of in OPERATIONS if not any_of}
    assert without == {"POST /rooms/{room_id}/actions/refresh_client_token", "GET /public_key"}


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_may_do_what_its_scope_allows_and_nothing_else(sqlite_world: World, scope: str) -> None:
    make = partial(api_keys.create, account_name=DEFAULT_ACCOUNT, now=datetime.now(UTC), scopes=(scope,))
    headers = {"Authorization": f"Bearer {await sqlite_world.db.write(make)}"}
    for method, path, any_of in OPERATIONS:
        url = re.sub(r"\{\w+\}", str(uuid4()), path)
        answer = await sqlite_world.anonymous.request(method, url, headers=headers)
        if any_of is None:
            continue
        if not any_of or scope in any_of:
            assert answer.status_code != 403, (method, path)
        else:
            error = answer.json()["errors"][0]
            assert (answer.status_code, error["code"]) == (403, "10010"), (method, path)
            assert all(named in error["detail"] for named in (*any_of, scope)), error["detail"]


async def test_a_key_without_scopes_may_do_everything(sqlite_world: World) -> None:
    make = partial(api_keys.create, account_name=DEFAULT_ACCOUNT, now=datetime.now(UTC))
    headers = {"Authorization": f"Bearer {await sqlite_world.db.write(make)}"}
    for method, path, _ in OPERATIONS:
        if "refresh" not in path:
            url = re.sub(r"\{\w+\}", str(uuid4()), path)
            answer = await sqlite_world.anonymous.request(method, url, headers=headers)
            assert answer.status_code != 403, (method, path)


# Wrong keys.


async def asked(world: World, key: str, address: str) -> httpx.Response:
    """A request with this key from this address."""
    transport = httpx.ASGITransport(world.app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://portico") as client:
        return await client.get("/v2/rooms", headers={"Authorization": f"Bearer {key}"})


async def test_an_address_with_wrong_keys_has_to_wait_and_no_other(sqlite_world: World) -> None:
    world, here, neighbour, elsewhere = sqlite_world, "2001:db8::1", "2001:db8::2", "192.0.2.1"
    await world.db.write(partial(api_keys.admit, key="chosen-by-hand", account_name="one", now=NOW))
    await world.db.write(partial(api_keys.admit, key="guessed-at-last", account_name="one", now=NOW))
    assert (await asked(world, "chosen-by-hand", here)).status_code == 200
    statuses = [(await asked(world, f"wrong-{number}", here)).status_code for number in range(WRONG_KEYS.requests + 5)]
    assert statuses == [401] * WRONG_KEYS.requests + [429] * 5
    refused = await asked(world, "wrong", neighbour)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, "10011"), "the same network"
    assert 1 <= int(refused.headers["retry-after"]) <= 60 // WRONG_KEYS.requests + 1
    assert (await asked(world, "guessed-at-last", here)).status_code == 429, (
        "a right guess is answered like a wrong one"
    )
    for key, address in ((world.key, here), ("chosen-by-hand", here), ("guessed-at-last", elsewhere)):
        assert (await asked(world, key, address)).status_code == 200, (key, address)
    generated = f"portico_{'x' * 43}"
    assert (await asked(world, generated, here)).status_code == 429, "wrong, so it has to wait as well"
    assert (await world.anonymous.get("/v2/rooms")).status_code == 401, "no key is no guess"


async def test_who_waited_may_try_again(database: Database) -> None:
    clock = [1000.0]
    ring = KeyRing(database, lambda: NOW, monotonic=lambda: clock[0])
    for _ in range(WRONG_KEYS.requests):
        assert await ring.find("Bearer wrong-key", "192.0.2.1") is None
    with pytest.raises(TooManyRequests) as refused:
        await ring.find("Bearer wrong-key", "192.0.2.1")
    clock[0] += refused.value.wait_secs
    assert await ring.find("Bearer wrong-key", "192.0.2.1") is None


# Last use.


async def test_the_last_use_of_a_key_is_written_once_a_minute(database: Database) -> None:
    key = await database.write(partial(api_keys.create, account_name="one", now=NOW))
    seconds, instant = [1000.0], [NOW]
    ring = KeyRing(database, clock=lambda: instant[0], monotonic=lambda: seconds[0])

    async def used(after_secs: float) -> datetime | None:
        """When the key was last used according to its row, after it was used once more."""
        seconds[0] += after_secs
        instant[0] += timedelta(seconds=after_secs)
        assert await ring.find(f"Bearer {key}") is not None
        await asyncio.gather(*ring._noting)
        (row,) = await database.read(api_keys.list_keys)
        at: datetime | None = row.last_used_at
        return at

    assert await used(0) == NOW
    assert await used(30) == NOW
    assert await used(31) == NOW + timedelta(seconds=61)
    again = KeyRing(database, clock=lambda: instant[0], monotonic=lambda: seconds[0])
    assert await again.find(f"Bearer {key}") is not None
    assert not again._noting, "another process has just written it"


async def test_no_request_waits_until_its_key_is_noted(sqlite_url: str) -> None:
    """The database is locked for writing by another connection; reads are answered all the same."""
    database = open_database(sqlite_url)
    try:
        async with world_on(database) as world:
            with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                async with asyncio.timeout(5):
                    assert (await world.k1.get("/v2/rooms")).status_code == 200
                other.execute("ROLLBACK")
    finally:
        await database.close()
