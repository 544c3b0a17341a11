"""The file with the signing keys: made once, seen by all processes, rotated with an overlap."""

import base64
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portico.core.webhook import public_key
from portico.db.keyfile import KEPT_FOR, KeyFileError, WebhookKeys, parse_key
from tests.db.processes import others

NOW = datetime(2026, 2, 2, 22, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
GIVEN = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "webhook-keys.json"


@pytest.fixture
def no_umask() -> Iterator[None]:
    """What a careless service file may set."""
    before = os.umask(0)
    yield
    os.umask(before)


def signer(keys: WebhookKeys, now: datetime = NOW) -> str:
    return public_key(keys.current(now))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("no_umask")
def test_a_key_is_made_once_and_only_we_may_read_it(path: Path) -> None:
    made = signer(WebhookKeys(path))
    assert mode(path) == 0o600
    content = path.read_bytes()
    assert signer(WebhookKeys(path), NOW + 1000 * HOUR) == made
    assert WebhookKeys(path).next(NOW) is None
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path], "nothing half written is left"


def test_two_installations_have_two_keys(tmp_path: Path) -> None:
    assert signer(WebhookKeys(tmp_path / "a")) != signer(WebhookKeys(tmp_path / "b"))


def look(path: str, pipe: "Connection[Any, Any]") -> None:
    """In a process of its own: report `ready`, wait for a message, report the key that signs."""
    pipe.send("ready")
    pipe.recv()
    pipe.send(signer(WebhookKeys(Path(path))))


def test_processes_that_start_together_agree_on_one_key(path: Path) -> None:
    with others(6, look, str(path)) as processes:
        assert {each.ask() for each in processes} == {"ready"}
        for each in processes:
            each.pipe.send("go")
        signers = {each.ask() for each in processes}
    assert signers == {signer(WebhookKeys(path))}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.usefixtures("no_umask")
def test_an_announced_key_signs_when_the_overlap_is_over(path: Path) -> None:
    old = signer(WebhookKeys(path))
    new = WebhookKeys(path).rotate(NOW, HOUR)
    keys = WebhookKeys(path)
    assert new.active_from == NOW + HOUR and public_key(new.private) != old
    assert mode(path) == 0o600
    for before in (NOW, NOW + HOUR - timedelta(microseconds=1)):
        assert signer(keys, before) == old
        announced = keys.next(before)
        assert announced is not None and announced.active_from == new.active_from
        assert public_key(announced.private) == public_key(new.private)
    assert signer(keys, NOW + HOUR) == public_key(new.private)
    assert keys.next(NOW + HOUR) is None
    assert list(path.parent.iterdir()) == [path]


def test_a_rotation_is_seen_by_who_runs_already(path: Path) -> None:
    running = WebhookKeys(path)
    old = signer(running)
    os.utime(path, (1, 1))  # the file is older than the clock tick in which the next one is written
    assert signer(running) == old
    new = public_key(WebhookKeys(path).rotate(NOW, HOUR).private)
    assert (signer(running), signer(running, NOW + HOUR)) == (old, new)


def test_without_an_overlap_the_new_key_signs_at_once(path: Path) -> None:
    WebhookKeys(path).current(NOW)
    new = WebhookKeys(path).rotate(NOW, timedelta(0))
    assert signer(WebhookKeys(path)) == public_key(new.private)


def test_a_key_that_was_only_announced_is_replaced_by_the_next(path: Path) -> None:
    old = signer(WebhookKeys(path))
    WebhookKeys(path).rotate(NOW, HOUR)
    second = WebhookKeys(path).rotate(NOW + HOUR / 2, HOUR)
    keys = WebhookKeys(path)
    assert signer(keys, NOW + 1.4 * HOUR) == old
    assert signer(keys, NOW + 1.5 * HOUR) == public_key(second.private)


def test_old_keys_go_at_last_and_the_one_in_use_never(path: Path) -> None:
    WebhookKeys(path).current(NOW)
    at = NOW
    for _ in range(5):
        at += KEPT_FOR + HOUR
        before = signer(WebhookKeys(path), at)
        WebhookKeys(path).rotate(at, HOUR)
        assert signer(WebhookKeys(path), at) == before
    assert path.read_text().count("private") <= 3


def test_a_key_that_is_given_wins_and_touches_no_file(path: Path) -> None:
    keys = WebhookKeys(path, GIVEN)
    assert signer(keys) == public_key(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    assert keys.next(NOW) is None
    with pytest.raises(KeyFileError, match="PORTICO_WEBHOOK_PRIVATE_KEY"):
        keys.rotate(NOW, HOUR)
    assert not path.exists()
    made = signer(WebhookKeys(path))
    assert made != signer(WebhookKeys(path, GIVEN))


@pytest.mark.parametrize("text", ["", "short", GIVEN[:-4], GIVEN + "AAAA", "é" * 44, f" {GIVEN}"])
def test_a_given_key_that_is_none_is_refused(path: Path, text: str) -> None:
    with pytest.raises(KeyFileError, match="base64 of 32 bytes"):
        WebhookKeys(path, text)
    with pytest.raises(KeyFileError):
        parse_key(text)


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
def test_a_file_that_is_not_ours_is_refused_in_one_sentence_and_kept(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(KeyFileError) as refused:
        WebhookKeys(path).current(NOW)
    sentence = str(refused.value)
    assert str(path) in sentence and "remove it" in sentence and "\n" not in sentence
    assert path.read_bytes() == content
