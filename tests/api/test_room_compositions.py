"""Compositions over HTTP: what may be asked for, what is shown, and whose they are."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from jsonschema import Draft202012Validator

from portico.api.app import document
from portico.db.connect import open_database
from portico.db.engine import Transaction
from portico.services import compositions
from portico.services.compositions import CompositionFile
from tests.api.test_room_recordings import a_participant, recorded
from tests.api.world import World, link, world_on

PATH = "/v2/room_compositions"


async def asked(world: World, session_id: str, **members: Any) -> dict[str, Any]:
    """A composition of K1."""
    answer = await world.k1.post(PATH, json={"session_id": session_id, **members})
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def made(world: World, composition_id: str) -> None:
    """A worker makes the composition; the session is over."""
    now = world.clock()

    def work(tx: Transaction) -> None:
        assert compositions.begin(tx, composition_id, now=now) is not None
        made = CompositionFile(2_600_000, "0" * 64, f"compositions/{composition_id}.mp4", now, now)
        assert compositions.complete(tx, composition_id, made, link, now=now)

    await world.db.write(work)


def named(answer: httpx.Response) -> list[str | None]:
    """The pointers of a refusal."""
    assert answer.status_code == 422, answer.text
    return [error.get("source", {}).get("pointer") for error in answer.json()["errors"]]


async def test_what_is_asked_for_is_shown_with_its_defaults(world: World) -> None:
    person = await a_participant(world)
    composition = await asked(world, person.session_id)
    created = composition["created_at"]
    assert composition == {
        "id": composition["id"],
        "room_id": person.room_id,
        "session_id": person.session_id,
        "user_id": composition["user_id"],
        "status": "enqueued",
        "progress": 0.0,
        "failure": None,
        "format": "mp4",
        "resolution": "1280x720",
        "video_layout": {
            "main": {
                "x_pos": 0,
                "y_pos": 0,
                "z_pos": 0,
                "width": 1280,
                "height": 720,
                "max_columns": None,
                "max_rows": None,
                "video_sources": ["*"],
            }
        },
        "audio_sources": ["*"],
        "show_placeholders": False,
        "size_mb": None,
        "duration_secs": None,
        "download_url": None,
        "started_at": None,
        "ended_at": None,
        "completed_at": None,
        "created_at": created,
        "updated_at": created,
        "webhook_event_url": None,
        "webhook_event_failover_url": "",
        "webhook_timeout_secs": None,
        "record_type": "room_composition",
    }
    assert (await world.k1.get(f"{PATH}/{composition['id'].upper()}")).json()["data"] == composition
    assert (await world.k1.get(PATH)).json()["data"] == [composition]


async def test_what_is_asked_for_is_kept(world: World) -> None:
    person = await a_participant(world)
    video = await recorded(world, person)
    corner = {"x_pos": 600, "y_pos": "500", "z_pos": 1, "width": 200, "height": 100, "max_columns": 2, "max_rows": 3}
    layout = {"z": {"video_sources": "*"}, "a/~\u00e4": corner | {"video_sources": [video.upper(), video]}}
    composition = await asked(
        world,
        person.session_id.upper(),
        resolution="800x600",
        video_layout=layout,
        audio_sources=None,
        show_placeholders="true",
        webhook_event_url="https://example.com",
        webhook_event_failover_url="https://failover.example.com",
        webhook_timeout_secs="20",
        unknown=1,
    )
    shown = (await world.k1.get(f"{PATH}/{composition['id']}")).json()["data"]
    assert shown == composition
    assert list(shown["video_layout"]) == ["z", "a/~\u00e4"], "of equal z_pos the later lies on top"
    assert shown["video_layout"]["a/~\u00e4"] == corner | {"y_pos": 500, "video_sources": [video]}
    assert (shown["resolution"], shown["audio_sources"], shown["show_placeholders"]) == ("800x600", None, True)
    assert shown["webhook_event_url"] == "https://example.com"
    assert shown["webhook_event_failover_url"] == "https://failover.example.com"
    assert shown["webhook_timeout_secs"] == 20


async def test_everything_wrong_is_named(world: World) -> None:
    person, other = await a_participant(world), await a_participant(world)
    sound, elsewhere = await recorded(world, person, "audio"), await recorded(world, other)
    video = await recorded(world, person)
    layout = {
        "a/b": {"width": 15, "video_sources": [sound, video, elsewhere, str(uuid4())]},
        "c": {"y_pos": 705, "max_rows": 0},
    }
    body = {"session_id": person.session_id, "format": "avi", "video_layout": layout, "webhook_event_url": "x"}
    answer = await world.k1.post(PATH, json=body)
    assert named(answer) == [
        "/format",
        "/video_layout/a~1b/width",
        "/video_layout/a~1b/video_sources/0",
        "/video_layout/a~1b/video_sources/2",
        "/video_layout/a~1b/video_sources/3",
        "/video_layout/c/y_pos",
        "/video_layout/c/max_rows",
        "/video_layout/c/video_sources",
        "/webhook_event_url",
    ]
    assert (await world.k1.get(PATH)).json()["data"] == []


async def test_a_session_is_needed(world: World) -> None:
    person = await a_participant(world)
    for body in ({}, {"session_id": None}):
        answer = await world.k1.post(PATH, json=body)
        assert (named(answer), answer.json()["errors"][0]["code"]) == (["/session_id"], "10004")
    assert named(await world.k1.post(PATH)) == ["/session_id"]
    for foreign in (world.k1, world.k2):
        session_id = person.session_id if foreign is world.k2 else str(uuid4())
        answer = await foreign.post(PATH, json={"session_id": session_id})
        assert (named(answer), answer.json()["errors"][0]["code"]) == (["/session_id"], "10017")


async def test_bodies_that_are_none(sqlite_world: World) -> None:
    json = {"Content-Type": "application/json"}
    assert named(await sqlite_world.k1.post(PATH, json=[])) == [None]
    assert (await sqlite_world.k1.post(PATH, content=b"{", headers=json)).status_code == 400
    assert (await sqlite_world.k1.post(PATH, content=b"x", headers={"Content-Type": "text/plain"})).status_code == 415


async def test_sixteen_regions_are_allowed_and_no_more(sqlite_world: World) -> None:
    person = await a_participant(sqlite_world)
    layout = {f"region {number}": {"video_sources": "*"} for number in range(16)}
    assert len((await asked(sqlite_world, person.session_id, video_layout=layout))["video_layout"]) == 16
    more = {"session_id": person.session_id, "video_layout": layout | {"one more": {"video_sources": "*"}}}
    assert named(await sqlite_world.k1.post(PATH, json=more)) == ["/video_layout"]


async def test_settings_make_it_exactly_as_the_hosted_service(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    try:
        async with world_on(database, composition_regions_max=2, composition_audio="none") as world:
            person = await a_participant(world)
            two = {name: {"video_sources": "*"} for name in "ab"}
            assert (await asked(world, person.session_id, video_layout=two))["audio_sources"] is None
            assert (await asked(world, person.session_id, audio_sources=["*"]))["audio_sources"] == ["*"]
            three = {"session_id": person.session_id, "video_layout": two | {"c": {"video_sources": "*"}}}
            assert named(await world.k1.post(PATH, json=three)) == ["/video_layout"]
    finally:
        await database.close()


async def test_the_documented_example_can_be_sent(sqlite_world: World) -> None:
    person = await a_participant(sqlite_world)
    declared = document()["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    example = {name: member["examples"][0] for name, member in declared["properties"].items()}
    Draft202012Validator(declared).validate(example)
    example["session_id"] = person.session_id
    example["video_layout"]["corner"] |= {"video_sources": [await recorded(sqlite_world, person)]}
    Draft202012Validator(declared).validate(await asked(sqlite_world, **example))


async def test_a_finished_one_shows_its_file(world: World) -> None:
    person = await a_participant(world)
    await recorded(world, person)
    composition = await asked(world, person.session_id)
    await world.end(person.session_id)
    await made(world, composition["id"])
    shown = (await world.k1.get(f"{PATH}/{composition['id']}")).json()["data"]
    assert (shown["status"], shown["progress"], shown["size_mb"]) == ("completed", 1.0, 2.6)
    key, stamp = f"compositions/{composition['id']}.mp4", shown["started_at"].translate({45: None, 58: None})
    name = f"composition-{stamp[:15]}Z-{composition['id'][:8]}.mp4"
    assert shown["download_url"] == f"http://portico/files/{key}?filename={name}"


async def test_one_that_failed_says_why(world: World) -> None:
    composition = await asked(world, (await a_participant(world)).session_id)
    now = world.clock()
    await world.db.write(lambda tx: compositions.fail(tx, composition["id"], "The disk is full.", now=now))
    shown = (await world.k1.get(f"{PATH}/{composition['id']}")).json()["data"]
    assert (shown["status"], shown["failure"], shown["download_url"]) == (None, "The disk is full.", None)
    listed = (await world.k1.get(f"{PATH}?filter[status]=failed")).json()["data"]
    assert listed == [shown]
    assert (await world.k1.get(f"{PATH}?filter[status]=completed")).json()["data"] == []


async def test_where_nothing_was_recorded_a_composition_is_refused_at_once(world: World) -> None:
    person = await a_participant(world)
    await world.end(person.session_id)
    answer = await world.k1.post(PATH, json={"session_id": person.session_id})
    assert named(answer) == ["/session_id"]
    assert (answer.json()["errors"][0]["code"], await count(world)) == ("10027", 0)


async def count(world: World) -> int:
    """How many compositions K1 has."""
    total: int = (await world.k1.get(PATH)).json()["meta"]["total_results"]
    return total


async def test_compositions_by_every_filter(world: World) -> None:
    first, second = await a_participant(world), await a_participant(world)
    await recorded(world, first)
    old = await asked(world, first.session_id)
    await world.end(first.session_id)
    await made(world, old["id"])
    world.clock.advance(days=1)
    new, other = await asked(world, first.session_id), await asked(world, second.session_id)
    today = world.clock.now.date()

    async def ids(query: str = "") -> list[str]:
        answer = await world.k1.get(PATH + query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["data"]]

    assert await ids() == [other["id"], new["id"], old["id"]]
    assert await ids("?page[size]=1&page[number]=2") == [new["id"]]
    assert await ids(f"?filter[session_id]={first.session_id}") == [new["id"], old["id"]]
    assert await ids("?filter[status]=completed") == [old["id"]]
    assert await ids("?filter[status]=enqueued") == [other["id"], new["id"]]
    assert await ids("?filter[status]=failed") == []
    assert await ids(f"?filter[date_created_at]={today}") == [other["id"], new["id"]]
    for query, code in (("status]=lost", "10032"), ("room_id]=x", "10031"), ("session_id]=x", "10031")):
        answer = await world.k1.get(f"{PATH}?filter[{query}")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


@pytest.mark.parametrize("finish", [False, True])
async def test_deleting(world: World, finish: bool) -> None:
    person = await a_participant(world)
    composition = await asked(world, person.session_id)
    if finish:
        await world.end(person.session_id)
        await made(world, composition["id"])
    path = f"{PATH}/{composition['id']}"
    assert (await world.k2.delete(path)).status_code == 404
    answer = await world.k1.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await world.k1.delete(path)).status_code == 404
    assert (await world.k1.get(path)).status_code == 404
    assert (await world.k1.get(PATH)).json()["data"] == []


async def test_other_accounts_see_nothing(world: World) -> None:
    composition = await asked(world, (await a_participant(world)).session_id)
    assert (await world.k2.get(PATH)).json()["data"] == []
    assert (await world.k2.get(f"{PATH}/{composition['id']}")).status_code == 404
    for path in (f"{PATH}/x", f"{PATH}/{uuid4()}"):
        assert (await world.k1.get(path)).status_code == 404
        assert (await world.k1.delete(path)).status_code == 404
    assert (await world.anonymous.get(PATH)).status_code == 401
    assert (await world.anonymous.post(PATH, json={})).status_code == 401
