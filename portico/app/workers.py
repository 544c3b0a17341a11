"""Builds the store and its links, and runs the workers that convert recordings and make compositions."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from portico.app.roles import Roles
from portico.config.settings import Settings
from portico.core import object_keys
from portico.core.errors import Busy
from portico.db.engine import Database
from portico.janus.mjr_folder import open_mjr_folder
from portico.services import files, jobs
from portico.services.files import LinkKeys
from portico.storage.open import open_store
from portico.storage.store import S3Access, StorageUnavailable, Store
from portico.worker import delete_object
from portico.worker.compositions.compose import Compose
from portico.worker.disk_watch import DiskWatch
from portico.worker.recordings.convert import ConvertRecording
from portico.worker.recordings.lost import LostRecordings
from portico.worker.recordings.mjr_care import MjrCare
from portico.worker.recordings.mjr_dates import MjrDates
from portico.worker.retention import Retention
from portico.worker.runner import JobKind, Jobs

CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Storage:
    """The store of finished files, and the keys that sign links to files on this machine."""

    store: Store
    link_keys: LinkKeys
    clock: Callable[[], datetime]

    def link(self, key: str, filename: str) -> str:
        """Make a URL that admits to the object for an hour. Raises Busy if the store does not sign it in time.

        It may take as long as the store needs for credentials: 2 s at most.
        """
        try:
            return self.store.link(key, filename, object_keys.content_type(key), now=self.clock())
        except StorageUnavailable as error:
            raise Busy("The store of files does not answer; try again in a moment.") from error


class _Service(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


async def open_storage(settings: Settings, db: Database, clock: Callable[[], datetime]) -> Storage:
    """The store that the settings name, with its link keys, which are made at the first start."""
    link_keys = await db.write(partial(files.load_link_keys, now=clock()))
    return Storage(store_of(settings, link_keys.current), link_keys, clock)


def store_of(settings: Settings, secret: Callable[[], bytes]) -> Store:
    """The store that the settings name; `secret` returns the key that signs links to local files."""
    access = S3Access(
        settings.s3_endpoint,
        settings.s3_public_endpoint,
        settings.s3_region,
        settings.s3_access_key_id,
        settings.s3_secret_access_key,
        settings.s3_virtual_hosted,
        settings.s3_proxy,
    )
    return open_store(settings.storage_url, settings.data_dir, secret=secret, base_url=settings.base_url, s3=access)


@asynccontextmanager
async def run_workers(
    settings: Settings, db: Database, storage: Storage, on_disk_low: Callable[[bool], Awaitable[None]], roles: Roles
) -> AsyncIterator[Jobs]:
    """Run the workers of these roles while the block runs; they are stopped in the opposite order of their start."""
    clock, store, folder = storage.clock, storage.store, settings.data_dir
    least_free = settings.recording_min_free_mb * 1_000_000
    mjr_folder = open_mjr_folder(folder)
    kinds: dict[str, JobKind] = {}
    services: list[_Service] = []
    if "media" in roles:
        # On SQLite the clock of the program is that of this machine.
        dates = None if settings.sqlite_file is not None else MjrDates(clock)
        converter = ConvertRecording(db, store, folder, clock=clock, dates=dates)
        care = MjrCare(db, store, folder, dates=dates)
        kinds[jobs.convert_recording_at(f"{mjr_folder.node_id}_")] = converter.kind(CORES)
        services = [DiskWatch(mjr_folder.path, on_disk_low, least_free_bytes=least_free), care]
    if "worker" in roles:
        composer = Compose(
            db, store, folder, clock=clock, preset=settings.composition_quality, least_free_bytes=least_free
        )
        await composer.sweep()
        kinds[jobs.COMPOSE] = composer.kind(settings.compositions_at_once or CORES)
        kinds[jobs.DELETE_OBJECT] = delete_object.kind(db, store)
    runner = Jobs(db, kinds, clock=clock)
    services.append(runner)
    if "worker" in roles:
        days, history = timedelta(days=settings.recording_days), timedelta(days=settings.history_days)
        services.append(LostRecordings(db, after=timedelta(hours=settings.lost_recording_hours), clock=clock))
        services.append(Retention(db, keep_for=days, history_for=history, clock=clock))
    async with AsyncExitStack() as running:
        for service in services:
            await service.start()
            running.push_async_callback(service.stop)
        yield runner
