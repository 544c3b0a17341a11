"""A call in Chromium becomes a composition with each participant in the right cell, and audible at the right second."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from telnyx.types import RoomComposition

from tests.converter.pictures import RATE, MediaFile, loudness
from tests.e2e import archive
from tests.e2e.conftest import Call
from tests.e2e.person import BLACK, BLUE, GREEN, RED, Colour

pytestmark = pytest.mark.asyncio(loop_scope="session")

READY_WITHIN_SECS = 60.0
MARGIN_SECS = 0.7
FPS = 25
WIDTH, HEIGHT = 640, 360
AUDIBLE = 0.02


class Playback:
    """A composition, whose picture and sound are looked up by times of time.time()."""

    def __init__(self, path: Path, composition: RoomComposition) -> None:
        assert composition.started_at is not None
        self._start = composition.started_at.timestamp()
        video = MediaFile(path)
        self.pictures = video.frames()
        self.samples = video.sound()

    def colour(self, at: float, x: int, y: int) -> Colour:
        return self.colour_of(int((at - self._start) * FPS), x, y)

    def colour_of(self, frame: int, x: int = WIDTH // 2, y: int = HEIGHT // 2) -> Colour:
        red, green, blue = (int(part) for part in self.pictures[frame][y, x])
        return red, green, blue

    def has_tone(self, tone: int, begin: float, end: float) -> bool:
        first, last = (int((at - self._start) * RATE) for at in (begin, end))
        return loudness(self.samples[first:last], tone) > AUDIBLE


async def completed(call: Call, composition_id: str, *, begun_again: bool = False) -> RoomComposition:
    progress = [0.0]

    async def is_completed() -> bool:
        row = (await call.rest.room_compositions.retrieve(composition_id)).data
        assert row is not None and row.status is not None, row  # null: it failed
        progress.append(row.progress)  # type: ignore[attr-defined]
        return row.status == "completed"

    await call.eventually("the composition is completed", is_completed, READY_WITHIN_SECS)
    assert progress[-1] == 1 and (begun_again or progress == sorted(progress))
    row = (await call.rest.room_compositions.retrieve(composition_id)).data
    assert row is not None
    return row


def near(seen: Colour, colour: Colour) -> bool:
    return all(abs(a - b) <= 80 for a, b in zip(seen, colour, strict=True))


async def test_a_call_becomes_a_composition(call: Call, tmp_path: Path) -> None:
    """Each change lies between two times: of the request for it, and of its arrival at the other browser."""
    await call.create_room(enable_recording=True)
    anna, ben = await call.gather(2)
    began = time.time()
    await anna.publish(tone=440, colour=RED)
    await ben.perceive(anna, colour=RED, tone=440)
    red = time.time()
    await asyncio.sleep(3)
    adding = time.time()
    await ben.publish(tone=1000, colour=GREEN)
    await anna.perceive(ben, colour=GREEN, tone=1000)
    green = time.time()
    await asyncio.sleep(3)
    dropping = time.time()
    await anna.update(tone=440)
    await ben.expect_sight(anna, BLACK)
    dropped = time.time()
    (session,) = await call.sessions()
    wanted = await call.rest.room_compositions.create(
        session_id=session.id or "", resolution=f"{WIDTH}x{HEIGHT}", format="mp4"
    )
    assert wanted.data is not None and wanted.data.id is not None and wanted.data.status == "enqueued"
    await asyncio.sleep(2)
    leaving = time.time()
    await ben.leave()
    await anna.wait_for("participant_left", ben.id)
    gone = time.time()
    await asyncio.sleep(2)
    ending = time.time()
    await anna.leave()
    await call.eventually("Anna has left in the API", lambda: call.has_left(anna))
    ended = time.time()

    row = await completed(call, wanted.data.id)
    assert row.download_url is not None and row.ended_at is not None and row.started_at is not None
    path = await archive.fetch(row.download_url, tmp_path / "composition.mp4")
    video = MediaFile(path)
    assert video.size == (WIDTH, HEIGHT)
    assert [video.streams(kind)[0]["codec_name"] for kind in ("video", "audio")] == ["h264", "aac"]
    secs = (row.ended_at - row.started_at).total_seconds()
    assert abs(float(video.facts()["format"]["duration"]) - secs) < 0.1
    assert row.duration_secs == int(secs)
    assert began - 0.1 <= row.started_at.timestamp() <= red
    assert ending - MARGIN_SECS <= row.ended_at.timestamp() <= ended + MARGIN_SECS

    seen = Playback(path, row)
    left, right = (WIDTH // 4, HEIGHT // 2), (3 * WIDTH // 4, HEIGHT // 2)
    for at, places in (
        ((red + adding) / 2, {left: RED, right: BLACK}),
        ((green + dropping) / 2, {left: RED, right: GREEN}),
        ((dropped + leaving) / 2, {left: BLACK, right: GREEN}),
        ((gone + ending) / 2, {left: BLACK, right: BLACK}),
    ):
        for place, colour in places.items():
            assert near(seen.colour(at, *place), colour), (at - red, place, colour, seen.colour(at, *place))
    assert seen.has_tone(440, red + MARGIN_SECS, ending - MARGIN_SECS)
    assert not seen.has_tone(1000, red + MARGIN_SECS, adding)
    assert seen.has_tone(1000, green + MARGIN_SECS, leaving - MARGIN_SECS)
    assert not seen.has_tone(1000, gone + MARGIN_SECS, ending - MARGIN_SECS)


async def test_picture_and_sound_are_together(call: Call, tmp_path: Path) -> None:
    """A page turns blue when its tone begins: both follow one clock, whatever delays the page.

    The composer's own error is measured with synthetic sources, over ten minutes, in tests/composer/test_compose.py.
    """
    await call.create_room(enable_recording=True)
    anna = await call.join()
    await anna.clap(1000, (RED, BLUE), every_ms=1500, times=3)
    (session,) = await call.sessions()

    async def is_recorded() -> bool:
        rows = [row async for row in call.rest.room_recordings.list(filter={"session_id": session.id or ""})]
        return len(rows) == 2

    await call.eventually("both tracks are recorded", is_recorded)
    await asyncio.sleep(9.5)  # the last clap begins 7.5 s after the first media
    await anna.leave()
    wanted = await call.rest.room_compositions.create(session_id=session.id or "", resolution=f"{WIDTH}x{HEIGHT}")
    assert wanted.data is not None and wanted.data.id is not None
    row = await completed(call, wanted.data.id)
    assert row.download_url is not None
    seen = Playback(await archive.fetch(row.download_url, tmp_path / "composition.mp4"), row)
    blue = np.array([near(seen.colour_of(frame), BLUE) for frame in range(len(seen.pictures))])
    step = RATE // 100
    loud = np.array(
        [
            loudness(seen.samples[at : at + 4 * step], 1000) > AUDIBLE
            for at in range(0, len(seen.samples) - 4 * step, step)
        ]
    )
    sights = [(place + 1) / FPS for place in np.flatnonzero(~blue[:-1] & blue[1:])]
    sounds = [(place + 1) / 100 + 0.02 for place in np.flatnonzero(~loud[:-1] & loud[1:])]
    assert len(sights) == 3, sights
    offsets = [min(abs(sight - sound) for sound in sounds) for sight in sights]
    assert sorted(offsets)[1] <= 0.25, (sights, sounds)


async def test_a_composition_goes_on_after_the_server_was_killed(fragile_call: Call, tmp_path: Path) -> None:
    call = fragile_call
    await call.create_room(enable_recording=True)
    anna = await call.join()
    await anna.publish(tone=440, colour=RED)
    await asyncio.sleep(6)
    (session,) = await call.sessions()
    await anna.leave()
    wanted = await call.rest.room_compositions.create(session_id=session.id or "")
    assert wanted.data is not None and wanted.data.id is not None
    composition_id = wanted.data.id

    async def is_being_made() -> bool:
        row = (await call.rest.room_compositions.retrieve(composition_id)).data
        return row is not None and row.status == "processing"

    await call.eventually("the composition is in progress", is_being_made, READY_WITHIN_SECS)
    call.server.kill9()
    call.server.restart()
    row = await completed(call, composition_id, begun_again=True)
    assert row.download_url is not None
    video = MediaFile(await archive.fetch(row.download_url, tmp_path / "composition.mp4"))
    assert video.size == (1280, 720)
    work = call.server.data_dir / "work" / "compositions"

    async def is_cleared() -> bool:
        return not list(work.iterdir())

    await call.eventually(
        "nothing is left of its making", is_cleared
    )  # which happens after the event of the composition
