"""The official Node SDK, unmodified, against a real server: every operation of the Video API."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from portico.db.engine import Transaction
from portico.services.participants import Joined
from tests.api.serving import Served
from tests.contract.node_sdk import ApiError, NodeSdk, running
from tests.recorded import a_recording

OK = {"data": {"result": "ok"}}


@pytest.fixture(scope="module")
def made_sdk(request: pytest.FixtureRequest) -> Iterator[Callable[[str, str], NodeSdk]]:
    assert request.config.cache is not None
    with running(request.config.cache.mkdir("node-calls")) as made:
        yield made


@pytest.fixture
def sdk(served: Served, made_sdk: Callable[[str, str], NodeSdk]) -> NodeSdk:
    return made_sdk(served.base_url, served.world.key)


def refused(sdk: NodeSdk, call: str, *arguments: object) -> tuple[str, int, str]:
    """How the SDK says that a call was refused, after how many requests: always one."""
    with pytest.raises(ApiError) as caught:
        sdk(call, *arguments)
    assert len(sdk.exchanges) == 1
    return caught.value.name, caught.value.status, caught.value.code


def test_the_life_of_a_room(sdk: NodeSdk) -> None:
    given = {"unique_name": "SDK", "max_participants": 4, "webhook_timeout_secs": 20}
    made = sdk("rooms.create", given)["data"]
    assert {name: made[name] for name in given} == given
    found = sdk("rooms.retrieve", made["id"], {"include_sessions": True})["data"]
    assert found == made | {"sessions": []}
    changed = sdk("rooms.update", made["id"], {"enable_recording": True})["data"]
    assert changed["enable_recording"] is True and changed["unique_name"] == "SDK"
    assert refused(sdk, "rooms.create", {"unique_name": "SDK"}) == ("UnprocessableEntityError", 422, "10012")
    assert sdk("rooms.delete", made["id"]) is None
    assert refused(sdk, "rooms.retrieve", made["id"]) == ("NotFoundError", 404, "10005")


def test_calls_without_arguments_have_no_body(sdk: NodeSdk, served: Served) -> None:
    room_id = sdk("rooms.create")["data"]["id"]
    assert sdk.exchanges == [("POST", "/v2/rooms", 0, 201)]
    sdk("rooms.update", room_id)
    assert sdk.exchanges == [("PATCH", f"/v2/rooms/{room_id}", 0, 200)]
    assert sdk("rooms.actions.generateJoinClientToken", room_id)["data"]["token"]
    assert sdk.exchanges[0][2:] == (0, 201)
    session_id = served.run(served.world.join(room_id)).session_id
    for action in ("kick", "mute", "unmute"):
        assert refused(sdk, f"rooms.sessions.actions.{action}", session_id)[1:] == (422, "10004")
        assert sdk.exchanges[0][2] == 0
    assert refused(sdk, "rooms.actions.refreshClientToken", room_id)[1:] == (422, "10004")
    assert refused(sdk, "roomCompositions.create")[1:] == (422, "10004")
    assert sdk("rooms.sessions.actions.end", session_id) == OK


def test_lists_page_by_themselves(sdk: NodeSdk) -> None:
    made = [sdk("rooms.create")["data"]["id"] for _ in range(3)]
    listed = sdk("rooms.list", {"page[size]": 1}, each=True)
    assert [room["id"] for room in listed] == made[::-1]
    assert [target for _, target, *_ in sdk.exchanges] == [
        "/v2/rooms?page[size]=1",
        "/v2/rooms?page[size]=1&page[number]=2",
        "/v2/rooms?page[size]=1&page[number]=3",
    ]
    assert len(sdk("rooms.list", {"page_size": 1}, each=True)) == 3
    assert refused(sdk, "rooms.list", {"page[size]": 251})[1:] == (422, "10015")


def test_filters_of_rooms(sdk: NodeSdk, served: Served) -> None:
    sdk("rooms.create", {"unique_name": "a b"})
    today = served.world.clock.now.date().isoformat()
    wanted = {"filter": {"unique_name": "a b", "date_created_at": {"eq": today, "gte": today, "lte": today}}}
    assert len(sdk("rooms.list", wanted | {"include_sessions": True}, each=True)) == 1
    assert sdk("rooms.list", {"filter": {"unique_name": "a"}}, each=True) == []
    assert refused(sdk, "rooms.list", {"filter": {"nope": 1}})[1:] == (422, "10031")


def test_client_tokens(sdk: NodeSdk) -> None:
    room_id = sdk("rooms.create")["data"]["id"]
    lifetimes = {"token_ttl_secs": 60, "refresh_token_ttl_secs": 120}
    made = sdk("rooms.actions.generateJoinClientToken", room_id, lifetimes)["data"]
    asked = {"refresh_token": made["refresh_token"], "token_ttl_secs": 60}
    fresh = sdk("rooms.actions.refreshClientToken", room_id, asked)["data"]
    assert set(fresh) == {"token", "token_expires_at"} and fresh["token"] != made["token"]
    wrong = {"refresh_token": made["token"]}
    name = refused(sdk, "rooms.actions.refreshClientToken", room_id, wrong)
    assert name == ("PermissionDeniedError", 403, "10010")
    assert sdk("rooms.actions.refreshClientToken", room_id, asked, key="unknown")["data"]["token"]


def test_sessions_and_participants(sdk: NodeSdk, served: Served) -> None:
    room_id = sdk("rooms.create")["data"]["id"]
    alice = served.run(served.world.join(room_id, '{"name":"Alice"}'))
    bob = served.run(served.world.join(room_id))
    session = sdk("rooms.sessions.retrieve", alice.session_id, {"include_participants": True})["data"]
    people = [bob.participant_id, alice.participant_id]
    assert session["active"] is True and [person["id"] for person in session["participants"]] == people
    wanted = {"filter": {"room_id": room_id, "active": True}, "page[size]": 100, "include_participants": True}
    assert [each["id"] for each in sdk("rooms.sessions.list0", wanted, each=True)] == [alice.session_id]
    assert sdk("rooms.sessions.list1", room_id, {"filter": {"active": False}}, each=True) == []
    paged = sdk("rooms.sessions.retrieveParticipants", alice.session_id, {"page[size]": 1}, each=True)
    assert [person["id"] for person in paged] == people and len(sdk.exchanges) == 2
    wanted = {"filter": {"session_id": alice.session_id, "context": '{"name":"Alice"}'}}
    assert [person["id"] for person in sdk("roomParticipants.list", wanted, each=True)] == people[1:]
    person = sdk("roomParticipants.retrieve", alice.participant_id)["data"]
    assert person["left_at"] is None and person["context"] == '{"name":"Alice"}'


def test_session_actions(sdk: NodeSdk, served: Served) -> None:
    room_id = sdk("rooms.create")["data"]["id"]
    alice = served.run(served.world.join(room_id))
    bob = served.run(served.world.join(room_id))
    act = "rooms.sessions.actions"
    session_id = alice.session_id
    assert sdk(f"{act}.mute", session_id, {"participants": [alice.participant_id]}) == OK
    assert sdk(f"{act}.unmute", session_id, {"participants": "all", "exclude": [bob.participant_id]}) == OK
    assert sdk(f"{act}.kick", session_id, {"participants": "all", "exclude": [bob.participant_id]}) == OK
    assert sdk("roomParticipants.retrieve", alice.participant_id)["data"]["left_at"]
    assert sdk("roomParticipants.retrieve", bob.participant_id)["data"]["left_at"] is None
    assert sdk(f"{act}.end", session_id) == OK
    assert sdk("rooms.sessions.retrieve", session_id)["data"]["active"] is False
    for call, arguments in (("end", []), ("kick", [{"participants": "all"}]), ("mute", [{"participants": "all"}])):
        assert refused(sdk, f"{act}.{call}", session_id, *arguments)[1:] == (422, "10027")
    assert refused(sdk, f"{act}.end", str(uuid4()))[1:] == (404, "10005")


def recorded_in(served: Served, room_id: str) -> tuple[Joined, list[str]]:
    """A participant of this room, and the ids of three finished recordings of them, newest first."""
    world = served.world
    person = served.run(world.join(room_id))

    def record(tx: Transaction) -> list[str]:
        return [a_recording(tx, person.participant_id, now=world.clock()) for _ in range(3)]

    return person, served.run(world.db.write(record))[::-1]


def test_recordings(sdk: NodeSdk, served: Served) -> None:
    room_id = sdk("rooms.create", {"enable_recording": True})["data"]["id"]
    person, made = recorded_in(served, room_id)
    listed = sdk("roomRecordings.list", {"page[size]": 2}, each=True)
    assert [each["id"] for each in listed] == made and len(sdk.exchanges) == 2
    found = sdk("roomRecordings.retrieve", made[0])["data"]
    assert (found["type"], found["status"], found["codec"], found["size_mb"]) == ("video", "completed", "vp8", 5.6)
    today = served.world.clock.now.date().isoformat()
    wanted = {
        "date_started_at": {"gte": today},
        "date_ended_at": {"eq": today},
        "room_id": room_id,
        "session_id": person.session_id,
        "participant_id": person.participant_id,
        "status": "completed",
        "type": "video",
        "duration_secs": 60,
    }
    assert len(sdk("roomRecordings.list", {"filter": wanted}, each=True)) == 3
    assert sdk("roomRecordings.list", {"filter": {"duration_secs": 61}}, each=True) == []
    assert sdk("roomRecordings.delete", made[0]) is None
    assert refused(sdk, "roomRecordings.delete", made[0])[1:] == (404, "10005")
    assert sdk("roomRecordings.deleteBulk", {"page[number]": 1, "page[size]": 1}) == {"data": {"room_recordings": 1}}
    assert sdk("roomRecordings.deleteBulk", {"filter": {"session_id": person.session_id}})["data"] == {
        "room_recordings": 1
    }
    assert sdk("roomRecordings.deleteBulk") == {"data": {"room_recordings": 0}}


def test_compositions(sdk: NodeSdk, served: Served) -> None:
    room_id = sdk("rooms.create")["data"]["id"]
    person, videos = recorded_in(served, room_id)
    given = {
        "session_id": person.session_id,
        "resolution": "800x600",
        "format": "mp4",
        "video_layout": {"main": {"width": 800, "height": 600, "video_sources": videos}},
        "webhook_event_url": "https://example.com",
        "webhook_timeout_secs": 20,
        "audio_sources": ["*"],
    }
    made = sdk("roomCompositions.create", given)["data"]
    assert sdk.exchanges[0][3] == 202
    assert (made["status"], made["resolution"], made["audio_sources"]) == ("enqueued", "800x600", ["*"])
    assert sdk("roomCompositions.retrieve", made["id"])["data"] == made
    wanted = {"session_id": person.session_id, "status": "enqueued"}
    assert sdk("roomCompositions.list", {"filter": wanted}, each=True) == [made]
    assert sdk("roomCompositions.delete", made["id"]) is None
    assert refused(sdk, "roomCompositions.retrieve", made["id"])[1:] == (404, "10005")


def test_unknown_keys(sdk: NodeSdk) -> None:
    with pytest.raises(ApiError, match="AuthenticationError: 401") as caught:
        sdk("rooms.list", key="My API Key")
    assert caught.value.code == "10009"
