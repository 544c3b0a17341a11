"""What commands open of the installation that the settings name: its database, store and webhook keys."""

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO, TypeVar

from portico.cli.terminal import CommandRefused, make_private
from portico.config.settings import Settings, load

if TYPE_CHECKING:  # all of these are slow to import
    from portico.app.workers import Storage
    from portico.db.engine import Database, Transaction
    from portico.services.webhook_keys import WebhookKeys

T = TypeVar("T")


def with_database(use: "Callable[[Database], Awaitable[T]]", *, create: bool = False) -> T:
    """The result of `use`, called with the migrated database; works beside a running server.

    CommandRefused where there is no SQLite file yet, unless `create`.
    """
    from portico.db.connect import open_database
    from portico.db.migrate import upgrade

    settings = load()
    if create:
        make_private(settings.data_dir)
    elif settings.sqlite_file is not None and not settings.sqlite_file.exists():
        raise CommandRefused(
            f"There is no {settings.sqlite_file}: start `portico serve` once, or set PORTICO_DATA_DIR."
        )

    async def run() -> T:
        db = open_database(settings.database)
        try:
            upgrade(db.engine)
            return await use(db)
        finally:
            await db.close()

    return asyncio.run(run())


async def webhook_keys(db: "Database") -> "WebhookKeys":
    """The keys that sign webhooks now, which are made if the server was never started."""
    from portico.services import clock, webhook_keys

    settings = load()

    def read(tx: "Transaction") -> "WebhookKeys":
        given, folder = settings.webhook_private_key, settings.data_dir
        return webhook_keys.load(tx, setting=given, folder=folder, now=clock.now(tx))

    return await db.write(read)


async def storage(db: "Database") -> "Storage":
    """The store, which makes the same links as a server with the same settings."""
    from portico.app.workers import open_storage
    from portico.services import clock

    ahead = await db.read(clock.now) - datetime.now(UTC)
    return await open_storage(load(), db, lambda: datetime.now(UTC) + ahead)


def lock_data_dir(settings: Settings) -> TextIO:
    """Make the data directory private, and lock the SQLite file: two servers on it would close each other's calls."""
    locked = settings.sqlite_file or settings.data_dir / "portico"
    make_private(settings.data_dir)
    try:
        lock = locked.with_name(f"{locked.name}.lock").open("a+")
    except OSError as error:
        raise CommandRefused(
            f"{error.filename} cannot be used: {error.strerror}. Choose another PORTICO_DATA_DIR."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandRefused(
            f"Another portico (process {_holder(lock)}) uses {settings.data_dir}: "
            "stop it, or choose another PORTICO_DATA_DIR."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _holder(lock: TextIO) -> str:
    lock.seek(0)
    return lock.read().strip() or "unknown"
