"""The acceptance cases of the contract that need people in a call, by number: a real server and browsers' signaling."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.contract.answers import ANSWERS_WITHIN_SECS, checking_client
from tests.gateway.browser import Refused, SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.receiver import Receiver
from tests.servers import PorticoServer

OUT_WITHIN_SECS = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    with portico(tmp_path_factory.mktemp("live") / "data") as server:
        yield server


@pytest.fixture
def rooms(server: PorticoServer) -> Iterator[Rooms]:
    rooms = Rooms(server)
    yield rooms
    rooms.rest.close()


@pytest.fixture
def k1(server: PorticoServer) -> Iterator[httpx.Client]:
    """A caller with the key, whose answers are held against the official specification and against ours."""
    headers = {"Authorization": f"Bearer {server.api_key}"}
    with checking_client(base_url=server.base_url, headers=headers) as client:
        yield client


def data_of(k1: httpx.Client, path: str) -> Any:
    answer = k1.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def error(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, first code and first place of a refusal."""
    first = answer.json()["errors"][0]
    return answer.status_code, first["code"], first.get("source", {}).get("pointer", "")


def whole_seconds(since: str, until: str) -> int:
    """Between two instants of the API, rounded down."""
    return int((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds())


async def closed(browser: SignalingBrowser) -> None:
    await asyncio.wait_for(browser.closed.wait(), OUT_WITHIN_SECS)


def who_is_in(k1: httpx.Client, session_id: str) -> set[str]:
    people = data_of(k1, f"/v2/room_sessions/{session_id}/participants")
    return {one["id"] for one in people if one["left_at"] is None}


async def test_29_two_join_and_the_third_is_refused(rooms: Rooms, k1: httpx.Client) -> None:
    room = rooms.create(max_participants=2)
    assert data_of(k1, f"/v2/rooms/{room}")["active_session_id"] is None
    async with rooms.browser(room) as anna, rooms.browser(room) as ben, rooms.browser(room) as cleo:
        await anna.join()
        await ben.join()
        with pytest.raises(Refused, match="full") as refused:
            await cleo.join()
        assert refused.value.status == 403
        session_id = data_of(k1, f"/v2/rooms/{room}")["active_session_id"]
        people = data_of(k1, f"/v2/room_sessions/{session_id}/participants")
        assert {one["id"] for one in people} == {anna.participant_id, ben.participant_id}
        active = data_of(k1, f"/v2/room_sessions?filter[room_id]={room}&filter[active]=true")
        assert [one["id"] for one in active] == [session_id]


async def test_30_a_kick_of_one_by_id(rooms: Rooms, k1: httpx.Client) -> None:
    room = rooms.create()
    async with rooms.browser(room) as p1, rooms.browser(room) as p2:
        await p1.join()
        await p2.join()
        path = f"/v2/room_sessions/{data_of(k1, f'/v2/rooms/{room}')['active_session_id']}"
        answer = k1.post(f"{path}/actions/kick", json={"participants": [p1.participant_id]})
        assert (answer.status_code, answer.json()) == (200, {"data": {"result": "ok"}})
        assert who_is_in(k1, path.rpartition("/")[2]) == {p2.participant_id}
        await closed(p1)
        assert not p2.closed.is_set()


async def test_30_a_kick_of_all_but_one(rooms: Rooms, k1: httpx.Client) -> None:
    room = rooms.create()
    async with rooms.browser(room) as p1, rooms.browser(room) as p2, rooms.browser(room) as p3:
        for one in (p1, p2, p3):
            await one.join()
        session_id = data_of(k1, f"/v2/rooms/{room}")["active_session_id"]
        body = {"participants": "all", "exclude": [p2.participant_id]}
        answer = k1.post(f"/v2/room_sessions/{session_id}/actions/kick", json=body)
        assert (answer.status_code, answer.json()) == (200, {"data": {"result": "ok"}})
        assert who_is_in(k1, session_id) == {p2.participant_id}
        await closed(p1)
        await closed(p3)
        assert not p2.closed.is_set()


@pytest.mark.parametrize("action", ["kick", "mute", "unmute"])
async def test_30_targets_have_one_of_two_forms(rooms: Rooms, k1: httpx.Client, action: str) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna:
        await anna.join()
        session_id = data_of(k1, f"/v2/rooms/{room}")["active_session_id"]
        path = f"/v2/room_sessions/{session_id}/actions/{action}"
        for body, expected in [
            ({"participants": "some"}, (422, "10026", "/participants")),
            ({"participants": {"id": anna.participant_id}}, (422, "10026", "/participants")),
            ({}, (422, "10004", "/participants")),
            ({"participants": ["x"]}, (422, "10006", "/participants/0")),
            ({"participants": "all", "exclude": "x"}, (422, "10026", "/exclude")),
        ]:
            assert error(k1.post(path, json=body)) == expected
        for body in ({"participants": []}, {"participants": [str(uuid4())]}):
            assert k1.post(path, json=body).json() == {"data": {"result": "ok"}}
        assert who_is_in(k1, session_id) == {anna.participant_id}
        assert not anna.closed.is_set()


async def test_31_the_end_comes_once(rooms: Rooms, server: PorticoServer, k1: httpx.Client) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna:
        await anna.join()
        path = f"/v2/room_sessions/{data_of(k1, f'/v2/rooms/{room}')['active_session_id']}/actions/end"
        assert httpx.post(f"{server.base_url}{path}", timeout=ANSWERS_WITHIN_SECS).status_code == 401
        assert not anna.closed.is_set()
        answer = k1.post(path)
        assert (answer.status_code, answer.json()) == (200, {"data": {"result": "ok"}})
        again = k1.post(path)
        assert again.status_code == 422
        assert again.json()["errors"][0]["detail"] == "No private_ip for room"
        assert k1.post(f"/v2/room_sessions/{uuid4()}/actions/end").status_code == 404
        await closed(anna)
        assert anna.close_code == 4000


async def test_32_after_the_end_everything_says_so(rooms: Rooms, k1: httpx.Client) -> None:
    async with Receiver() as receiver:
        room = rooms.create(webhook_event_url=receiver.url, webhook_timeout_secs=30)
        async with rooms.browser(room) as anna, rooms.browser(room) as ben:
            await anna.join("a")
            await ben.join("b")
            session_id = data_of(k1, f"/v2/rooms/{room}")["active_session_id"]
            assert k1.post(f"/v2/room_sessions/{session_id}/actions/end").status_code == 200
            session = data_of(k1, f"/v2/room_sessions/{session_id}?include_participants=true")
            assert session["active"] is False
            assert session["ended_at"] is not None
            assert {one["left_at"] for one in session["participants"]} == {session["ended_at"]}
            assert data_of(k1, f"/v2/rooms/{room}")["active_session_id"] is None
            received = await receiver.wait_for(6, within=20)
            people = {anna.participant_id, ben.participant_id}
    events = [request.json["data"] for request in received]
    left = [each["payload"] for each in events if each["event_type"] == "video.room.participant.left"]
    (ended,) = [each["payload"] for each in events if each["event_type"] == "video.room.session.ended"]
    assert {each["participant_id"] for each in left} == people
    assert {each["left_reason"] for each in left} == {"session_ended"}
    assert (ended["session_id"], ended["ended_reason"]) == (session_id, "Ended from API")
    assert ended["duration_secs"] == whole_seconds(session["created_at"], session["ended_at"])
    joined = {one["id"]: one["joined_at"] for one in session["participants"]}
    for each in left:
        assert each["duration_secs"] == whole_seconds(joined[each["participant_id"]], session["ended_at"])
