"""Requests of the meeting page, without an API key: a link gives tokens, other requests are refused and bounded."""

import asyncio
import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from portico.core.tokens import GRANT_ID_LENGTH
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer

MEETING_ROOM = {"unique_name": "Meeting room", "max_participants": 50, "recording": False}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    with portico(tmp_path_factory.mktemp("door") / "data") as server:
        yield server


@pytest.fixture
def link(server: PorticoServer) -> tuple[str, str]:
    """Room and invitation of the link that the server printed."""
    address = next(line for line in server.log.splitlines() if "/meet/" in line).split()[-1]
    room, _, invite = address.rpartition("/meet/")[2].partition("#")
    return room, invite


def knock(server: PorticoServer, room: str, body: bytes, what: str = "token") -> tuple[int, Any]:
    request = urllib.request.Request(f"{server.base_url}/meet/{room}/{what}", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def create(server: PorticoServer, path: str, body: dict[str, object]) -> Any:
    headers = {"Authorization": f"Bearer {server.api_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(server.base_url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["data"]


def test_the_link_opens_its_room(server: PorticoServer, link: tuple[str, str]) -> None:
    room, invite = link
    for mark in ("", "\ufeff"):  # some clients write one in front of JSON
        code, answer = knock(server, room, f"{mark}{json.dumps({'invite': invite})}".encode())
        assert code == 201
    assert answer["data"]["room"] == MEETING_ROOM
    assert answer["data"]["token"].count(".") == 2


def test_the_link_shows_its_room(server: PorticoServer, link: tuple[str, str]) -> None:
    room, invite = link
    code, answer = knock(server, room, json.dumps({"invite": invite}).encode(), "room")
    assert (code, answer["data"]) == (200, MEETING_ROOM)


def test_a_token_shows_its_room(server: PorticoServer, link: tuple[str, str]) -> None:
    room, invite = link
    pair = knock(server, room, json.dumps({"invite": invite}).encode())[1]["data"]
    code, answer = knock(server, room, json.dumps({"token": pair["token"]}).encode(), "room")
    assert (code, answer["data"]) == (200, MEETING_ROOM)
    for wrong in (pair["refresh_token"], "x", f"{pair['token']}x"):
        assert knock(server, room, json.dumps({"token": wrong}).encode(), "room")[0] == 403
    other = create(server, "/v2/rooms", {})["id"]
    assert knock(server, other, json.dumps({"token": pair["token"]}).encode(), "room")[0] == 403


def test_the_room_says_whether_it_records(server: PorticoServer) -> None:
    for recording in (True, False):
        room = create(server, "/v2/rooms", {"enable_recording": recording})["id"]
        token = create(server, f"/v2/rooms/{room}/actions/generate_join_client_token", {})["token"]
        answer = knock(server, room, json.dumps({"token": token}).encode(), "room")[1]
        assert answer["data"] == {"unique_name": None, "max_participants": 10, "recording": recording}


NO_INVITATIONS = (
    *(b"", b"{", b"[]", b"7", b"null", b"{}", b'{"invite":7}', b'{"invite":"x"}', b"\xff"),
    '{"invite":"\u00e9"}'.encode(),
    b"[" * 1000,
    b'{"invite":"' + b"x" * 2000 + b'"}',
)


@pytest.mark.parametrize("body", NO_INVITATIONS)
def test_other_bodies_get_no_token(server: PorticoServer, link: tuple[str, str], body: bytes) -> None:
    for what in ("token", "room"):
        code, answer = knock(server, link[0], body, what)
        assert (code, answer["errors"][0]["code"]) == (404, "10005")


def test_a_link_is_good_for_one_room(server: PorticoServer, link: tuple[str, str]) -> None:
    other = "7d949cff-e29e-4439-9c81-2fab619422a1"
    assert knock(server, other, json.dumps({"invite": link[1]}).encode())[0] == 404


def test_a_body_that_is_too_large_is_not_read(server: PorticoServer, link: tuple[str, str]) -> None:
    flooded = f"/meet/{link[0]}/token"
    request = urllib.request.Request(server.base_url + flooded, data=bytes(20_000_000), method="POST")
    with pytest.raises((urllib.error.URLError, ConnectionError)) as cut:
        urllib.request.urlopen(request, timeout=10)
    assert not isinstance(cut.value, TimeoutError)


def redeem_token(server: PorticoServer, link: tuple[str, str], cookie: str = "") -> tuple[int, str, str]:
    """Status, token and cookie."""
    room, invite = link
    request = urllib.request.Request(
        f"{server.base_url}/meet/{room}/token",
        data=json.dumps({"invite": invite}).encode(),
        headers={"Cookie": cookie},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)["data"]["token"], answer.headers["Set-Cookie"]
    except urllib.error.HTTPError as refusal:
        return refusal.code, "", ""


def redeem(server: PorticoServer, link: tuple[str, str], cookie: str = "") -> tuple[int, str, str]:
    """Status, the grant id of the token, and the cookie."""
    status, token, cookie = redeem_token(server, link, cookie)
    payload = token.split(".")[1] if token else "e30"
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return status, claims.get("jti", "")[:GRANT_ID_LENGTH], cookie


def test_all_tokens_of_a_browser_are_of_one_grant(server: PorticoServer, link: tuple[str, str]) -> None:
    _, grant_id, cookie = redeem(server, link)
    for attribute in ("HttpOnly", "SameSite=strict", f"Path=/meet/{link[0]}", "Max-Age=86400"):
        assert attribute in cookie
    grant = cookie.partition(";")[0]
    assert redeem(server, link, grant)[1] == grant_id
    assert redeem(server, link)[1] != grant_id, "another browser"
    for forged in (f"{grant[:-1]}{'A' if grant[-1] != 'A' else 'B'}", "portico_grant=x.y", "portico_grant=\xff"):
        status, other, _ = redeem(server, link, forged)
        assert (status, other == grant_id) == (201, False)


def new_link(server: PorticoServer, room: str) -> tuple[str, str]:
    """Room and invitation of a new meeting link, made over REST."""
    made = create(server, f"/v2/rooms/{room}/actions/generate_meeting_link", {})["meeting_link"]
    address, _, invite = made.partition("#")
    assert address == f"{server.base_url}/meet/{room}"
    return room, invite


async def test_a_new_link_makes_the_former_one_void_and_removes_no_participant(server: PorticoServer) -> None:
    """Neither a new browser nor one with a grant gets tokens by the former link; a grant goes on with the new one."""
    rooms = Rooms(server)
    former = new_link(server, create(server, "/v2/rooms", {})["id"])
    _, token, cookie = redeem_token(server, former)
    grant = cookie.partition(";")[0]
    grant_id = redeem(server, former, grant)[1]
    async with rooms.browser(former[0], token=token) as guest:
        await guest.join()
        new = new_link(server, former[0])
        body = json.dumps({"invite": former[1]}).encode()
        assert [knock(server, former[0], body, what)[0] for what in ("token", "room")] == [404, 404]
        assert redeem(server, former, grant)[0] == 404
        assert redeem(server, new)[0] == 201
        assert redeem(server, new, grant)[:2] == (201, grant_id)
        async with rooms.browser(former[0], token=token) as tab:  # a token is good until it expires
            await tab.join()
            assert not guest.closed.is_set()
        rooms.rest.rooms.sessions.actions.kick(
            rooms.sessions(former[0])[0]["id"], participants=[guest.participant_id], extra_body={"revoke": True}
        )
        await asyncio.wait_for(guest.closed.wait(), 30)
        assert redeem(server, new_link(server, former[0]), grant)[0] == 403, "no new link lifts the bar"


async def test_a_guest_who_is_kicked_with_revoke_does_not_come_back(
    server: PorticoServer, link: tuple[str, str]
) -> None:
    """Neither a second tab with the same grant, nor the browser by the link; another guest stays."""
    rooms, room = Rooms(server), link[0]
    _, token, cookie = redeem_token(server, link)
    grant = cookie.partition(";")[0]
    _, second, _ = redeem_token(server, link, grant)
    _, others, _ = redeem_token(server, link)
    async with (
        rooms.browser(room, token=token) as guest,
        rooms.browser(room, token=second) as tab,
        rooms.browser(room, token=others) as other,
    ):
        for browser in (guest, tab, other):
            await browser.join()
        (session,) = rooms.sessions(room)
        rooms.rest.rooms.sessions.actions.kick(
            session["id"], participants=[guest.participant_id], extra_body={"revoke": True}
        )
        for browser in (guest, tab):
            await asyncio.wait_for(browser.closed.wait(), 30)
        assert not other.closed.is_set()
        assert redeem(server, link, grant)[0] == 403
        assert redeem(server, link)[0] == 201
