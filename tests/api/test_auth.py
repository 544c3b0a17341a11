"""API keys: how they are written, and how soon a revoked one stops working."""

import time
from datetime import UTC, datetime
from functools import partial

import pytest

from portico.api.auth import REMEMBERED_SECS, bearer_key
from portico.db import schema
from portico.services import api_keys
from tests.api.world import World


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
        assert (await world.nobody.get("/v2/rooms", headers=headers)).status_code == 200


async def test_a_revoked_key_stops_within_a_second(world: World) -> None:
    assert (await world.k1.get("/v2/rooms")).status_code == 200
    now = datetime.now(UTC)
    await world.db.write(lambda tx: tx.execute(schema.api_keys.update().values(revoked_at=now)))
    revoked = time.monotonic()
    while (await world.k1.get("/v2/rooms")).status_code == 200:
        assert time.monotonic() - revoked < REMEMBERED_SECS + 0.5
