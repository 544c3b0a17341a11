"""The job that makes one composition and stores its file."""

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import structlog

from portico.composer.plan import Preset
from portico.core import object_keys
from portico.core.errors import NotFound
from portico.core.model import file_name_of
from portico.db.engine import Database
from portico.runtime.child_messages import ComposedFile
from portico.services import compositions
from portico.services.composition_sources import Work
from portico.services.compositions import CompositionFile, Shared
from portico.services.rows import Job
from portico.storage.store import StorageUnavailable, Store
from portico.worker.compositions import composer_process, planning
from portico.worker.runner import JobFailed, JobKind, NotYet

log = structlog.get_logger()

LOOK_AGAIN = timedelta(seconds=30)
"""The end of a session or a recording wakes the job at once; this is the fallback."""
SHARE_AGAIN = timedelta(seconds=1)
"""The pause before a composition is made after all: the identical one, whose file it was to share, was deleted."""
PROGRESS_SECS = 1.0
"""The pause between writes of the progress to the database."""


class _Deleted(Exception):
    """The composition was deleted while it was made."""


class Compose:
    """Makes and stores one composition. Killed at any line, the job runs again and uses the parts that are finished."""

    def __init__(
        self,
        db: Database,
        store: Store,
        data_dir: Path,
        *,
        clock: Callable[[], datetime],
        preset: Preset,
        least_free_bytes: int = 0,
    ) -> None:
        self._db = db
        self._store = store
        self._data_dir = data_dir
        self._folder = data_dir / "work" / "compositions"
        self._clock = clock
        self._preset = preset
        self._least_free = least_free_bytes

    def kind(self, at_once: int) -> JobKind:
        """What the job runner needs to know, with how many jobs run at the same time."""
        return JobKind(self.run, self.give_up, at_once, in_turn=True)

    async def run(self, job: Job) -> None:
        """Run one job, whose subject is the composition's id."""
        await self.sweep()
        try:
            work = await self._db.write(partial(compositions.begin, composition_id=job.subject, now=self._clock()))
        except NotFound:
            await asyncio.to_thread(self._clear, job.subject)
            return
        if work is None:
            raise NotYet("The session, a recording of it or an identical composition is not finished.", LOOK_AGAIN)
        if isinstance(work, Shared):
            await self._share(job.subject, work)
            return
        during = planning.interval(work)
        if during is None:
            await self._fail(job.subject, "Nothing of this session was recorded.")
            return
        try:
            made = await self._make(work)
            key = object_keys.composition_key(job.subject)
            file = CompositionFile(made.size_bytes, made.sha256, key, *during)
            await self._keep(job.subject, file, self._folder / job.subject / "composition.mp4")
        except _Deleted:
            return
        finally:
            # If the composition was deleted, nothing may stay on the disk. If the server stops, finished parts stay.
            await asyncio.shield(asyncio.create_task(self.sweep()))

    async def give_up(self, job: Job, reason: str) -> None:
        """Mark the composition as failed, with the reason."""
        await self._fail(job.subject, reason)

    async def _make(self, work: Work) -> ComposedFile:
        began = time.monotonic()
        folder = self._folder / work.composition_id
        files = await self._fetch(work, folder)
        await self._expect_free_space()
        # In a thread: many participants who switched their cameras often take seconds.
        plan = await asyncio.to_thread(planning.make, work, files, self._preset)
        await asyncio.to_thread(_write, folder / "plan.json", msgspec.json.encode(plan))
        log.info(
            "composing", composition_id=work.composition_id, sources=len(work.sources), secs=plan.duration_ms / 1e3
        )
        written = 0.0

        async def on_progress(progress: float) -> None:
            nonlocal written
            if time.monotonic() - written < PROGRESS_SECS:
                return
            written = time.monotonic()
            await self._expect_free_space()
            write = partial(compositions.set_progress, progress=progress, now=self._clock())
            if not await self._db.write(partial(write, composition_id=work.composition_id)):
                raise _Deleted

        composed = await composer_process.compose(
            folder / "plan.json",
            folder / "composition.mp4",
            folder / "parts",
            on_progress,
            sources=list(files.values()),
            data_dir=self._data_dir,
        )
        if composed.left_out:
            log.warning("recordings left out", composition_id=work.composition_id, recordings=composed.left_out)
        took = round(time.monotonic() - began, 3)
        log.info("composed", composition_id=work.composition_id, seconds=took, bytes=composed.size_bytes)
        return composed

    async def _fetch(self, work: Work, folder: Path) -> dict[str, Path]:
        """The path of each source's file, by recording id: in the local store, or a copy from a remote one."""
        copies = folder / "sources"
        await asyncio.to_thread(copies.mkdir, parents=True, exist_ok=True)
        files = {}
        for source in work.sources:
            path = self._store.local_path(source.object_key)
            if path is None:
                await self._expect_free_space()
                path = copies / f"{source.id}{Path(source.object_key).suffix}"
                try:
                    await self._store.fetch(source.object_key, path)
                except FileNotFoundError as error:
                    raise JobFailed(f"The file of a recording is missing: {path.name}.") from error
            files[source.id] = path
        return files

    async def _expect_free_space(self) -> None:
        """Raise StorageUnavailable, which delays the job, if the disk is nearly full: calls come first."""
        free = (await asyncio.to_thread(shutil.disk_usage, self._folder)).free
        if free < self._least_free:
            raise StorageUnavailable(f"The disk is nearly full: {free // 1_000_000} MB are free.")

    async def _share(self, composition_id: str, shared: Shared) -> None:
        """Complete this composition with a copy of the file of an identical one."""
        if shared.file is None:
            await self._fail(composition_id, shared.failure)
            return
        path = self._store.local_path(shared.file.object_key)
        try:
            if path is None:
                path = self._folder / composition_id / "composition.mp4"
                await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
                await self._expect_free_space()
                await self._store.fetch(shared.file.object_key, path)
            key = object_keys.composition_key(composition_id)
            await self._keep(composition_id, replace(shared.file, object_key=key), path)
        except FileNotFoundError as error:
            raise NotYet("The identical composition was deleted.", SHARE_AGAIN) from error
        log.info("composition shared", composition_id=composition_id)

    async def _keep(self, composition_id: str, file: CompositionFile, path: Path) -> None:
        now, key = self._clock(), file.object_key
        name = file_name_of("composition", file.started_at, None, composition_id, key)
        await self._store.put(path, key, object_keys.content_type(key), file.sha256, filename=name)

        # Before the transaction: a store may have to request credentials, and all writers would wait for it.
        link = await asyncio.to_thread(self._store.link, key, name, object_keys.content_type(key), now=now)
        complete = partial(
            compositions.complete, composition_id=composition_id, file=file, link=lambda *_: link, now=now
        )
        if await self._db.write(complete):
            log.info("composition completed", composition_id=composition_id, bytes=file.size_bytes)
        elif not await self._db.read(partial(compositions.is_completed, composition_id=composition_id)):
            await self._store.delete(key)  # the composition was deleted meanwhile
        await asyncio.to_thread(self._clear, composition_id)

    async def _fail(self, composition_id: str, reason: str) -> None:
        fail = partial(compositions.fail, composition_id=composition_id, failure=reason, now=self._clock())
        if await self._db.write(fail):
            log.error("composition failed", composition_id=composition_id, why=reason)
        await asyncio.to_thread(self._clear, composition_id)

    async def sweep(self) -> None:
        """Delete the working folders of compositions that are finished or deleted."""
        names = await asyncio.to_thread(_names, self._folder)
        unfinished = await self._db.read(compositions.unfinished)
        for name in names - unfinished:
            await asyncio.to_thread(self._clear, name)

    def _clear(self, composition_id: str) -> None:
        shutil.rmtree(self._folder / composition_id, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()} if folder.exists() else set()
