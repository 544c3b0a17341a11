"""`portico keys` beside a running server: what is made, listed, revoked, rotated, and what the audit log shows."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.test_main import Done, _is_one_sentence, _run, _status
from tests.servers import PorticoServer

REVOKED_WITHIN_SECS = 2.0
"""The promise is one second; the rest is for the request that finds out."""
UNKNOWN = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    """A running server whose key comes from the setting."""
    with portico(tmp_path_factory.mktemp("keys") / "data") as server:
        yield server


def command(server: PorticoServer, *arguments: str) -> Done:
    """`portico keys ...` on the server's data, from elsewhere and without its key."""
    return _run("keys", *arguments, DATA_DIR=str(server.data_dir))


def listed(server: PorticoServer, *arguments: str) -> list[list[str]]:
    """The lines of `portico keys list`, which are separated by tabs."""
    done = command(server, "list", *arguments)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def created(server: PorticoServer, *arguments: str) -> str:
    """A new key."""
    done = command(server, "create", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def void_after(server: PorticoServer, key: str) -> float:
    """Seconds until the server refuses the key."""
    began = time.monotonic()
    while _status(server, key) == 200:
        assert time.monotonic() - began < REVOKED_WITHIN_SECS
    return time.monotonic() - began


def test_keys_are_listed_with_what_is_known_of_them_and_without_the_keys(server: PorticoServer) -> None:
    key = created(server, "--account", "ci", "--scopes", "moderate,read", "--name", "nightly")
    assert _status(server, key) == 200
    deadline = time.monotonic() + 10
    while (line := listed(server, "--account", "ci")[0])[6] == "never":
        assert time.monotonic() < deadline, "the last use is written soon"
    assert line[1:5] == ["ci", "nightly", "read,moderate", "created"]
    assert line[7] == "good"
    setting = next(each for each in listed(server) if each[4] == "PORTICO_API_KEY")
    assert setting[1:4] == ["default", "-", "all"]
    whole = command(server, "list").stdout
    assert key not in whole and server.api_key not in whole


def test_a_revoked_key_is_void_in_the_running_server_within_a_second(server: PorticoServer) -> None:
    key, other = created(server, "--name", "lost"), created(server)
    assert [_status(server, each) for each in (key, other)] == [200, 200]
    key_id = next(line[0] for line in listed(server) if line[2] == "lost")
    done = command(server, "revoke", key_id.upper())
    assert (done.returncode, done.stdout) == (0, f"The key {key_id} is void.\n")
    void_after(server, key)
    assert _status(server, other) == 200
    assert next(line for line in listed(server) if line[0] == key_id)[7].startswith("void since ")


def test_a_rotated_key_and_its_successor(server: PorticoServer) -> None:
    key = created(server, "--account", "rotated", "--scopes", "read")
    key_id = listed(server, "--account", "rotated")[0][0]
    soft = command(server, "rotate", key_id)
    assert soft.returncode == 0, soft.stderr
    assert "is good until 20" in soft.stdout
    successor = soft.stdout.split()[-1]
    assert [_status(server, each) for each in (key, successor)] == [200, 200]
    second_id = listed(server, "--account", "rotated")[1][0]
    hard = command(server, "rotate", second_id, "--overlap-hours", "0")
    void_after(server, successor)
    assert _status(server, hard.stdout.split()[-1]) == 200
    assert [line[3] for line in listed(server, "--account", "rotated")] == ["read"] * 3


def test_the_audit_log_shows_what_was_changed_with_which_key(server: PorticoServer) -> None:
    key = created(server, "--account", "audited")
    key_id = listed(server, "--account", "audited")[0][0]
    command(server, "revoke", key_id)
    done = command(server, "audit", "--limit", "2")
    newest, before = (line.split("\t")[1:4] for line in done.stdout.splitlines())
    assert (newest, before) == (["-", "keys revoke", key_id], ["-", "keys create", key_id])
    assert key not in command(server, "audit", "--limit", "250").stdout


def refreshed(server: PorticoServer, room_id: str, refresh_token: str) -> int:
    """The status of asking for another client token."""
    return posted(server, f"/v2/rooms/{room_id}/actions/refresh_client_token", {"refresh_token": refresh_token})[0]


def posted(server: PorticoServer, path: str, body: dict[str, str], key: str = "") -> tuple[int, Any]:
    """The answer to a POST with this body."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(server.base_url + path, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def test_signing_keys_are_replaced_in_the_running_server(server: PorticoServer) -> None:
    meeting = next(line for line in server.log.splitlines() if "/meet/" in line).split()[-1]
    room_id, _, invite = meeting.rpartition("/meet/")[2].partition("#")
    generate = f"/v2/rooms/{room_id}/actions/generate_join_client_token"
    old = posted(server, generate, {}, server.api_key)[1]["data"]["refresh_token"]

    assert command(server, "rotate", "tokens").returncode == 0
    assert refreshed(server, room_id, old) == 201, "a rotation ends nothing"
    new = posted(server, generate, {}, server.api_key)[1]["data"]

    done = command(server, "rotate", "all", "--now")
    assert done.returncode == 0, done.stderr
    revoked = time.monotonic()
    while posted(server, f"/meet/{room_id}/token", {"invite": invite})[0] != 404:
        assert time.monotonic() - revoked < REVOKED_WITHIN_SECS
    assert {refreshed(server, room_id, each) for each in (old, new["refresh_token"])} == {403}
    link = next(word for word in done.stdout.split() if "/meet/" in word)
    assert posted(server, f"/meet/{room_id}/token", {"invite": link.partition("#")[2]})[0] == 201


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["revoke", UNKNOWN], UNKNOWN),
        (["revoke", "x"], "portico keys list"),
        (["rotate", UNKNOWN], UNKNOWN),
        (["revoke"], "KEY_ID"),
        (["create", "--scopes", "reed"], "reed"),
        (["create", "--name", ""], "name"),
        (["rotate", UNKNOWN, "--overlap-hours", "-1"], "overlap-hours"),
        (["rotate", UNKNOWN, "--overlap-hours", "1", "--now"], "--now"),
        (["rotate", "tokens", "--overlap-hours", "1"], "--overlap-hours"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_one_sentence(server: PorticoServer, arguments: list[str], named: str) -> None:
    _is_one_sentence(command(server, *arguments), named)


def test_a_replaced_setting_makes_the_former_key_void(server: PorticoServer) -> None:
    kept, former = created(server), server.api_key
    server.settings["API_KEY"] = "another-key-of-the-setting"
    try:
        server.restart()
        assert [_status(server, each) for each in (former, "another-key-of-the-setting", kept)] == [401, 200, 200]
        server.settings["API_KEY"] = former
        server.restart()
        assert [_status(server, each) for each in (former, "another-key-of-the-setting", kept)] == [200, 401, 200]
    finally:
        server.settings["API_KEY"] = former
