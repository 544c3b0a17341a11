"""The acceptance cases of the contract that concern rooms, client tokens, sessions and participants, by number."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from portico.core.errors import RoomFull
from tests.api.world import World

JSON = {"Content-Type": "application/json"}


def error(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, first code and first place of a refusal."""
    first = answer.json()["errors"][0]
    assert first["title"] and first["detail"] and first["meta"]["url"].endswith(first["code"])
    source = first.get("source", {})
    return answer.status_code, first["code"], source.get("pointer") or source.get("parameter")


def claims(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload of a JWT, unverified."""
    header, payload, _ = token.split(".")
    read = [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (header, payload)]
    return read[0], read[1]


async def test_01_an_empty_body_makes_a_room_of_defaults(world: World) -> None:
    answer = await world.k1.post("/v2/rooms", headers=JSON)
    room = answer.json()["data"]
    assert answer.status_code == 201
    assert room | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "unique_name": None,
        "max_participants": 10,
        "enable_recording": False,
        "webhook_event_url": None,
        "webhook_event_failover_url": "",
        "webhook_timeout_secs": None,
        "active_session_id": None,
        "video_codecs": ["h264", "vp8"],
        "created_at": "",
        "updated_at": "",
        "record_type": "room",
    }


async def test_02_strings_are_cast_as_in_the_tutorial(world: World) -> None:
    url = "https://example.com"
    room = await world.room(
        max_participants="10", enable_recording="false", unique_name="My room", webhook_event_url=url
    )
    assert (room["max_participants"], room["enable_recording"]) == (10, False)
    assert (room["unique_name"], room["webhook_event_url"]) == ("My room", url)


@pytest.mark.parametrize("limit", [1, 51, 100])
async def test_03_limits_out_of_range_are_refused(sqlite_world: World, limit: int) -> None:
    answer = await sqlite_world.k1.post("/v2/rooms", json={"max_participants": limit})
    assert error(answer) == (422, "10033", "/max_participants")
    assert answer.json()["errors"][0]["detail"] == "The value is outside of allowed range 2 to 50"


@pytest.mark.parametrize("limit", [2, 50])
async def test_04_limits_at_the_edges_are_accepted(sqlite_world: World, limit: int) -> None:
    assert (await sqlite_world.room(max_participants=limit))["max_participants"] == limit


@pytest.mark.parametrize("limit", [10.5, "ten", True, []])
async def test_05_limits_of_another_type_are_refused(sqlite_world: World, limit: object) -> None:
    answer = await sqlite_world.k1.post("/v2/rooms", json={"max_participants": limit})
    assert error(answer) == (422, "10026", "/max_participants")


@pytest.mark.parametrize("given", ["yes", 1])
async def test_06_booleans_of_another_type_are_refused(sqlite_world: World, given: object) -> None:
    answer = await sqlite_world.k1.post("/v2/rooms", json={"enable_recording": given})
    assert error(answer) == (422, "10026", "/enable_recording")


async def test_07_webhook_timeouts_have_a_range(world: World) -> None:
    for wrong in (-1, 31):
        answer = await world.k1.post("/v2/rooms", json={"webhook_timeout_secs": wrong})
        assert error(answer) == (422, "10033", "/webhook_timeout_secs")
    for right in (0, 30):
        assert (await world.room(webhook_timeout_secs=right))["webhook_timeout_secs"] == right


async def test_08_webhook_urls_need_a_scheme(world: World) -> None:
    answer = await world.k1.post("/v2/rooms", json={"webhook_event_url": "example.com"})
    assert error(answer) == (422, "10003", "/webhook_event_url")


async def test_09_names_are_unique_within_an_account(world: World) -> None:
    await world.room(unique_name="stand-up")
    again = await world.k1.post("/v2/rooms", json={"unique_name": "stand-up"})
    assert error(again) == (422, "10012", "/unique_name")
    assert again.json()["errors"][0]["detail"] == "has already been taken"
    assert (await world.k2.post("/v2/rooms", json={"unique_name": "stand-up"})).status_code == 201
    assert (await world.room(unique_name="Stand-up"))["unique_name"] == "Stand-up"


async def test_09_two_racing_creates_of_one_name_leave_one_room(world: World) -> None:
    answers = await asyncio.gather(*(world.k1.post("/v2/rooms", json={"unique_name": "race"}) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422, 422, 422]
    assert (await world.k1.get("/v2/rooms")).json()["meta"]["total_results"] == 1


async def test_10_unknown_members_are_ignored(world: World) -> None:
    assert (await world.room(max_participant=3))["max_participants"] == 10


async def test_11_every_wrong_member_is_named_in_order(world: World) -> None:
    wrong = {"webhook_event_url": "x", "unique_name": 7, "enable_recording": "no"}
    answer = await world.k1.post("/v2/rooms", json=wrong)
    pointers = [each["source"]["pointer"] for each in answer.json()["errors"]]
    assert answer.status_code == 422
    assert pointers == ["/unique_name", "/enable_recording", "/webhook_event_url"]


async def test_12_bodies_that_are_no_objects_are_refused(world: World) -> None:
    for body in ("[]", '"x"', "null", "7"):
        assert (await world.k1.post("/v2/rooms", content=body, headers=JSON)).status_code == 422
    assert error(await world.k1.post("/v2/rooms", content="{", headers=JSON)) == (400, "10015", None)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic x", "Bearer unknown", "x"])
async def test_13_callers_without_a_valid_key_are_refused(world: World, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await world.anonymous.get("/v2/rooms", headers=headers)
    assert error(answer) == (401, "10009", None)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_14_foreign_unknown_and_malformed_ids_look_the_same(world: World) -> None:
    room = await world.room()
    foreign = await world.k2.get(f"/v2/rooms/{room['id']}")
    malformed = await world.k1.get("/v2/rooms/not-a-uuid")
    unknown = await world.k1.get(f"/v2/rooms/{uuid4()}")
    for answer in (foreign, malformed, unknown):
        assert error(answer) == (404, "10005", None)
        assert (answer.json()["code"], answer.json()["title"]) == ("10005", "Resource not found")
        assert answer.json() == foreign.json()
    assert (await world.k2.patch(f"/v2/rooms/{room['id']}", json={"max_participants": 3})).status_code == 404
    assert (await world.k2.delete(f"/v2/rooms/{room['id']}")).status_code == 404
    assert (await world.k1.get(f"/v2/rooms/{room['id'].upper()}")).json()["data"] == room


async def test_15_sessions_are_included_only_when_asked_for(world: World) -> None:
    path = f"/v2/rooms/{(await world.room())['id']}"
    assert (await world.k1.get(f"{path}?include_sessions=true")).json()["data"]["sessions"] == []
    assert "sessions" not in (await world.k1.get(path)).json()["data"]
    assert error(await world.k1.get(f"{path}?include_sessions=maybe")) == (422, "10026", "include_sessions")


async def test_16_pages_count_from_the_newest(world: World) -> None:
    rooms = [await world.room() for _ in range(3)]
    answer = await world.k1.get("/v2/rooms?page[size]=1&page[number]=2")
    assert answer.json() == {
        "data": [rooms[1]],
        "meta": {"total_pages": 3, "total_results": 3, "page_number": 2, "page_size": 1},
    }
    assert answer.headers["total-pages"] == "3"


@pytest.mark.parametrize(
    "query", ["page[size]=251", "page[size]=0", "page[size]=x", "page[number]=0", "page%5Bsize%5D="]
)
async def test_17_pages_out_of_range_are_refused(sqlite_world: World, query: str) -> None:
    answer = await sqlite_world.k1.get(f"/v2/rooms?{query}")
    parameter = "page[number]" if "number" in query else "page[size]"
    assert error(answer) == (422, "10015", parameter)
    assert answer.json()["success"] is False


@pytest.mark.parametrize("number", [99, 10**14])
async def test_18_pages_past_the_end_are_empty(world: World, number: int) -> None:
    await world.room()
    answer = await world.k1.get(f"/v2/rooms?page[number]={number}")
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    assert answer.json()["meta"]["page_number"] == number


async def test_19_dates_are_calendar_days_in_utc(world: World) -> None:
    await world.room()
    today = world.clock.now.date()
    tomorrow = today + timedelta(days=1)
    found = {
        f"filter[date_created_at][eq]={today}": 1,
        f"filter[date_created_at][gte]={tomorrow}": 0,
        f"filter[date_created_at][lte]={today}": 1,
        f"filter[date_created_at]={today}": 1,
        f"filter[date_created_at][gte]={today}&filter[date_updated_at][lte]={today}": 1,
        f"filter[date_created_at][lte]={today - timedelta(days=1)}": 0,
        f"filter%5Bdate_created_at%5D%5Bgte%5D={today}T00:00:00Z": 1,
        f"filter[date_created_at][lte]={today}T01:00:00Z": 0,
    }
    for query, expected in found.items():
        answer = await world.k1.get(f"/v2/rooms?{query}")
        assert (query, answer.json()["meta"]["total_results"]) == (query, expected)


@pytest.mark.parametrize(
    "query", ["filter[date_created_at][lt]=2026-01-01", "filter[nope]=1", "filter[date_created_at]=2021-13-01"]
)
async def test_20_unknown_filters_are_refused(sqlite_world: World, query: str) -> None:
    assert error(await sqlite_world.k1.get(f"/v2/rooms?{query}")) == (422, "10031", query.partition("=")[0])


async def test_21_a_change_moves_updated_at_and_nothing_else(world: World) -> None:
    room = await world.room(unique_name="kept")
    path = f"/v2/rooms/{room['id']}"
    assert (await world.k1.patch(path)).json()["data"] == room
    assert (await world.k1.patch(path, json={"unique_name": "kept"})).json()["data"] == room
    changed = (await world.k1.patch(path, json={"max_participants": 5})).json()["data"]
    assert changed["updated_at"] > room["updated_at"]
    assert changed == room | {"max_participants": 5, "updated_at": changed["updated_at"]}


async def test_22_a_deleted_room_is_gone(world: World) -> None:
    room = await world.room(unique_name="again")
    path = f"/v2/rooms/{room['id']}"
    gone = await world.k1.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await world.k1.delete(path)).status_code == 404
    assert (await world.k1.get(path)).status_code == 404
    assert (await world.k1.post(f"{path}/actions/generate_join_client_token")).status_code == 404
    assert (await world.k1.get(f"{path}/sessions")).status_code == 404
    assert (await world.k1.get("/v2/rooms")).json()["data"] == []
    assert (await world.room(unique_name="again"))["id"] != room["id"]


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_23_generated_tokens_say_what_the_contract_says(world: World, body: bytes) -> None:
    room = await world.room()
    path = f"/v2/rooms/{room['id']}/actions/generate_join_client_token"
    answer = await world.k1.post(path, content=body, headers=JSON)
    made = answer.json()["data"]
    assert answer.status_code == 201
    assert made["recort_type"] == made["record_type"] == "client_token"
    for member, kind, seconds in (("token", "access", 600), ("refresh_token", "refresh", 3600)):
        header, payload = claims(made[member])
        assert header == {"alg": "Ed25519", "typ": "JWT"}
        assert (payload["typ"], payload["exp"] - payload["iat"], payload["nbf"]) == (kind, seconds, payload["iat"] - 1)
        assert payload["grants"][0]["resources"] == [f"telnyx:video:rooms:{room['id']}"]
        expires = datetime.fromtimestamp(payload["exp"], UTC).isoformat().replace("+00:00", "Z")
        assert made[f"{member}_expires_at"] == expires


@pytest.mark.parametrize(
    ("member", "seconds"),
    [
        ("token_ttl_secs", 9),
        ("token_ttl_secs", 3601),
        ("refresh_token_ttl_secs", 59),
        ("refresh_token_ttl_secs", 86401),
    ],
)
async def test_24_lifetimes_have_a_range(sqlite_world: World, member: str, seconds: int) -> None:
    room = await sqlite_world.room()
    path = f"/v2/rooms/{room['id']}/actions/generate_join_client_token"
    assert error(await sqlite_world.k1.post(path, json={member: seconds})) == (422, "10033", f"/{member}")


async def generated(world: World, **members: int) -> tuple[str, dict[str, str]]:
    """The path that refreshes tokens of a new room, and its tokens."""
    path = f"/v2/rooms/{(await world.room())['id']}/actions"
    made = (await world.k1.post(f"{path}/generate_join_client_token", json=members)).json()["data"]
    return f"{path}/refresh_client_token", made


async def test_25_refreshing_needs_no_key(world: World) -> None:
    path, made = await generated(world)
    for caller in (world.anonymous, world.k1, world.k2):
        answer = await caller.post(path, json={"refresh_token": made["refresh_token"], "token_ttl_secs": 60})
        assert answer.status_code == 201
        assert set(answer.json()["data"]) == {"token", "token_expires_at"}
        payload = claims(answer.json()["data"]["token"])[1]
        assert (payload["typ"], payload["exp"] - payload["iat"]) == ("access", 60)


def unsigned(token: str, algorithm: str) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


async def test_26_refresh_tokens_that_are_not_good_are_refused(world: World) -> None:
    path, made = await generated(world, refresh_token_ttl_secs=60)
    good = made["refresh_token"]
    _, other_room = await generated(world)
    payload = json.dumps(claims(good)[1]).encode()
    symmetric = jws.serialize_compact({"alg": "HS512", "typ": "JWT"}, payload, _hmac_key(), algorithms=["HS512"])
    tampered = good[:-8] + ("AAAAAAAA" if not good.endswith("AAAAAAAA") else "BBBBBBBB")
    refused = [made["token"], other_room["refresh_token"], tampered, unsigned(good, "none"), symmetric, "garbage"]
    for token in refused:
        assert error(await world.anonymous.post(path, json={"refresh_token": token})) == (403, "10010", None)
    world.clock.advance(seconds=61)
    assert error(await world.anonymous.post(path, json={"refresh_token": good})) == (403, "20006", None)


def _hmac_key() -> OctKey:
    return OctKey.import_key("a secret of another server" * 4)


async def test_26_tokens_of_a_deleted_room_are_refused(world: World) -> None:
    path, made = await generated(world)
    await world.k1.delete(path.removesuffix("/actions/refresh_client_token"))
    answer = await world.anonymous.post(path, json={"refresh_token": made["refresh_token"]})
    assert error(answer) == (403, "10010", None)
    assert answer.json()["code"] == "10010"


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": ""}])
async def test_27_refreshing_needs_a_refresh_token(world: World, body: dict[str, Any]) -> None:
    path, _ = await generated(world)
    assert error(await world.anonymous.post(path, json=body)) == (422, "10004", "/refresh_token")


async def test_28_a_refresh_token_is_not_used_up(world: World) -> None:
    path, made = await generated(world)
    answers = [await world.anonymous.post(path, json={"refresh_token": made["refresh_token"]}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    identities = {claims(answer.json()["data"]["token"])[1]["jti"] for answer in answers}
    assert len(identities) == 2


async def test_29_participants_and_the_active_session_show(world: World) -> None:
    room = await world.room(max_participants=2)
    first, second = await world.join(room["id"], "Alice"), await world.join(room["id"])
    with pytest.raises(RoomFull):
        await world.join(room["id"])
    shown = (await world.k1.get(f"/v2/rooms/{room['id']}")).json()["data"]
    assert shown["active_session_id"] == first.session_id == second.session_id
    listed = (await world.k1.get(f"/v2/rooms/{room['id']}/sessions?filter[active]=true")).json()["data"]
    assert [session["id"] for session in listed] == [first.session_id]
    people = (await world.k1.get(f"/v2/room_sessions/{first.session_id}/participants")).json()["data"]
    assert [(person["id"], person["context"]) for person in people] == [
        (second.participant_id, None),
        (first.participant_id, "Alice"),
    ]


async def test_32_an_ended_session_shows_when(world: World) -> None:
    room = await world.room()
    joined = await world.join(room["id"])
    await world.end(joined.session_id)
    session = (await world.k1.get(f"/v2/room_sessions/{joined.session_id}?include_participants=1")).json()["data"]
    assert session["active"] is False
    assert session["ended_at"] is not None
    assert [person["left_at"] for person in session["participants"]] == [session["ended_at"]]
    assert (await world.k1.get(f"/v2/rooms/{room['id']}")).json()["data"]["active_session_id"] is None
