"""Recordings over HTTP: what is shown, found and deleted, and whose they are."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from portico.app.workers import Storage
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import recordings
from portico.services.files import LinkKeys
from portico.services.participants import Joined
from portico.storage.open import open_store
from portico.storage.store import S3Access
from tests.api.world import World
from tests.factories import rows
from tests.recorded import a_recording, nothing_of, over, started
from tests.storage.buckets import credentials_without_answer

PATH = "/v2/room_recordings"


async def a_participant(world: World) -> Joined:
    """A participant of a room of their own."""
    return await world.join((await world.room())["id"])


async def recorded(world: World, person: Joined, kind: str = "video", **chosen: Any) -> str:
    """A completed recording of this person."""
    now = world.clock()
    return await world.db.write(lambda tx: a_recording(tx, person.participant_id, kind, now=now, **chosen))


async def going_on(world: World, person: Joined) -> str:
    """A recording that goes on."""
    now = world.clock()
    return await world.db.write(lambda tx: started(tx, person.participant_id, now=now))


async def ids(world: World, query: str = "") -> list[str]:
    answer = await world.k1.get(PATH + query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["data"]]


async def test_a_recording_shows_everything(world: World) -> None:
    person = await a_participant(world)
    recording_id = await recorded(world, person, "audio", seconds=84.9)
    shown = (await world.k1.get(f"{PATH}/{recording_id.upper()}")).json()["data"]
    begun = shown["started_at"]
    name = f"recording-20260326T120000Z-audio-{recording_id[:8]}.ogg"
    assert shown == {
        "id": recording_id,
        "room_id": person.room_id,
        "session_id": person.session_id,
        "participant_id": person.participant_id,
        "status": "completed",
        "type": "audio",
        "codec": "opus",
        "size_mb": 5.6,
        "duration_secs": 84,
        "download_url": f"http://portico/files/recordings/{person.session_id}/{recording_id}.ogg?filename={name}",
        "started_at": begun,
        "ended_at": shown["ended_at"],
        "completed_at": shown["ended_at"],
        "created_at": begun,
        "updated_at": shown["completed_at"],
        "record_type": "room_recording",
    }
    assert (await world.k1.get(PATH)).json()["data"] == [shown]


async def test_one_that_goes_on_has_no_file_yet(world: World) -> None:
    recording_id = await going_on(world, await a_participant(world))
    shown = (await world.k1.get(f"{PATH}/{recording_id}")).json()["data"]
    assert shown["status"] == "processing"
    missing = ("codec", "size_mb", "duration_secs", "download_url", "ended_at", "completed_at")
    assert [shown[member] for member in missing] == [None] * len(missing)


async def test_a_recording_that_has_not_begun_is_not_shown(world: World) -> None:
    person, now = await a_participant(world), world.clock()
    await world.db.write(lambda tx: recordings.begin(tx, person.participant_id, "self", "mjr_name", now=now))
    found = await world.db.read(lambda tx: rows(tx, schema.room_recordings, mjr_name="mjr_name"))
    assert len(found) == 2
    assert await ids(world) == []
    for each in found:
        assert (await world.k1.get(f"{PATH}/{each.id}")).status_code == 404
        assert (await world.k1.delete(f"{PATH}/{each.id}")).status_code == 404
    assert (await world.k1.delete(PATH)).json()["data"] == {"room_recordings": 0}


async def test_what_could_not_be_saved_has_no_link(world: World) -> None:
    recording_id, now = await going_on(world, await a_participant(world)), world.clock()

    def lose(tx: Transaction) -> None:
        assert recordings.complete(tx, recording_id, nothing_of(tx, recording_id), lambda *_: "", now=now)

    await world.db.write(lose)
    shown = (await world.k1.get(f"{PATH}/{recording_id}")).json()["data"]
    assert (shown["status"], shown["size_mb"], shown["download_url"]) == ("completed", 0.0, None)


async def test_a_store_that_signs_nothing_delays_no_other_request(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service that gives this machine credentials for the bucket does not answer."""
    recording_id = await recorded(world, await a_participant(world), seconds=5)
    with credentials_without_answer(tmp_path, monkeypatch):
        store = open_store("s3://bucket", tmp_path, secret=b"", base_url="", s3=S3Access(region="eu-central-1"))
        api = world.app.state.api
        world.app.state.api = replace(api, link=Storage(store, LinkKeys((b"",)), world.clock).link)
        waiting = [asyncio.create_task(world.k1.get(path)) for path in (f"{PATH}/{recording_id}", PATH)]
        for _ in range(10):
            assert (await world.k1.get("/v2/rooms")).status_code == 200
        assert not any(each.done() for each in waiting)
        for answer in await asyncio.gather(*waiting):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text


async def test_recordings_by_every_filter(world: World) -> None:
    alice, bob = await a_participant(world), await a_participant(world)
    long = await recorded(world, alice, seconds=60)
    short = await recorded(world, alice, "audio", seconds=10)
    world.clock.advance(days=2)
    elsewhere = await recorded(world, bob, seconds=5)
    running = await going_on(world, bob)
    today = world.clock.now.date()
    assert await ids(world) == [running, elsewhere, short, long]
    assert await ids(world, f"?filter[room_id]={alice.room_id}") == [short, long]
    assert await ids(world, f"?filter[session_id]={bob.session_id.upper()}&page[size]=1") == [running]
    assert await ids(world, f"?filter[participant_id]={alice.participant_id}&filter[type]=audio") == [short]
    assert await ids(world, "?filter[status]=processing") == [running]
    assert await ids(world, "?filter[status]=lost") == []
    assert await ids(world, "?filter[type]=Audio") == []
    assert await ids(world, "?filter[duration_secs]=10") == [short, long]
    assert await ids(world, "?filter[duration_secs][gte]=11") == [long]
    assert await ids(world, "?filter[duration_secs]=0") == [elsewhere, short, long]
    assert await ids(world, f"?filter[date_started_at]={today}") == [running, elsewhere]
    assert await ids(world, f"?filter[date_ended_at][gte]={today}") == [elsewhere]
    assert await ids(world, f"?filter[date_ended_at][lte]={today}") == [elsewhere, short, long]


@pytest.mark.parametrize(
    "query",
    [
        "filter[duration_secs]=-1",
        "filter[duration_secs]=x",
        "filter[duration_secs][eq]=1",
        "filter[room_id]=x",
        "filter[date_started_at]=x",
        "filter[codec]=vp8",
        "filter[sesion_id]=x",
        "filter[]=x",
        "page[size]=0",
    ],
)
async def test_wrong_filters_are_named_and_delete_nothing(sqlite_world: World, query: str) -> None:
    recording_id = await recorded(sqlite_world, await a_participant(sqlite_world))
    for call in (sqlite_world.k1.get, sqlite_world.k1.delete):
        answer = await call(f"{PATH}?{query}")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["source"] == {"parameter": query.partition("=")[0]}
    assert await ids(sqlite_world) == [recording_id]


@pytest.mark.parametrize(
    "name", ["fliter[session_id]", "session_id[eq]", "page[nubmer]", "page[]", "page[size", " filter[session_id]"]
)
async def test_a_misspelt_parameter_deletes_nothing(sqlite_world: World, name: str) -> None:
    recording_id = await recorded(sqlite_world, await a_participant(sqlite_world))
    answer = await sqlite_world.k1.delete(PATH, params={name: recording_id, "unknown": "but plain"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["source"] == {"parameter": name}
    assert await ids(sqlite_world) == [recording_id]


async def test_deleting_one(world: World) -> None:
    recording_id = await recorded(world, await a_participant(world))
    running = await going_on(world, await a_participant(world))
    for each in (recording_id, running):
        answer = await world.k1.delete(f"{PATH}/{each}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await world.k1.delete(f"{PATH}/{each}")).status_code == 404
        assert (await world.k1.get(f"{PATH}/{each}")).status_code == 404
    assert await ids(world) == []


async def test_deleting_many(world: World) -> None:
    alice, bob = await a_participant(world), await a_participant(world)
    made = [await recorded(world, alice) for _ in range(5)]
    theirs = await recorded(world, bob)
    running = await going_on(world, alice)

    async def delete(query: str = "") -> int:
        answer = await world.k1.delete(PATH + query)
        assert answer.status_code == 201, answer.text
        count: int = answer.json()["data"]["room_recordings"]
        return count

    assert await delete("?filter[duration_secs]=1000") == 0
    of_alice = f"?filter[session_id]={alice.session_id}"
    assert await delete(f"{of_alice}&page[size]=2") == 1, "the one that goes on is on this page"
    assert await ids(world, of_alice) == [running, *reversed(made[:4])]
    assert await delete(f"{of_alice}&page[number]=2&page[size]=3") == 2
    assert await ids(world, of_alice) == [running, *reversed(made[2:4])]
    assert await delete(of_alice) == 2
    assert await delete(of_alice) == 0
    assert await ids(world) == [running, theirs]
    assert await delete() == 1
    assert await ids(world) == [running]


async def test_more_than_one_step_is_deleted(sqlite_world: World) -> None:
    recording_id = await recorded(sqlite_world, await a_participant(sqlite_world))
    table = schema.room_recordings

    def copy(tx: Transaction) -> None:
        (original,) = rows(tx, table, id=recording_id)
        fresh = [{"id": str(uuid4()), "mjr_name": uuid4().hex} for _ in range(recordings.DELETED_AT_ONCE)]
        tx.execute(table.insert(), [dict(original._mapping) | each for each in fresh])

    await sqlite_world.db.write(copy)
    assert (await sqlite_world.k1.delete(PATH)).json()["data"] == {"room_recordings": recordings.DELETED_AT_ONCE + 1}
    assert await ids(sqlite_world) == []


async def test_other_accounts_see_nothing(world: World) -> None:
    recording_id = await recorded(world, await a_participant(world))
    assert (await world.k2.get(PATH)).json()["data"] == []
    assert (await world.k2.delete(PATH)).json()["data"] == {"room_recordings": 0}
    for call in (world.k2.get, world.k2.delete):
        assert (await call(f"{PATH}/{recording_id}")).status_code == 404
        assert (await call(f"{PATH}/x")).status_code == 404
        assert (await call(f"{PATH}/{uuid4()}")).status_code == 404
    for call in (world.anonymous.get, world.anonymous.delete):
        assert (await call(PATH)).status_code == 401
        assert (await call(f"{PATH}/{recording_id}")).status_code == 401
    assert await ids(world) == [recording_id]


async def test_they_outlive_their_session_and_room(world: World) -> None:
    person = await a_participant(world)
    recording_id, now = await recorded(world, person), world.clock()
    await world.db.write(lambda tx: over(tx, person.session_id, now=now))
    await world.k1.delete(f"/v2/rooms/{person.room_id}")
    assert await ids(world) == [recording_id]
    assert (await world.k1.get(f"{PATH}/{recording_id}")).status_code == 200
