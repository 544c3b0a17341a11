"""Recorded calls: video and audio are in files, at the right second, whatever fails meanwhile."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import aclosing
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser
from sqlalchemy import select

from portico.db import schema
from portico.db.connect import open_database
from tests.converter.mjr_files import duration_ms
from tests.e2e import archive
from tests.e2e.archive import Recorded
from tests.e2e.conftest import Call, calls
from tests.e2e.person import BLACK, BLUE, GREEN, RED, Colour
from tests.servers import PorticoServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

READY_WITHIN_SECS = 10.0
MARGIN_SECS = 0.7
"""Around a change: commands take their time to reach the page, and pages theirs."""
NEAR = 80


async def _all_completed(call: Call, count: int) -> bool:
    rows = [row async for row in call.rest.room_recordings.list()]
    return len(rows) == count and all(row.status == "completed" for row in rows)


async def _converted(call: Call, count: int, folder: Path) -> list[Recorded]:
    await call.eventually(f"{count} recordings are completed", lambda: _all_completed(call, count), READY_WITHIN_SECS)
    return await archive.recordings(call.rest, folder)


def _seems(seen: Colour, colour: Colour) -> bool:
    return all(abs(a - b) <= NEAR for a, b in zip(seen, colour, strict=True))


async def _is_on_air(call: Call) -> bool:
    """Both tracks of a stream, the only one so far, have reached the server: it shows recordings from then on."""
    return len([row async for row in call.rest.room_recordings.list()]) == 2


async def _no_mjr_files(call: Call) -> bool:
    return not [path for path in (call.server.data_dir / "dumps").glob("*") if path.is_file()]


async def _is_gone(pid: int) -> bool:
    """A zombie is gone too: its parent, which may be busy, has not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_each_track_is_a_file_in_which_everything_is_at_its_second(fragile_call: Call, tmp_path: Path) -> None:
    """Each change lies between two times: of the request for it, and of its arrival at the other browser."""
    call = fragile_call
    await call.create_room(enable_recording=True)
    anna, ben = await call.gather(2)
    began = time.time()
    await asyncio.gather(anna.publish(tone=440, colour=RED), ben.publish(tone=1000))
    await asyncio.gather(ben.perceive(anna, colour=RED, tone=440), anna.perceive(ben, tone=1000))
    on_air = time.time()
    await asyncio.sleep(4)
    dropping = time.time()
    await anna.update(tone=440)
    await ben.expect_sight(anna, BLACK)
    dropped = time.time()
    await asyncio.sleep(2)
    restoring = time.time()
    await anna.update(tone=440, colour=GREEN)
    await ben.expect_sight(anna, GREEN)
    restored = time.time()
    (session,) = await call.sessions()
    assert session.id is not None
    muting = time.time()
    await call.rest.rooms.sessions.actions.mute(session.id, participants=[anna.id])
    await ben.expect_tones(anna)
    muted = time.time()
    await asyncio.sleep(3)
    unmuting = time.time()
    await call.rest.rooms.sessions.actions.unmute(session.id, participants=[anna.id])
    await ben.expect_tones(anna, 440)
    unmuted = time.time()
    await anna.publish("presentation", colour=BLUE)
    await ben.perceive(anna, colour=BLUE, key="presentation")
    presenting = time.time()
    await asyncio.sleep(3)
    removing = time.time()
    await anna.remove_stream("presentation")
    removed = time.time()
    await anna.remove_stream()
    await ben.leave()

    recorded = await _converted(call, 4, tmp_path)
    kinds = [(one.row.participant_id, one.row.type, one.row.codec) for one in recorded]
    assert sorted(kinds) == sorted(
        [(anna.id, "audio", "opus"), (anna.id, "video", "vp8"), (anna.id, "video", "vp8"), (ben.id, "audio", "opus")]
    )
    for one in recorded:
        assert abs(duration_ms(one.path) - one.secs * 1000) < 100, one
        assert one.row.size_mb == round(one.path.stat().st_size / 1_000_000, 2)
    own = [one for one in recorded if one.row.participant_id == anna.id]
    (sound,) = [one for one in own if one.row.type == "audio"]
    camera, screen = [one for one in own if one.row.type == "video"]
    (other,) = [one for one in recorded if one.row.participant_id == ben.id]

    assert sound.tone_between(440, on_air + MARGIN_SECS, muting - MARGIN_SECS).all()
    assert not sound.tone_between(440, muted + MARGIN_SECS, unmuting).any()
    assert sound.tone_between(440, unmuted + MARGIN_SECS, removed - MARGIN_SECS).all()
    assert other.tone_between(1000, on_air + MARGIN_SECS, removed - MARGIN_SECS).all()
    assert not other.tone_between(440, on_air, removed).any()
    assert began - 0.1 <= sound.started_at.timestamp() <= on_air
    for at, colour in (
        ((on_air + dropping) / 2, RED),
        (dropping - MARGIN_SECS, RED),
        (dropped + 0.1, BLACK),
        (restoring - 0.1, BLACK),
        (restored + 0.1, GREEN),
        (removed - MARGIN_SECS, GREEN),
    ):
        assert _seems(camera.colour_at(at), colour), (at - on_air, colour, camera.colour_at(at))
    assert _seems(screen.colour_at((presenting + removing) / 2), BLUE)
    assert removing - presenting - MARGIN_SECS < screen.secs < removed - unmuted + MARGIN_SECS


def _mjr_files(call: Call) -> set[str]:
    """The mjr files on disk. A final name counts as the temporary one, because other recordings may get theirs now."""
    return {path.name.removesuffix(".tmp") for path in (call.server.data_dir / "dumps").glob("*.mjr*")}


async def test_nothing_is_recorded_unless_the_room_wants_it(call: Call) -> None:
    files_before = _mjr_files(call)  # by a test before, whose recordings may not be converted yet
    await call.create_room()
    anna = await call.join()
    await anna.publish(tone=440, colour=RED)
    await call.rest.rooms.update(call.room_id, enable_recording=True)
    await anna.publish("presentation", colour=BLUE)
    await anna.remove_stream("presentation")
    await anna.leave()
    (session,) = await call.sessions()
    found = [row async for row in call.rest.room_recordings.list(filter={"session_id": session.id or ""})]
    assert found == []
    assert _mjr_files(call) <= files_before


@pytest.mark.parametrize("victim", ["janus", "server"])
async def test_what_was_recorded_before_a_crash_is_saved(fragile_call: Call, tmp_path: Path, victim: str) -> None:
    call = fragile_call
    await call.create_room(enable_recording=True)
    anna = await call.join()
    await anna.publish(tone=440, colour=RED)
    await call.eventually("both tracks are on the air", partial(_is_on_air, call))
    on_air = time.time()
    await asyncio.sleep(8)
    (janus,) = call.server.descendants("janus")
    killed = time.time()
    if victim == "janus":
        os.kill(janus, signal.SIGKILL)
    else:
        call.server.kill9()
    await call.eventually("nothing more is recorded", partial(_is_gone, janus))
    gone = time.time()
    if victim == "server":
        call.server.restart()
    await call.eventually("both are saved", lambda: _all_completed(call, 2), 25)
    for one in await archive.recordings(call.rest, tmp_path):
        saved_until = one.started_at.timestamp() + one.secs
        assert killed - 2.0 < saved_until < gone + 0.2, (one.row.type, killed - saved_until, gone - saved_until)
        assert abs(duration_ms(one.path) - one.secs * 1000) < 100
        if one.row.type == "audio":
            assert one.tone_between(440, on_air + MARGIN_SECS, killed - 2.2).all()
        else:
            assert _seems(one.colour_at((on_air + killed) / 2), RED)
    await call.eventually(
        "the mjr files are deleted", partial(_no_mjr_files, call)
    )  # which happens after the event of the recording
    for shown, ended_at in await _timelines(call):
        assert abs(shown[-1][1] - ended_at.timestamp() * 1000) < 1500, (
            "a composition would show less than what was recorded"
        )


async def _timelines(call: Call) -> list[tuple[list[list[int]], datetime]]:
    db = open_database(f"sqlite:///{call.server.data_dir}/portico.db")
    try:
        rows = schema.room_recordings.c
        return [tuple(row) for row in await db.read(lambda tx: tx.execute(select(rows.shown, rows.ended_at)).all())]
    finally:
        await db.close()


async def test_a_recording_plays_and_seeks_in_the_browser(call: Call) -> None:
    await call.create_room(enable_recording=True)
    anna = await call.join()
    began = time.time()
    await anna.publish(tone=440, colour=GREEN)
    (session,) = await call.sessions()

    async def on_air() -> bool:
        return len([row async for row in call.rest.room_recordings.list(filter={"session_id": session.id or ""})]) == 2

    await call.eventually("both tracks are on the air", on_air)
    least = time.time()
    await asyncio.sleep(5)
    least = time.time() - least
    await anna.remove_stream()
    most = time.time() - began

    async def ready() -> bool:
        rows = [row async for row in call.rest.room_recordings.list(filter={"session_id": session.id or ""})]
        return len(rows) == 2 and all(row.status == "completed" for row in rows)

    await call.eventually("both are ready", ready, READY_WITHIN_SECS)
    async for row in call.rest.room_recordings.list(filter={"session_id": session.id or ""}):
        facts = await anna.page.evaluate(_PLAY, [row.type, row.download_url])
        assert least - MARGIN_SECS < facts["duration"] < most + MARGIN_SECS, (least, most, facts)
        assert facts["seekable"] >= facts["duration"] - 0.1 and abs(facts["at"] - 3) < 0.2, facts


_PLAY = """async ([kind, url]) => {
  const media = Object.assign(document.createElement(kind), { src: url, muted: true, crossOrigin: "anonymous" });
  const happens = (name) => new Promise((resolve, reject) => {
    media.addEventListener(name, resolve, { once: true });
    media.addEventListener("error", () => reject(new Error(media.error.message)), { once: true });
    setTimeout(() => reject(new Error(`${name} did not come`)), 8000);
  });
  await happens("loadedmetadata");
  const seeked = happens("seeked");
  media.currentTime = 3;
  await seeked;
  const at = media.currentTime; // before it plays: a busy page would stop it late
  await media.play();
  media.pause();
  return { duration: media.duration, seekable: media.seekable.end(0), at };
}"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB, where the kernel lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_full_disk_ends_recordings_and_not_calls(
    small_disk: Path, loopback: str | None, browser: Browser, site: str, tmp_path: Path, portico: type[PorticoServer]
) -> None:
    with portico(small_disk / "data", media_interface=loopback, recording_min_free_mb="30") as server:
        async with aclosing(calls(server, browser, site)) as opened:
            call = await anext(opened)
            await call.create_room(enable_recording=True)
            anna, ben = await call.gather(2)
            await anna.publish(tone=440, colour=RED)
            await ben.wait_for("stream_published", anna.id, "self")
            await ben.subscribe(anna)
            await asyncio.sleep(2)
            (small_disk / "filler").write_bytes(bytes(40_000_000))
            await call.eventually("what was recorded is saved", lambda: _all_completed(call, 2), READY_WITHIN_SECS)
            await ben.expect_mix(440)
            await ben.expect_sight(anna, RED)
            assert "disk is nearly full" in server.log
            await call.eventually("the mjr files are deleted", partial(_no_mjr_files, call))
            resumed = time.time()
            (small_disk / "filler").unlink()

            async def goes_on() -> bool:
                return len([row async for row in call.rest.room_recordings.list()]) == 4

            await call.eventually("it is recorded again", goes_on)
            await asyncio.sleep(2.5)
            await anna.leave()
            found = await _converted(call, 4, tmp_path)
            again = [one for one in found if one.started_at.timestamp() > resumed]
            assert sorted(one.row.type or "" for one in again) == ["audio", "video"]
            assert all(one.secs > 1.5 for one in again)
