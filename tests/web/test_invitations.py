"""The door of the meeting page: who has the link gets tokens; anybody may knock, and nobody can hurt."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import PorticoServer

pytestmark = pytest.mark.janus


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PorticoServer]:
    with PorticoServer(tmp_path_factory.mktemp("door") / "data") as server:
        yield server


@pytest.fixture
def link(server: PorticoServer) -> tuple[str, str]:
    """Room and invitation of the link that the server printed."""
    address = next(line for line in server.log.splitlines() if "/meet/" in line).split()[-1]
    room, _, invite = address.rpartition("/meet/")[2].partition("#")
    return room, invite


def knock(server: PorticoServer, room: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(f"{server.base_url}/meet/{room}/token", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def test_the_link_opens_its_room(server: PorticoServer, link: tuple[str, str]) -> None:
    room, invite = link
    for mark in ("", "\ufeff"):  # some clients write one in front of JSON
        code, answer = knock(server, room, f"{mark}{json.dumps({'invite': invite})}".encode())
        assert code == 201
    assert answer["data"]["room"] == {"unique_name": "Meeting room", "max_participants": 50}
    assert answer["data"]["token"].count(".") == 2


NO_INVITATIONS = (
    *(b"", b"{", b"[]", b"7", b"null", b"{}", b'{"invite":7}', b'{"invite":"x"}', b"\xff"),
    '{"invite":"\u00e9"}'.encode(),
    b"[" * 1000,
    b'{"invite":"' + b"x" * 2000 + b'"}',
)


@pytest.mark.parametrize("body", NO_INVITATIONS)
def test_nothing_else_does(server: PorticoServer, link: tuple[str, str], body: bytes) -> None:
    code, answer = knock(server, link[0], body)
    assert (code, answer["errors"][0]["code"]) == (404, "10005")


def test_a_link_is_good_for_one_room(server: PorticoServer, link: tuple[str, str]) -> None:
    other = "7d949cff-e29e-4439-9c81-2fab619422a1"
    assert knock(server, other, json.dumps({"invite": link[1]}).encode())[0] == 404


def test_a_flood_is_cut_off(server: PorticoServer, link: tuple[str, str]) -> None:
    flooded = f"/meet/{link[0]}/token"
    request = urllib.request.Request(server.base_url + flooded, data=bytes(20_000_000), method="POST")
    with pytest.raises((urllib.error.URLError, ConnectionError)) as cut:
        urllib.request.urlopen(request, timeout=10)
    assert not isinstance(cut.value, TimeoutError)
