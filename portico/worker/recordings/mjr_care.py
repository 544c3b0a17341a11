"""Syncs mjr files to the disk while they grow, and deletes mjr files and working folders that are not needed."""

import asyncio
import re
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from portico.db.engine import Database
from portico.db.outage import faults_logged
from portico.janus.mjr_folder import FOLDER_NAME
from portico.runtime.durable import sync
from portico.runtime.periodic import Periodic
from portico.services import files, recordings
from portico.storage.store import StorageUnavailable, Store
from portico.worker.recordings.convert import failed_folder, read_file_to_store, working_folder
from portico.worker.recordings.mjr_dates import MjrDates

log = structlog.get_logger()

SYNC_SECS = 1.0
"""Between syncs. A crash of the machine loses what was written since the last one, and what Janus buffers."""
SWEEP_SECS = 60.0
UNTOUCHED_SECS = 60.0
"""A file that this process saw change more recently is kept: its writer may not be finished."""
FAILED_AT_ONCE = 500
"""Names in one query: the folder `failed` may have any number of files."""
_MJR = re.compile(r"(.+)-(audio|video|data)-\d+\.mjr(?:\.tmp)?")


class UnchangedEntries:
    """Remembers since when each entry of a folder has not changed, in seconds of `monotonic`.

    Dates of files are compared for equality only: the clock that they come from may be set in between.
    """

    def __init__(self, folder: Path, monotonic: Callable[[], float]) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._since: dict[Path, tuple[tuple[int, int, int], float]] = {}

    def look(self) -> list[Path]:
        """The entries that had not changed for UNTOUCHED_SECS at each look of that time; none at the first look."""
        now, known = self._monotonic(), self._since
        self._since = {}
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            state = (found.st_ino, found.st_size, found.st_mtime_ns)
            before = known.get(path)
            self._since[path] = before if before is not None and before[0] == state else (state, now)
        return [path for path, (_, since) in self._since.items() if now - since >= UNTOUCHED_SECS]


class MjrCare:
    """One for each folder of mjr files. `monotonic` gives seconds."""

    def __init__(
        self,
        db: Database,
        store: Store,
        data_dir: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        dates: MjrDates | None = None,
    ) -> None:
        self._db = db
        self._dates = dates
        self._store = store
        self._mjr_folder = data_dir / FOLDER_NAME
        self._found = UnchangedEntries(self._mjr_folder, monotonic)
        self._found_failed = UnchangedEntries(failed_folder(self._mjr_folder), monotonic)
        self._found_work = UnchangedEntries(working_folder(data_dir), monotonic)
        self._synced: dict[str, int] = {}
        self._loops = [
            Periodic(self._sync, SYNC_SECS, partial(faults_logged, "syncing mjr files failed")),
            Periodic(self._sweep, SWEEP_SECS, partial(faults_logged, "sweeping mjr files failed")),
        ]

    async def start(self) -> None:
        """Create the folder if it is missing, and begin."""
        await asyncio.to_thread(self._mjr_folder.mkdir, parents=True, exist_ok=True)
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        await asyncio.gather(*(loop.stop() for loop in self._loops))

    async def sync_growing(self) -> int:
        """Sync the mjr files that have grown since the last call; return how many are being written."""
        growing = await asyncio.to_thread(self._sync_growing)
        if self._dates is not None:
            self._dates.note(name.removesuffix(".tmp") for name in growing)
        return len(growing)

    async def sweep(self) -> None:
        """Delete the mjr files and the working folders that no recording needs."""
        names = await asyncio.to_thread(self._found.look)
        needed = await self._db.read(recordings.unfinished_mjr_names) if names else set()
        for path in names:
            match = _MJR.fullmatch(path.name)
            if match is not None and match[1] not in needed:
                log.info("mjr file swept", mjr_name=path.name)
                await asyncio.to_thread(path.unlink, missing_ok=True)
        await self._sweep_failed()
        for folder in await asyncio.to_thread(self._found_work.look):
            if not await self._db.read(partial(recordings.is_unfinished, recording_id=folder.name)):
                await self._sweep_work(folder)

    async def _sweep_failed(self) -> None:
        """Delete files in `failed` whose recordings are deleted, by a request or because they are too old."""
        kept = await asyncio.to_thread(self._found_failed.look)
        tracks = [(path, match[1], match[2]) for path in kept if (match := _MJR.fullmatch(path.name))]
        for begin in range(0, len(tracks), FAILED_AT_ONCE):
            some = tracks[begin : begin + FAILED_AT_ONCE]
            existing = await self._db.read(
                partial(recordings.tracks_of, mjr_names=[mjr_name for _, mjr_name, _ in some])
            )
            for path, mjr_name, kind in some:
                if (mjr_name, kind) not in existing:
                    log.info("mjr file of a deleted recording swept", mjr_name=path.name)
                    await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _sweep_work(self, folder: Path) -> None:
        """Delete a working folder that a killed or stopped worker left, and its file in the store if no row has it."""
        made = await asyncio.to_thread(read_file_to_store, folder)
        if made is not None and not await self._db.read(partial(files.is_kept, object_key=made.object_key)):
            await self._store.delete(made.object_key)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _sync_growing(self) -> list[str]:
        sizes = {}
        for path in self._mjr_folder.glob("*.mjr.tmp"):
            try:
                sizes[path.name] = path.stat().st_size
                if sizes[path.name] != self._synced.get(path.name):
                    sync(path)
            except FileNotFoundError:
                continue  # Janus has just given it its final name
        self._synced = sizes
        return list(sizes)

    async def _sync(self) -> None:
        try:
            await self.sync_growing()
        except OSError as error:
            log.error("mjr files could not be synced to the disk", why=str(error))

    async def _sweep(self) -> None:
        try:
            await self.sweep()
        except StorageUnavailable as error:
            log.warning("sweeping mjr files waits", why=str(error))
