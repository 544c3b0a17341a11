"""The acceptance cases of the contract that concern recordings and compositions, by number, as far as rows go."""

from typing import Any

import pytest

from portico.db.engine import Transaction
from portico.services import recordings
from tests.api.world import World, link
from tests.contract.test_acceptance import error
from tests.factories import facts
from tests.recorded import SECOND, a_stream, converted, milliseconds, over, recording_of

RECORDINGS, COMPOSITIONS = "/v2/room_recordings", "/v2/room_compositions"
Shown = dict[str, Any]
ALL: Shown = {"video_sources": ["*"]}


async def recorded_call(world: World) -> tuple[str, str]:
    """Two people talk for a minute with sound and picture, which are recorded: the ids of room and session."""
    room = await world.room(enable_recording=True)
    people = [await world.join(room["id"]), await world.join(room["id"])]
    begun = world.clock()

    def talk(tx: Transaction) -> None:
        for person in people:
            mjr_name = a_stream(tx, person.participant_id, now=begun)
            for kind in ("audio", "video"):
                assert recordings.first_media(tx, mjr_name, kind, [[milliseconds(begun), None]], now=begun)
            recordings.end(tx, mjr_name, now=begun + 60 * SECOND)
            for kind, seconds in (("audio", 60), ("video", 45)):
                recording_id = recording_of(tx, mjr_name, kind)
                outcome = converted(tx, recording_id, seconds=seconds)
                assert recordings.complete(tx, recording_id, outcome, link, now=begun + 61 * SECOND)
        over(tx, people[0].session_id, now=begun + 62 * SECOND)

    await world.db.write(talk)
    return room["id"], people[0].session_id


async def listed(world: World, query: str) -> list[Shown]:
    answer = await world.k1.get(f"{RECORDINGS}?{query}")
    assert answer.status_code == 200, answer.text
    found: list[Shown] = answer.json()["data"]
    return found


async def test_33_a_call_of_two_leaves_four_recordings(world: World) -> None:
    room_id, session_id = await recorded_call(world)
    names = [name for name, _ in await world.db.read(lambda tx: facts(tx, room_id)) if name.startswith("recording")]
    assert (names.count("recording.started"), names.count("recording.completed")) == (4, 4)
    of_session = f"filter[session_id]={session_id}"
    assert len(await listed(world, of_session)) == 4
    sound = await listed(world, f"{of_session}&filter[type]=audio")
    assert [(each["type"], each["codec"], each["duration_secs"]) for each in sound] == [("audio", "opus", 60)] * 2
    for seconds, number in ((45, 4), (46, 2), (60, 2), (61, 0)):
        assert len(await listed(world, f"{of_session}&filter[duration_secs]={seconds}")) == number


async def test_35_all_recordings_of_a_session_are_deleted(world: World) -> None:
    _, session_id = await recorded_call(world)
    for number in (4, 0):
        answer = await world.k1.delete(f"{RECORDINGS}?filter[session_id]={session_id}")
        assert (answer.status_code, answer.json()) == (201, {"data": {"room_recordings": number}})


async def test_36_a_misspelt_filter_deletes_nothing(world: World) -> None:
    _, session_id = await recorded_call(world)
    answer = await world.k1.delete(f"{RECORDINGS}?filter[sesion_id]={session_id}")
    assert error(answer) == (422, "10031", "filter[sesion_id]")
    assert len(await listed(world, "")) == 4


async def test_37_a_composition_is_enqueued(world: World) -> None:
    _, session_id = await recorded_call(world)
    answer = await world.k1.post(COMPOSITIONS, json={"session_id": session_id})
    assert answer.status_code == 202
    shown = answer.json()["data"]
    assert (shown["status"], shown["format"], shown["resolution"]) == ("enqueued", "mp4", "1280x720")
    assert shown["audio_sources"] == ["*"]


@pytest.fixture
async def session_id(sqlite_world: World) -> str:
    return (await recorded_call(sqlite_world))[1]


@pytest.mark.parametrize("resolution", ["15x720", "1281x100", "1280x721", "1000x1000", "big"])
async def test_38_resolutions_have_limits(sqlite_world: World, session_id: str, resolution: str) -> None:
    body = {"session_id": session_id, "resolution": resolution}
    code = "10015" if resolution == "big" else "10033"
    assert error(await sqlite_world.k1.post(COMPOSITIONS, json=body)) == (422, code, "/resolution")


@pytest.mark.parametrize(
    ("layout", "place"),
    [
        ({str(number): ALL for number in range(17)}, ""),
        ({"a": ALL | {"x_pos": 800, "width": 481}}, "/a/width"),
        ({"a": ALL | {"y_pos": 400, "height": 321}}, "/a/height"),
        ({"a": ALL | {"z_pos": 100}}, "/a/z_pos"),
        ({"a": ALL | {"width": 15}}, "/a/width"),
        ({"a": ALL | {"max_rows": 0}}, "/a/max_rows"),
        ({"a": ALL | {"max_columns": 1001}}, "/a/max_columns"),
        ({"a": {"video_sources": []}}, "/a/video_sources"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_39_layouts_have_limits(sqlite_world: World, session_id: str, layout: Shown, place: str) -> None:
    body = {"session_id": session_id, "video_layout": layout}
    status, _, pointer = error(await sqlite_world.k1.post(COMPOSITIONS, json=body))
    assert (status, pointer) == (422, f"/video_layout{place}")


async def test_40_sound_is_all_or_nothing(sqlite_world: World, session_id: str) -> None:
    async def asked(sound: object) -> Any:
        return await sqlite_world.k1.post(COMPOSITIONS, json={"session_id": session_id, "audio_sources": sound})

    assert error(await asked(["x"])) == (422, "10032", "/audio_sources")
    for sound in (None, ["*"]):
        assert (await asked(sound)).json()["data"]["audio_sources"] == sound
