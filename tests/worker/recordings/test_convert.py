"""From an mjr file to a download with the real converter and real stores, also if files or stores are missing."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import Row

from portico.core import links
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.runtime.child_messages import ConvertedFile
from portico.services import jobs, recordings
from portico.storage.open import open_store
from portico.storage.store import Store
from portico.worker.recordings import converter_process
from portico.worker.recordings.convert import CONTAINER_BYTES, FINAL_WITHIN, LOOK_AGAIN
from portico.worker.recordings.converter_process import ConversionFailed, convert
from portico.worker.recordings.mjr_care import MjrCare
from portico.worker.recordings.mjr_dates import MjrDates
from portico.worker.runner import OUTAGE_PAUSE_MIN, PAUSES
from tests.clocks import Clock
from tests.converter.mjr_files import ffprobe, opus_units, write_mjr
from tests.factories import an_account, rows
from tests.recorded import milliseconds
from tests.storage.buckets import BUCKET, a_bucket
from tests.waiting import WITHIN_SECS, until
from tests.worker.studio import BEGAN, KIND, SECOND, SECRET, Studio, a_studio


@pytest.fixture
async def studio(database: Database, tmp_path: Path) -> AsyncIterator[Studio]:
    found = await a_studio(database, tmp_path)
    yield found
    await found.workshop.stop()


@pytest.fixture
async def small_studio(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Studio]:
    """A studio on SQLite, for tests that do not depend on the database."""
    database = open_database(sqlite_url)
    found = await a_studio(database, tmp_path)
    yield found
    await found.workshop.stop()
    await database.close()


@pytest.mark.parametrize("behind", [timedelta(minutes=1), -timedelta(minutes=1)])
async def test_a_clock_of_the_machine_of_janus_that_is_wrong_and_set_moves_and_cuts_nothing(
    small_studio: Studio, behind: timedelta
) -> None:
    """Two tracks begin at the same time by the database; then the clock of the machine is set by an hour."""
    studio, wall = small_studio, Clock(BEGAN)
    program = Clock(BEGAN + behind)
    dates = MjrDates(program, wall)
    care = MjrCare(studio.workshop.database, studio.store, studio.data_dir, dates=dates)
    begun = studio.sound(".mjr.tmp")
    assert await care.sync_growing() == 1
    wall.now += timedelta(hours=1)
    assert await care.sync_growing() == 1
    begun.rename(begun.with_suffix(""))
    studio.pictures()  # as of a process that is started again, when the clock is set back: it has not seen it begin
    for kind in ("audio", "video"):
        shown = [[milliseconds(program.now - SECOND / 2), None]]
        first = partial(recordings.first_media, mjr_name=studio.mjr_name, type=kind, shown=shown, now=program.now)
        assert await studio.workshop.database.write(first)
    await studio.end()
    wall.now -= timedelta(hours=1)
    await studio.work(dates)
    for kind in ("audio", "video"):
        recording = await studio.completed(kind)
        assert recording.failure is None
        assert abs(recording.started_at - program.now) < 0.1 * SECOND
        assert abs(recording.ended_at - recording.started_at - 3 * SECOND) < 0.1 * SECOND


async def test_both_tracks_become_files_to_which_events_link(studio: Studio) -> None:
    await studio.media("audio", "video")
    studio.sound()
    studio.pictures()
    await studio.end()
    await studio.work()
    for kind, codec, ending in (("audio", "opus", "ogg"), ("video", "vp8", "webm")):
        recording = await studio.completed(kind)
        key = f"recordings/{recording.session_id}/{recording.id}.{ending}"
        assert (recording.codec, recording.object_key, recording.failure) == (codec, key, None)
        assert abs(recording.started_at - BEGAN) < 0.1 * SECOND
        assert abs(recording.ended_at - recording.started_at - 3 * SECOND) < 0.1 * SECOND
        path = studio.store.local_path(key)
        assert path is not None
        assert recording.size_bytes == path.stat().st_size
        assert recording.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert ffprobe(path, "stream=codec_name")["streams"] == [{"codec_name": codec}]
        await assert_has_link(studio, recording, ending)
    await studio.workshop.idle()
    assert studio.names() == [] and studio.names("work/recordings") == []


async def assert_has_link(studio: Studio, recording: Row[Any], ending: str) -> None:
    """The event of the recording has a link to its file."""
    (payload,) = [each for each in await studio.events() if each["recording_id"] == recording.id]
    link = urlsplit(payload["download_url"])
    name = links.verify(
        SECRET, link.path.removeprefix("/files/"), dict(parse_qsl(link.query)), now=recording.completed_at
    )
    assert name == f"recording-{recording.started_at:%Y%m%dT%H%M%SZ}-{recording.type}-{recording.id[:8]}.{ending}"
    assert (payload["codec"], payload["type"]) == (recording.codec, recording.type)


async def test_what_was_before_the_track_was_shown_is_left_out(small_studio: Studio) -> None:
    shown_at = BEGAN + SECOND
    shown = [[milliseconds(shown_at), None]]
    await small_studio.do(
        recordings.first_media, mjr_name=small_studio.mjr_name, type="audio", shown=shown, now=shown_at
    )
    small_studio.sound()
    await small_studio.end()
    await small_studio.work()
    recording = await small_studio.completed("audio")
    assert abs(recording.started_at - shown_at) < 0.1 * SECOND
    assert abs(recording.ended_at - recording.started_at - 2 * SECOND) < 0.1 * SECOND


async def looked(studio: Studio) -> None:
    """Wait until a conversion found no final file, and waits to look again."""
    recording_id, due_at = (await studio.recording("audio")).id, studio.workshop.clock.now + LOOK_AGAIN
    waiting = {"subject": recording_id, "leased_until": None, "attempts": 0, "due_at": due_at}
    await studio.workshop.until(lambda tx: rows(tx, schema.jobs, **waiting))


async def test_an_mjr_that_is_still_written_is_waited_for(small_studio: Studio) -> None:
    await small_studio.media("audio")
    unfinished = small_studio.sound(".mjr.tmp")
    await small_studio.end()
    await small_studio.work()
    await looked(small_studio)
    unfinished.rename(unfinished.with_suffix(""))
    await small_studio.workshop.move(LOOK_AGAIN)
    assert (await small_studio.completed("audio")).failure is None


async def test_an_mjr_that_janus_did_not_end_is_salvaged(small_studio: Studio) -> None:
    """Janus was killed within a packet; the packets before it are saved."""
    await small_studio.media("audio")
    unfinished = small_studio.sound(".mjr.tmp")
    os.truncate(unfinished, unfinished.stat().st_size - 7)
    await small_studio.end()
    await small_studio.work()
    await looked(small_studio)
    await small_studio.workshop.move(FINAL_WITHIN)
    recording = await small_studio.completed("audio")
    assert (recording.failure, recording.codec) == (None, "opus")
    assert timedelta(0) < 3 * SECOND - (recording.ended_at - recording.started_at) < 0.2 * SECOND
    await small_studio.workshop.idle()
    assert small_studio.names() == []


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_clock_that_is_set_salvages_nothing_early_and_nothing_late(studio: Studio, step: timedelta) -> None:
    """It is set after the track's end, before the first look at its file."""
    await studio.media("audio")
    studio.sound(".mjr.tmp")
    await studio.end()
    await studio.workshop.set(step)
    await studio.work()
    await looked(studio)
    await studio.workshop.move(FINAL_WITHIN - LOOK_AGAIN)
    await looked(studio)
    await studio.workshop.move(LOOK_AGAIN)
    assert (await studio.completed("audio")).failure is None


async def test_a_track_that_never_had_media_leaves_nothing(studio: Studio) -> None:
    """The SDK publishes pictures of a camera that is not there: its mjr file is full, but it was never shown."""
    await studio.media("audio")
    studio.sound()
    studio.pictures()
    await studio.end()
    await studio.work()
    await studio.workshop.idle()
    assert [each.type for each in await studio.see(rows, table=schema.room_recordings)] == ["audio"]
    assert studio.names() == []
    assert len(await studio.events()) == 1


async def failed(studio: Studio, kind: str = "audio") -> Row[Any]:
    """The recording, once it was tried three times."""
    for number, pause in enumerate(PAUSES, 1):
        await studio.workshop.until(partial(rows, table=schema.jobs, attempts=number, leased_until=None))
        await studio.workshop.move(pause)
    return await studio.completed(kind)


async def test_an_mjr_that_cannot_be_read_is_kept_aside_and_its_recording_completed(studio: Studio) -> None:
    await studio.media("audio")
    studio.mjr_folder.mkdir()
    broken = studio.mjr_folder / f"{studio.mjr_name}-audio-0.mjr"
    broken.write_bytes(b"this is no mjr file" * 100)
    await studio.end()
    await studio.do(recordings.discard, recording_id=(await studio.recording("video")).id)
    await studio.work()
    recording = await failed(studio)
    assert (recording.size_bytes, recording.object_key, recording.codec) == (0, None, None)
    assert broken.name in recording.failure
    (payload,) = await studio.events()
    assert (payload["download_url"], payload["size_mb"]) == (None, 0)
    await studio.workshop.idle()
    assert studio.names() == ["failed"] and studio.names("dumps/failed") == [broken.name]
    assert studio.names("work/recordings") == []


async def test_a_recording_without_any_mjr_is_completed_all_the_same(small_studio: Studio) -> None:
    await small_studio.media("audio")
    await small_studio.end()
    await small_studio.work()
    await looked(small_studio)
    await small_studio.workshop.move(FINAL_WITHIN)
    recording = await failed(small_studio)
    assert recording.failure == "The media server left no file."


async def test_an_empty_mjr_is_completed_at_once_and_kept_aside(small_studio: Studio) -> None:
    await small_studio.media("audio")
    small_studio.mjr_folder.mkdir()
    empty = write_mjr(small_studio.mjr_folder / f"{small_studio.mjr_name}-audio-0.mjr", [], "opus")
    await small_studio.end()
    await small_studio.work()
    recording = await small_studio.completed("audio")
    assert (recording.failure, recording.size_bytes) == ("Nothing was recorded.", 0)
    assert small_studio.names("dumps/failed") == [empty.name]


async def test_a_store_that_is_down_is_waited_for_and_nothing_is_done_twice(sqlite_url: str, tmp_path: Path) -> None:
    bucket = a_bucket()
    store = open_store(f"s3://{BUCKET}", tmp_path, secret=SECRET, base_url="", s3=bucket.access)
    database = open_database(sqlite_url)
    studio = await a_studio(database, tmp_path, store)
    await studio.media("audio")
    mjr = studio.sound()
    await studio.end()
    await studio.do(recordings.discard, recording_id=(await studio.recording("video")).id)
    await studio.do(jobs.cancel, kind=KIND, subject=(await studio.recording("audio")).id)
    await studio.do(jobs.enqueue, kind=KIND, subject=(await studio.recording("audio")).id, now=BEGAN + 3 * SECOND)
    await studio.work()
    work = tmp_path / "work" / "recordings" / (await studio.recording("audio")).id
    await until((work / "result.json").exists)
    made = (work / "result.json").stat()
    for _ in range(2):
        await studio.workshop.until(lambda tx: rows(tx, schema.jobs, leased_until=None, attempts=0))
        assert mjr.exists(), "nothing is deleted before the store has the file"
        await studio.workshop.move(2 * SECOND)

    def waits_or_is_done(tx: Transaction) -> str | None:
        """A clock that went on while the job runs would end the lease."""
        queued = rows(tx, schema.jobs)
        waits = any(each.leased_until is None and each.due_at > studio.workshop.clock.now for each in queued)
        return "waits" if waits else None if queued else "is done"

    with bucket.up():
        while await studio.workshop.until(waits_or_is_done) == "waits":
            kept = (work / "result.json").stat()
            assert (kept.st_ino, kept.st_mtime_ns) == (made.st_ino, made.st_mtime_ns), "it was not converted again"
            await studio.workshop.move(SECOND)
        recording = await studio.recording("audio")
        assert bucket.keys() == [recording.object_key]
        await studio.workshop.idle()
        assert studio.names() == []
        account = await studio.do(an_account)
        await studio.do(recordings.delete, account_id=account, recording_id=recording.id, now=studio.workshop.clock.now)
        await studio.workshop.idle()
        assert bucket.keys() == [], "the file goes after the row"
    await studio.workshop.stop()
    await database.close()


async def test_two_that_would_not_fit_together_are_made_one_after_the_other(
    small_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = small_studio
    await studio.media("audio", "video")
    sizes = [studio.sound().stat().st_size, studio.pictures().stat().st_size]
    await studio.end()
    free = sum(sizes) + CONTAINER_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    has_waited = asyncio.Event()

    async def not_before(*args: Any, **kwargs: Any) -> ConvertedFile:
        await has_waited.wait()
        return await convert(*args, **kwargs)

    monkeypatch.setattr(converter_process, "convert", not_before)
    await studio.work()

    def one_waits(tx: Transaction) -> bool:
        waiting = rows(tx, schema.jobs, leased_until=None, attempts=0)
        return len(waiting) == 1 and waiting[0].due_at > studio.workshop.clock.now

    await studio.workshop.until(one_waits)
    has_waited.set()
    await studio.workshop.until(lambda tx: rows(tx, schema.room_recordings, status=recordings.COMPLETED))
    await studio.workshop.move(OUTAGE_PAUSE_MIN)
    for kind in ("audio", "video"):
        assert (await studio.completed(kind)).failure is None
    await studio.workshop.idle()
    assert studio.names() == []


class Meanwhile:
    """A real store that calls a function during `put`."""

    def __init__(self, store: Store, happening: Any) -> None:
        self._store = store
        self._happening = happening

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put(self, *args: Any, **kwargs: Any) -> None:
        await self._store.put(*args, **kwargs)
        await self._happening()


async def test_a_recording_that_is_deleted_meanwhile_leaves_nothing(small_studio: Studio) -> None:
    """The recording is deleted after the store confirmed the object and before the row: the object is deleted too."""
    studio = small_studio
    await studio.media("audio")
    studio.sound()
    await studio.end()
    await studio.do(recordings.discard, recording_id=(await studio.recording("video")).id)
    recording = await studio.recording("audio")

    async def delete() -> None:
        # Only the row: the signal that stops the runner comes too late.
        await studio.do(lambda tx: tx.execute(recordings.RECORDINGS.delete()))

    studio.store = Meanwhile(studio.store, delete)
    await studio.work()
    await studio.workshop.idle()
    assert await studio.store.size(f"recordings/{recording.session_id}/{recording.id}.ogg") is None
    assert await studio.events() == []
    assert studio.names() == [] and studio.names("work/recordings") == []


async def test_what_can_be_saved_is_taken_by_the_last_try(
    small_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def strict(*args: Any, salvage: bool, **kwargs: Any) -> ConvertedFile:
        if not salvage:
            raise ConversionFailed("It is too short.")
        return replace(await convert(*args, salvage=salvage, **kwargs), complaint="It is too short.")

    monkeypatch.setattr(converter_process, "convert", strict)
    await small_studio.media("audio")
    small_studio.sound()
    await small_studio.end()
    await small_studio.do(recordings.discard, recording_id=(await small_studio.recording("video")).id)
    await small_studio.work()
    recording = await failed(small_studio)
    assert recording.failure == "It is too short."
    assert await small_studio.store.size(recording.object_key) == recording.size_bytes > 0


class Slow:
    """A real store that returns a link only after another transaction was written meanwhile."""

    def __init__(self, store: Store, database: Database) -> None:
        self._store = store
        self._database = database
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def link(self, *args: Any, **kwargs: Any) -> str:
        write = self._database.write(lambda tx: None)
        asyncio.run_coroutine_threadsafe(write, self._loop).result(WITHIN_SECS)
        return self._store.link(*args, **kwargs)


async def test_no_writer_waits_for_a_link(small_studio: Studio) -> None:
    studio = small_studio
    await studio.media("audio")
    studio.sound()
    await studio.end()
    studio.store = Slow(studio.store, studio.workshop.database)
    await studio.work()
    assert (await studio.completed("audio")).failure is None


async def test_more_mjr_files_than_one_of_a_track_are_kept(small_studio: Studio) -> None:
    await small_studio.media("audio")
    small_studio.sound()
    other = write_mjr(small_studio.mjr_folder / f"{small_studio.mjr_name}-audio-2.mjr", opus_units(500), "opus")
    await small_studio.end()
    await small_studio.work()
    recording = await small_studio.completed("audio")
    assert abs(recording.ended_at - recording.started_at - 3 * SECOND) < 0.1 * SECOND, "the larger one"
    assert small_studio.names("dumps/failed") == [other.name]
