"""Mjr files are synced while they grow, and deleted when no recording needs them."""

import os
import shutil
import subprocess
import sys
import time
from functools import partial
from itertools import chain
from pathlib import Path

import msgspec
import pytest

from portico.db.engine import Database
from portico.runtime.child_messages import ConvertedFile
from portico.services import recordings
from portico.storage.local import LocalStore
from portico.storage.open import open_store
from portico.worker.recordings import mjr_care
from portico.worker.recordings.convert import FileToStore, working_folder
from portico.worker.recordings.mjr_care import UNTOUCHED_SECS, MjrCare
from portico.worker.retention import forget
from tests.clocks import Clock
from tests.factories import NOW, an_account, row
from tests.recorded import (
    SECOND,
    a_recorded_participant,
    a_recording,
    a_stream,
    link,
    nothing_of,
    recording_of,
    started,
)
from tests.waiting import until


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    opened = open_store(None, tmp_path, secret=b"", base_url="")
    assert isinstance(opened, LocalStore)
    return opened


@pytest.fixture
def secs() -> Clock[float]:
    """The monotonic clock of `care`."""
    return Clock(1000.0)


@pytest.fixture
def care(database: Database, store: LocalStore, tmp_path: Path, secs: Clock[float]) -> MjrCare:
    (tmp_path / "dumps" / "failed").mkdir(parents=True)
    return MjrCare(database, store, tmp_path, monotonic=secs)


def a_file(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


async def sweep_twice(care: MjrCare, secs: Clock[float]) -> None:
    """Sweep what does not change between two looks."""
    await care.sweep()
    secs.now += UNTOUCHED_SECS
    await care.sweep()


async def test_only_mjr_files_without_need_are_deleted(
    care: MjrCare, secs: Clock[float], database: Database, tmp_path: Path
) -> None:
    mjr_folder = tmp_path / "dumps"
    participant = (await database.write(a_recorded_participant)).participant_id
    needed = await database.write(partial(a_stream, participant_id=participant))
    kept = [
        a_file(mjr_folder / f"{needed}-audio-0.mjr"),
        a_file(mjr_folder / f"{needed}-video-1.mjr.tmp"),
        growing := a_file(mjr_folder / "orphan-audio-0.mjr.tmp"),
        a_file(mjr_folder / "not-one-of-ours.txt"),
    ]
    swept = [a_file(mjr_folder / "orphan-audio-0.mjr"), a_file(mjr_folder / "orphan-video-1.mjr.tmp")]
    await care.sweep()
    a_file(growing, b"xx")
    secs.now += UNTOUCHED_SECS
    await care.sweep()
    assert [path.name for path in (*kept, *swept) if path.exists()] == [path.name for path in kept]
    for kind in ("audio", "video"):
        recording_id = await database.read(partial(recording_of, mjr_name=needed, kind=kind))
        assert await database.write(partial(recordings.discard, recording_id=recording_id))
    await care.sweep()
    assert [path for path in kept[:2] if path.exists()] == []


async def test_a_clock_that_is_set_deletes_nothing_early_and_nothing_late(
    care: MjrCare, secs: Clock[float], tmp_path: Path
) -> None:
    """Dates of files are wall-clock time: after a step they lie far back, or ahead."""
    files = [a_file(tmp_path / "dumps" / f"orphan-audio-{number}.mjr") for number in (0, 1)]
    for path, by in zip(files, (-3600, 3600), strict=True):
        os.utime(path, (time.time() + by, time.time() + by))
    await care.sweep()
    secs.now += UNTOUCHED_SECS - 1
    await care.sweep()
    assert [path.exists() for path in files] == [True, True]
    secs.now += 1
    await care.sweep()
    assert [path.exists() for path in files] == [False, False]


async def test_what_was_kept_aside_goes_with_its_recording(
    care: MjrCare, secs: Clock[float], database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mjr_care, "FAILED_AT_ONCE", 2)
    failed = tmp_path / "dumps" / "failed"
    joined = await database.write(a_recorded_participant)
    ids, mjr_files = [], []
    for _ in range(3):
        recording_id = await database.write(partial(started, participant_id=joined.participant_id, kind="audio"))
        nothing = await database.read(partial(nothing_of, recording_id=recording_id))
        saved = partial(recordings.complete, recording_id=recording_id, outcome=nothing, link=link, now=NOW)
        assert await database.write(saved)
        mjr_name = (await database.read(partial(row, table=recordings.RECORDINGS, row_id=recording_id))).mjr_name
        ids.append(recording_id)
        mjr_files.append([a_file(failed / f"{mjr_name}-audio-0.mjr.tmp"), a_file(failed / f"{mjr_name}-audio-2.mjr")])
    others = [a_file(failed / "notes.txt"), growing := a_file(failed / "gone-audio-0.mjr")]
    await care.sweep()
    a_file(growing, b"xx")
    secs.now += UNTOUCHED_SECS
    await care.sweep()
    assert all(path.exists() for path in (*others, *chain(*mjr_files)))
    account = await database.write(an_account)
    delete = partial(recordings.delete, account_id=account, recording_id=ids[0], now=NOW)
    await database.write(delete)
    assert await forget(database, before=NOW - SECOND, now=NOW) == 0
    await care.sweep()
    assert [path.exists() for path in (*others, *chain(*mjr_files))] == [True, True, False, False, *[True] * 4]
    assert await forget(database, before=NOW, now=NOW) == 2
    await care.sweep()
    assert sorted(path for path in failed.iterdir()) == sorted(others)


def worked_on(tmp_path: Path, recording_id: str, key: str) -> Path:
    """The working folder of a recording whose file is converted, and perhaps stored."""
    folder = working_folder(tmp_path) / recording_id
    made = folder / "x.ogg"
    a_file(made)
    result = ConvertedFile(made, "opus", "audio/ogg", NOW, NOW, 1, "0" * 64, 1, 0)
    a_file(folder / "result.json", msgspec.json.encode(FileToStore(result, key), enc_hook=str))
    return folder


async def test_what_was_stored_for_a_recording_that_is_gone_is_deleted(
    care: MjrCare, secs: Clock[float], store: LocalStore, tmp_path: Path
) -> None:
    """The worker was killed after storing and before the row, and then the recording was deleted."""
    recording_id = "1ccc7b54-4df3-4bca-a65a-35a1ecc777f0"
    key = f"recordings/7b61621f-62e0-4aad-ab11-9fd19e272e73/{recording_id}.ogg"
    folder = worked_on(tmp_path, recording_id, key)
    await store.put(folder / "x.ogg", key, "audio/ogg", "")
    await sweep_twice(care, secs)
    assert not folder.exists()
    assert await store.size(key) is None


async def test_what_a_row_keeps_stays(
    care: MjrCare, secs: Clock[float], store: LocalStore, database: Database, tmp_path: Path
) -> None:
    participant = (await database.write(a_recorded_participant)).participant_id
    recording_id = await database.write(partial(a_recording, participant_id=participant, kind="audio"))
    recording = await database.read(lambda tx: tx.execute(recordings.RECORDINGS.select()).one())
    folder = worked_on(tmp_path, recording_id, recording.object_key)
    await store.put(folder / "x.ogg", recording.object_key, "audio/ogg", "")
    await sweep_twice(care, secs)
    assert not folder.exists()
    assert await store.size(recording.object_key) == 1


async def test_work_that_goes_on_stays(care: MjrCare, secs: Clock[float], database: Database, tmp_path: Path) -> None:
    participant = (await database.write(a_recorded_participant)).participant_id
    mjr_name = await database.write(partial(a_stream, participant_id=participant))
    recording_id = await database.read(partial(recording_of, mjr_name=mjr_name, kind="audio"))
    folder = worked_on(tmp_path, recording_id, "recordings/x")
    await sweep_twice(care, secs)
    assert folder.exists()
    shutil.rmtree(folder)


async def test_it_begins_and_ends(care: MjrCare, secs: Clock[float], tmp_path: Path) -> None:
    orphan = a_file(tmp_path / "dumps" / "orphan-audio-0.mjr")
    await care.sweep()
    secs.now += UNTOUCHED_SECS
    await care.start()
    await until(lambda: not orphan.exists())
    await care.stop()


def test_growing_mjr_files_are_on_disk_within_a_second_and_others_are_left_alone(tmp_path: Path) -> None:
    """The system calls of 2.5 seconds have the syncs."""
    program = f"""
import asyncio, pathlib
from portico.worker.recordings.mjr_care import MjrCare
folder = pathlib.Path({str(tmp_path)!r})
mjr_folder = folder / "dumps"
mjr_folder.mkdir()
(mjr_folder / "still-audio-0.mjr.tmp").write_bytes(b"x")
(mjr_folder / "final-audio-0.mjr").write_bytes(b"x")
async def main():
    care = MjrCare(None, None, folder)
    with (mjr_folder / "growing-audio-0.mjr.tmp").open("wb", buffering=0) as growing:
        for _ in range(3):
            growing.write(b"x")
            await care.sync_growing()
asyncio.run(main())
"""
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=fsync", sys.executable, "-c", program]
    subprocess.run(command, check=True)
    synced = [line.partition("<")[2].partition(">")[0] for line in trace.read_text().splitlines() if "fsync(" in line]
    assert sorted(Path(each).name for each in synced) == ["growing-audio-0.mjr.tmp"] * 3 + ["still-audio-0.mjr.tmp"]
