"""Lists and items of sessions and participants: filters, order, what is included, and whose they are."""

from typing import Any
from uuid import uuid4

from tests.api.world import World


async def ids(world: World, path: str) -> list[str]:
    answer = await world.k1.get(path)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["data"]]


async def test_sessions_by_every_filter(world: World) -> None:
    first, second = await world.room(), await world.room()
    over = (await world.join(first["id"])).session_id
    await world.end(over)
    world.clock.advance(days=2)
    going_on = (await world.join(first["id"])).session_id
    elsewhere = (await world.join(second["id"])).session_id
    today = world.clock.now.date()
    sessions = "/v2/room_sessions"
    assert await ids(world, sessions) == [elsewhere, going_on, over]
    assert await ids(world, f"{sessions}?filter[room_id]={first['id'].upper()}") == [going_on, over]
    assert await ids(world, f"{sessions}?filter[active]=false") == [over]
    assert await ids(world, f"{sessions}?filter[active]=1&page[size]=1") == [elsewhere]
    assert await ids(world, f"{sessions}?filter[date_created_at][lte]={today}T00:00:00Z") == [over]
    assert await ids(world, f"{sessions}?filter[date_created_at][lte]={today}T01:30:00+01:30") == [over], (
        "unencoded plus"
    )
    assert await ids(world, f"{sessions}?filter[date_updated_at]={today}") == [elsewhere, going_on]
    assert await ids(world, f"{sessions}?filter[date_ended_at][lte]={today}") == [over]
    assert await ids(world, f"{sessions}?filter[date_ended_at]={today}") == []
    assert await ids(world, f"/v2/rooms/{first['id']}/sessions") == [going_on, over]
    assert await ids(world, f"/v2/rooms/{first['id']}/sessions?filter[active]=true") == [going_on]
    refused = await world.k1.get(f"/v2/rooms/{first['id']}/sessions?filter[room_id]={first['id']}")
    assert refused.status_code == 422


async def test_participants_by_every_filter(world: World) -> None:
    room = await world.room()
    context = '{"role":"agent","name":"\u00c4\U0001f600"}'
    gone = await world.join(room["id"], context)
    present = await world.join(room["id"])
    world.clock.advance(days=1)
    await world.leave(gone.participant_id)
    other = await world.join((await world.room())["id"], context)
    today = world.clock.now.date()
    of_session = f"/v2/room_sessions/{gone.session_id}/participants"
    all_participants = "/v2/room_participants"
    assert await ids(world, of_session) == [present.participant_id, gone.participant_id]
    assert await ids(world, all_participants) == [other.participant_id, present.participant_id, gone.participant_id]
    assert await ids(world, f"{all_participants}?filter[session_id]={gone.session_id}&page[number]=2&page[size]=1") == [
        gone.participant_id
    ]
    assert await ids(world, f"{of_session}?filter[date_left_at]={today}") == [gone.participant_id]
    assert await ids(world, f"{of_session}?filter[date_joined_at][lte]={today}T00:00:00Z") == [
        present.participant_id,
        gone.participant_id,
    ]
    assert await ids(world, f"{all_participants}?filter[date_updated_at][gte]={today}") == [
        other.participant_id,
        gone.participant_id,
    ]
    answer = await world.k1.get(of_session, params={"filter[context]": context})
    assert [(person["id"], person["context"]) for person in answer.json()["data"]] == [(gone.participant_id, context)]


async def test_items_and_what_they_include(world: World) -> None:
    room = await world.room()
    joined = await world.join(room["id"], "Alice")
    person = (await world.k1.get(f"/v2/room_participants/{joined.participant_id}")).json()["data"]
    assert person == {
        "id": joined.participant_id,
        "session_id": joined.session_id,
        "context": "Alice",
        "joined_at": person["joined_at"],
        "updated_at": person["joined_at"],
        "left_at": None,
        "record_type": "room_participant",
    }
    plain = (await world.k1.get(f"/v2/room_sessions/{joined.session_id}")).json()["data"]
    assert plain == {
        "id": joined.session_id,
        "room_id": room["id"],
        "active": True,
        "created_at": person["joined_at"],
        "updated_at": plain["updated_at"],
        "ended_at": None,
        "record_type": "room_session",
    }
    full = plain | {"participants": [person]}

    async def shown(path: str) -> Any:
        return (await world.k1.get(path)).json()["data"]

    assert await shown(f"/v2/room_sessions/{joined.session_id}?include_participants=true") == full
    assert await shown("/v2/room_sessions?include_participants=true") == [full]
    assert await shown(f"/v2/rooms/{room['id']}/sessions?include_participants=true") == [full]
    assert (await shown(f"/v2/rooms/{room['id']}?include_sessions=true"))["sessions"] == [plain]
    both = "include_sessions=true&include_participants=true"
    assert (await shown(f"/v2/rooms/{room['id']}?{both}"))["sessions"] == [full]
    assert (await shown(f"/v2/rooms?{both}"))[0]["sessions"] == [full]
    assert "sessions" not in (await shown("/v2/rooms?include_participants=true"))[0]
    assert "sessions" not in (await world.k1.patch(f"/v2/rooms/{room['id']}")).json()["data"]


async def test_other_accounts_see_nothing(world: World) -> None:
    room = await world.room()
    joined = await world.join(room["id"])
    paths = [
        f"/v2/rooms/{room['id']}/sessions",
        f"/v2/room_sessions/{joined.session_id}",
        f"/v2/room_sessions/{joined.session_id}/participants",
        f"/v2/room_participants/{joined.participant_id}",
    ]
    for path in paths:
        assert (await world.k1.get(path)).status_code == 200
        assert (await world.k2.get(path)).status_code == 404
        assert (await world.anonymous.get(path)).status_code == 401
    for path in ("/v2/rooms", "/v2/room_sessions", "/v2/room_participants"):
        assert (await world.k2.get(path)).json()["data"] == []
    unknown = uuid4()
    for path in ("/v2/room_sessions/x", f"/v2/room_sessions/{unknown}", f"/v2/room_sessions/{unknown}/participants"):
        assert (await world.k1.get(path)).status_code == 404
    generate = f"/v2/rooms/{room['id']}/actions/generate_join_client_token"
    assert (await world.k2.post(generate)).status_code == 404


async def test_every_wrong_parameter_is_named(world: World) -> None:
    answer = await world.k1.get("/v2/room_sessions?page[size]=0&filter[x]=1&include_participants=2&filter[active]=3")
    named = [error["source"]["parameter"] for error in answer.json()["errors"]]
    assert named == ["filter[x]", "filter[active]", "include_participants", "page[size]"]


async def test_instants_have_six_digits(world: World) -> None:
    world.clock.stop_at(world.clock.now.replace(microsecond=0))
    room = await world.room()
    assert [room["created_at"][-8:], len(room["created_at"])] == [".000000Z", 27]
