"""The job that converts the mjr file of one track, stores the media file, and completes the recording."""

import asyncio
import errno
import glob
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import structlog

from portico.core import object_keys
from portico.core.model import Recording
from portico.db.engine import Database
from portico.janus.mjr_folder import FOLDER_NAME
from portico.runtime import durable
from portico.runtime.child_messages import ConvertedFile, parse_line
from portico.services import files, recordings
from portico.services.recordings import ConversionOutcome
from portico.services.rows import Job, RecordingRow
from portico.storage.store import StorageUnavailable, Store
from portico.worker.recordings import converter_process
from portico.worker.recordings.converter_process import ConversionFailed, NothingRecorded
from portico.worker.recordings.mjr_dates import MjrDates
from portico.worker.runner import JobKind, NotYet, is_last_try

log = structlog.get_logger()

FINAL_WITHIN = timedelta(seconds=10)
"""How long this process waits for a file's final name, which Janus gives it soon after the end of its track. Then the
file with its temporary name is converted."""
LOOK_AGAIN = timedelta(seconds=0.5)
MISSING_MAX = 10_000
"""Recordings whose final file is missing that are remembered; beyond it, the wait for the oldest begins anew."""
SHOWN_EARLIER_MS = 500
"""Browsers send a camera's first picture, a keyframe, before they report that it is on: up to this much is kept."""
CONTAINER_BYTES = 1_000_000
"""The most bytes that a converted file has more than its mjr file."""
FULL = (errno.ENOSPC, errno.EDQUOT)
RESULT = "result.json"
"""The name of the file with a `FileToStore`, in a recording's working folder."""


class FileToStore(msgspec.Struct, frozen=True):
    """A converted file that is complete on the disk, and the key that it gets in the store."""

    result: ConvertedFile
    object_key: str


class ConvertRecording:
    """Converts and stores one track. Killed at any line, the job runs again with the same outcome.

    The mjr file is deleted only after the store has confirmed the converted file.
    """

    def __init__(
        self,
        db: Database,
        store: Store,
        data_dir: Path,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        dates: MjrDates | None = None,
    ) -> None:
        """Without `dates`, mjr files are dated by the clock of the program."""
        self._db = db
        self._store = store
        self._data_dir = data_dir
        self._dates = dates
        self._mjr_folder = data_dir / FOLDER_NAME
        self._failed = failed_folder(self._mjr_folder)
        self._work = working_folder(data_dir)
        self._clock = clock
        self._monotonic = monotonic
        self._missing_since: dict[str, float] = {}
        """By recording id: since when its final file has been looked for, in seconds of `monotonic`."""
        self._needed: dict[str, int] = {}
        """By recording id: bytes of disk that each running conversion needs, in the order in which they began."""

    def kind(self, at_once: int) -> JobKind:
        """What the job runner needs to know, with how many jobs run at the same time."""
        return JobKind(self.run, self.give_up, at_once)

    async def run(self, job: Job) -> None:
        """Run one job, whose subject is the recording's id."""
        recording = await self._to_convert(job.subject)
        if recording is None:
            return
        mjr = await asyncio.to_thread(self._find, recording)
        try:
            made = await self._make(recording, mjr, salvage=is_last_try(job))
        except NothingRecorded as nothing:
            await self._complete_without(recording, str(nothing))
            return
        await self._keep(recording, made)
        await self._complete(recording, made)

    async def give_up(self, job: Job, reason: str) -> None:
        """Complete the recording without a file. Its mjr file moves to the folder `failed`, for the operator."""
        recording = await self._to_convert(job.subject)
        if recording is not None:
            await self._complete_without(recording, reason)

    async def _to_convert(self, recording_id: str) -> RecordingRow | None:
        """The recording; None if it is deleted, completed, or had no media: then its files on disk are deleted.

        Raises NotYet if the track is still published.
        """
        recording = await self._db.read(partial(recordings.find, recording_id=recording_id))
        if recording is None:
            self._missing_since.pop(recording_id, None)
            return None  # its files are unknown here; MjrCare deletes them
        if recording.status == recordings.COMPLETED:
            await asyncio.to_thread(self._clear, recording)
            return None
        if recording.ended_at is None:
            raise NotYet("The track is still published.", FINAL_WITHIN)
        if recording.started_at is not None:
            return recording
        if await self._db.write(partial(recordings.discard, recording_id=recording_id)):
            log.info("recording had no media", recording_id=recording_id, type=recording.type)
            await asyncio.to_thread(self._clear, recording)
            return None
        return await self._db.read(partial(recordings.find, recording_id=recording_id))

    def _find(self, recording: RecordingRow) -> Path:
        """The recording's mjr file. Raises NotYet if Janus may still write it, ConversionFailed if there is none."""
        found = _mjr_files(self._mjr_folder, recording, ".mjr")
        if not found:
            if self._looked_for(recording.id) < FINAL_WITHIN:
                raise NotYet("The media server still writes the file.", LOOK_AGAIN)
            found = _mjr_files(self._mjr_folder, recording, ".mjr.tmp") or _mjr_files(self._failed, recording, "")
            if not found:
                raise ConversionFailed("The media server left no file.")
            log.warning("recording is salvaged", recording_id=recording.id, mjr=found[0].name)
        if others := found[1:]:  # a track has one file; if Janus ever writes another, it is kept for the operator
            log.error("recording has several mjr files", recording_id=recording.id, kept_aside=[o.name for o in others])
            self._put_aside(others)
        return found[0]

    def _looked_for(self, recording_id: str) -> timedelta:
        """How long this process has looked for the recording's final file, whatever the wall clock did meanwhile."""
        now = self._monotonic()
        since = self._missing_since.setdefault(recording_id, now)
        if len(self._missing_since) > MISSING_MAX:
            del self._missing_since[next(iter(self._missing_since))]
        return timedelta(seconds=now - since)

    async def _make(self, recording: RecordingRow, mjr: Path, *, salvage: bool) -> FileToStore:
        """The converted file, from an earlier try if that failed only at the store."""
        folder = self._work / recording.id
        made = await asyncio.to_thread(read_file_to_store, folder)
        if made is not None:
            return made
        began = time.monotonic()
        self._needed[recording.id] = await asyncio.to_thread(_size, mjr) + CONTAINER_BYTES
        try:
            made = await self._convert(recording, mjr, folder, salvage=salvage)
        except OSError as error:
            if error.errno in FULL:
                raise StorageUnavailable(f"{folder.parent} cannot be used: {error.strerror}.") from error
            raise
        finally:
            self._needed.pop(recording.id, None)
        result = made.result
        _log_step("recording converted", recording, began, result.size_bytes, packets=result.packets, lost=result.lost)
        return made

    async def _convert(self, recording: RecordingRow, mjr: Path, folder: Path, *, salvage: bool) -> FileToStore:
        # Conversions that began earlier need disk space too: the later one waits, not both.
        before = list(self._needed).index(recording.id) + 1
        await asyncio.to_thread(_make_room, folder, sum(list(self._needed.values())[:before]))
        earlier_ms = SHOWN_EARLIER_MS if recording.type == recordings.VIDEO else 0
        began_ms = recording.shown[0][0] if recording.shown else None
        ahead = timedelta(0) if self._dates is None else self._dates.ahead(_final_name(mjr))
        ahead_ms = round(ahead / timedelta(milliseconds=1))
        shown_from = None if began_ms is None else began_ms - earlier_ms + ahead_ms
        result = await converter_process.convert(
            mjr, folder, not_before_ms=shown_from, salvage=salvage, data_dir=self._data_dir
        )
        if ahead:
            result = replace(result, started_at=result.started_at - ahead, ended_at=result.ended_at - ahead)
        made = FileToStore(
            result, object_keys.recording_key(recording.session_id, recording.id, result.path.suffix[1:])
        )
        await asyncio.to_thread(_write_file_to_store, folder, made)
        return made

    async def _keep(self, recording: RecordingRow, made: FileToStore) -> None:
        began = time.monotonic()
        result = made.result
        name = _file_name(recording, made.object_key, result.started_at)
        await self._store.put(result.path, made.object_key, result.content_type, result.sha256, filename=name)
        _log_step("recording stored", recording, began, result.size_bytes)

    async def _complete(self, recording: RecordingRow, made: FileToStore) -> None:
        result, now = made.result, self._clock()
        outcome = ConversionOutcome(
            codec=result.codec,
            size_bytes=result.size_bytes,
            sha256=result.sha256,
            object_key=made.object_key,
            started_at=result.started_at,
            ended_at=result.ended_at,
            failure=result.complaint,
        )
        if not await self._save(recording, outcome, now) and not await self._is_kept(made.object_key):
            await self._store.delete(made.object_key)  # the recording was deleted meanwhile
        await asyncio.to_thread(self._clear, recording)

    async def _complete_without(self, recording: RecordingRow, reason: str) -> None:
        # Moved before the row is completed: afterwards MjrCare deletes mjr files that no unfinished recording needs.
        await asyncio.to_thread(self._put_aside, _mjr_files(self._mjr_folder, recording, ""))
        assert recording.started_at is not None and recording.ended_at is not None
        outcome = ConversionOutcome(
            codec=None,
            size_bytes=0,
            sha256=None,
            object_key=None,
            started_at=recording.started_at,
            ended_at=recording.ended_at,
            failure=reason,
        )
        await self._save(recording, outcome, self._clock())
        self._missing_since.pop(recording.id, None)
        folder = self._work / recording.id
        # Otherwise the file may be in the store already: then MjrCare deletes it there and the folder here.
        if await asyncio.to_thread(read_file_to_store, folder) is None:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        log.error("recording has no file", recording_id=recording.id, why=reason, mjr_folder=str(self._failed))

    async def _save(self, recording: RecordingRow, outcome: ConversionOutcome, now: datetime) -> bool:
        """Complete the recording's row; False if it was deleted, or completed before."""
        link = await asyncio.to_thread(self._link, recording, outcome, now)
        complete = partial(
            recordings.complete, recording_id=recording.id, outcome=outcome, link=lambda *_: link, now=now
        )
        saved = await self._db.write(complete)
        if saved:
            assert recording.ended_at is not None
            waited = (now - recording.ended_at).total_seconds()
            log.info(
                "recording completed",
                recording_id=recording.id,
                session_id=recording.session_id,
                bytes=outcome.size_bytes,
                after_end_secs=round(waited, 3),
            )
        return saved

    def _link(self, recording: RecordingRow, outcome: ConversionOutcome, now: datetime) -> str:
        """The download URL for the event; empty without a file.

        Made before the transaction: a store may have to request credentials, and all writers would wait for it.
        """
        key = outcome.object_key
        if key is None:
            return ""
        name = _file_name(recording, key, outcome.started_at)
        return self._store.link(key, name, object_keys.content_type(key), now=now)

    async def _is_kept(self, key: str) -> bool:
        return await self._db.read(partial(files.is_kept, object_key=key))

    def _clear(self, recording: RecordingRow) -> None:
        """Delete the mjr files and the working folder of a recording."""
        self._missing_since.pop(recording.id, None)
        for path in _mjr_files(self._mjr_folder, recording, ""):
            path.unlink(missing_ok=True)
            if self._dates is not None:
                self._dates.forget(_final_name(path))
        shutil.rmtree(self._work / recording.id, ignore_errors=True)

    def _put_aside(self, mjr_files: Iterable[Path]) -> None:
        self._failed.mkdir(parents=True, exist_ok=True)
        for path in mjr_files:
            path.replace(self._failed / path.name)
        durable.sync(self._failed)
        durable.sync(self._mjr_folder)


def working_folder(data_dir: Path) -> Path:
    """The folder with one working folder per recording, where files are until they are stored."""
    return data_dir / "work" / "recordings"


def failed_folder(mjr_folder: Path) -> Path:
    """The folder of mjr files that could not be converted; they are deleted with their recordings."""
    return mjr_folder / "failed"


def read_file_to_store(folder: Path) -> FileToStore | None:
    """The converted file that an earlier try left in a recording's working folder; None if it did not finish."""
    try:
        made = parse_line((folder / RESULT).read_bytes(), FileToStore)
        whole = made.result.path.stat().st_size == made.result.size_bytes
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return made if whole else None


def _write_file_to_store(folder: Path, made: FileToStore) -> None:
    """Write RESULT. The converter has flushed the converted file itself."""
    durable.write(folder / RESULT, msgspec.json.encode(made, enc_hook=str))


def _make_room(folder: Path, needed: int) -> None:
    """Make the folder, empty. Raises StorageUnavailable if the disk has less than `needed` bytes left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageUnavailable(
            f"{folder.parent} has {free} bytes left, and {needed} are needed to convert recordings."
        )


def _final_name(mjr: Path) -> str:
    """The name that Janus gives the file when it is complete."""
    return mjr.name.removesuffix(".tmp")


def _mjr_files(folder: Path, recording: RecordingRow, ending: str) -> list[Path]:
    """The mjr files of this track with this ending (".mjr", ".mjr.tmp" or "" for both), the largest first."""
    pattern = f"{glob.escape(recording.mjr_name)}-{recording.type}-[0-9]*.mjr"
    found = [path for path in folder.glob(f"{pattern}*") if path.name.endswith(ending or (".mjr", ".mjr.tmp"))]
    return sorted(found, key=_size, reverse=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # Janus has just renamed it


def _file_name(recording: RecordingRow, object_key: str, started_at: datetime) -> str:
    members = {name: getattr(recording, name) for name in Recording.__dataclass_fields__}
    return Recording(**members | {"object_key": object_key, "started_at": started_at}).file_name


def _log_step(event: str, recording: RecordingRow, began: float, size: int, **more: int) -> None:
    log.info(event, recording_id=recording.id, seconds=round(time.monotonic() - began, 3), bytes=size, **more)
