"""The keys that sign webhooks: made once for all processes, rotated with an overlap, taken from a key file once."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portico.core.webhook import public_key
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.keyfile import FILE_NAME, KeyFileError, parse_key
from portico.services import webhook_keys
from portico.services.signing_keys import FORGOTTEN_AFTER, WEBHOOKS
from portico.services.webhook_keys import WebhookKeys
from tests.factories import rows

NOW = datetime(2026, 2, 2, 22, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
GIVEN = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(32)).decode()


def loaded(tx: Transaction, folder: Path, *, setting: str | None = None, now: datetime = NOW) -> WebhookKeys:
    return webhook_keys.load(tx, setting=setting, folder=folder, now=now)


def rotated(tx: Transaction, now: datetime, overlap: timedelta) -> str:
    return public_key(webhook_keys.rotate(tx, None, now=now, overlap=overlap).private)


def signer(tx: Transaction, now: datetime) -> str:
    return public_key(webhook_keys.read(tx).current(now))


def public(secret: str) -> str:
    return public_key(parse_key(secret))


async def test_a_key_is_made_once_for_all_processes(database: Database, database_url: str, tmp_path: Path) -> None:
    second = open_database(database_url) if database_url.startswith("postgresql") else database
    try:
        starts = [each.write(lambda tx: loaded(tx, tmp_path)) for each in (database, second) for _ in range(4)]
        made = {public_key(keys.current(NOW)) for keys in await asyncio.gather(*starts)}
    finally:
        if second is not database:
            await second.close()
    assert made == {await database.read(lambda tx: signer(tx, NOW + 1000 * HOUR))}
    assert (await database.read(webhook_keys.read)).next(NOW) is None
    assert not (tmp_path / FILE_NAME).exists()


async def test_an_announced_key_signs_when_the_overlap_is_over(database: Database, tmp_path: Path) -> None:
    def check(tx: Transaction) -> None:
        old = public_key(loaded(tx, tmp_path).current(NOW))
        new = rotated(tx, NOW, HOUR)
        keys = webhook_keys.read(tx)
        for before in (NOW, NOW + HOUR - timedelta(microseconds=1)):
            assert public_key(keys.current(before)) == old
            announced = keys.next(before)
            assert announced is not None and announced.active_from == NOW + HOUR
            assert public_key(announced.private) == new != old
        assert public_key(keys.current(NOW + HOUR)) == new and keys.next(NOW + HOUR) is None
        at_once = rotated(tx, NOW + HOUR, timedelta(0))
        assert signer(tx, NOW + HOUR) == at_once != new

    await database.write(check)


async def test_a_key_that_was_only_announced_is_replaced_by_the_next(database: Database, tmp_path: Path) -> None:
    def check(tx: Transaction) -> None:
        old = public_key(loaded(tx, tmp_path).current(NOW))
        rotated(tx, NOW, HOUR)
        second = rotated(tx, NOW + HOUR / 2, HOUR)
        assert signer(tx, NOW + 1.4 * HOUR) == old
        assert signer(tx, NOW + 1.5 * HOUR) == second

    await database.write(check)


async def test_old_keys_go_at_last_and_the_one_in_use_never(database: Database, tmp_path: Path) -> None:
    def check(tx: Transaction) -> None:
        loaded(tx, tmp_path)
        at = NOW
        for _ in range(5):
            at += FORGOTTEN_AFTER + 2 * HOUR
            before = signer(tx, at)
            rotated(tx, at, HOUR)
            assert signer(tx, at) == before
        assert len(rows(tx, schema.signing_keys)) <= 3

    await database.write(check)


async def test_rotations_at_the_same_time_leave_one_successor(database: Database, tmp_path: Path) -> None:
    await database.write(lambda tx: loaded(tx, tmp_path))
    at_once = [database.write(lambda tx: rotated(tx, NOW, HOUR)) for _ in range(4)]
    made = await asyncio.gather(*at_once)
    assert await database.read(lambda tx: signer(tx, NOW + HOUR)) in made
    unretired = [row for row in await database.read(lambda tx: rows(tx, schema.signing_keys)) if row.retired_at is None]
    assert len(unretired) == 1


async def test_a_key_that_is_given_wins_and_makes_no_row(database: Database, tmp_path: Path) -> None:
    def check(tx: Transaction) -> None:
        keys = loaded(tx, tmp_path, setting=GIVEN)
        assert public_key(keys.current(NOW)) == public_key(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
        assert keys.next(NOW) is None and rows(tx, schema.signing_keys) == []
        with pytest.raises(KeyFileError, match="PORTICO_WEBHOOK_PRIVATE_KEY"):
            webhook_keys.rotate(tx, GIVEN, now=NOW, overlap=HOUR)
        keys.replace_with(loaded(tx, tmp_path))
        assert public_key(keys.current(NOW)) == public(GIVEN), "a given key stays"

    await database.write(check)


async def test_the_keys_of_a_file_become_rows_at_the_first_start_only(database: Database, tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    kept = [(OTHER, NOW - HOUR), (GIVEN, NOW + HOUR)]
    text = json.dumps({"keys": [{"private": key, "active_from": at.isoformat()} for key, at in kept]})
    file.write_text(text)

    def check(tx: Transaction) -> None:
        keys = loaded(tx, tmp_path)
        assert public_key(keys.current(NOW)) == public(OTHER)
        announced = keys.next(NOW)
        assert announced is not None and public_key(announced.private) == public(GIVEN)
        assert public_key(keys.current(NOW + HOUR)) == public(GIVEN)
        new = rotated(tx, NOW + 2 * HOUR, timedelta(0))
        file.write_text("{}")
        assert public_key(loaded(tx, tmp_path).current(NOW + 2 * HOUR)) == new, "the file is not read again"
        purposes = {row.purpose for row in rows(tx, schema.signing_keys)}
        assert purposes == {WEBHOOKS}

    await database.write(check)


@pytest.mark.parametrize("text", ["", "short", GIVEN[:-4], GIVEN + "AAAA", "é" * 44, f" {GIVEN}"])
def test_a_given_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(KeyFileError, match="base64 of 32 bytes"):
        webhook_keys.given(text)


async def test_before_the_first_start_there_is_none(database: Database) -> None:
    with pytest.raises(LookupError):
        await database.read(webhook_keys.read)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"{}",
        b"[]",
        b'"keys"',
        b'{"keys": []}',
        b'{"keys": [1]}',
        b'{"keys": [{"private": "AAAA", "active_from": "1970-01-01T00:00:00+00:00"}]}',
        f'{{"keys": [{{"private": "{GIVEN}", "active_from": "soon"}}]}}'.encode(),
    ],
    ids=repr,
)
async def test_a_file_that_is_not_ours_is_refused_in_one_sentence_and_kept(
    sqlite_url: str, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / FILE_NAME
    file.write_bytes(content)
    db = open_database(sqlite_url)
    try:
        with pytest.raises(KeyFileError) as refused:
            await db.write(lambda tx: loaded(tx, tmp_path))
        assert await db.read(lambda tx: rows(tx, schema.signing_keys)) == []
    finally:
        await db.close()
    sentence = str(refused.value)
    assert str(file) in sentence and "remove it" in sentence and "\n" not in sentence
    assert file.read_bytes() == content
