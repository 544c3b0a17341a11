"""Examines the store of finished files: writes, reads and deletes an object of its own."""

import asyncio
import hashlib
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from portico.app.workers import store_of
from portico.config.settings import Settings
from portico.doctor.finding import Finding, note, ok, problem, warning
from portico.doctor.subject import Subject
from portico.storage.store import StorageUnavailable, Store

AREA = "storage"
SLOW_SECS, ROUND_SECS = 1.0, 4.0


async def check(subject: Subject) -> list[Finding]:
    """Try the store. A local folder is tried only by the server's user, so that no file of another user is left."""
    settings = subject.settings
    where = settings.storage_url or str(settings.data_dir.absolute() / "files")
    if settings.storage_url is None and not settings.data_dir.exists():
        return [note(AREA, f"{where} is made at the first start.")]
    if settings.storage_url is None and subject.data_dir_owner is not None:
        return [note(AREA, f"{where} was not tried: it belongs to another user.")]
    store = store_of(settings, lambda: bytes(32))  # makes no links: any key will do
    if (reason := await store.check()) is not None:
        return [problem(AREA, reason, _remedy(settings))]
    began = time.monotonic()
    try:
        async with asyncio.timeout(ROUND_SECS):
            await _round(store)
    except TimeoutError:
        return [problem(AREA, f"{where} did not keep and return an object within {ROUND_SECS:g} s.", _remedy(settings))]
    except StorageUnavailable as error:
        return [problem(AREA, f"{str(error).rstrip('.')}.", _remedy(settings))]
    return [judge(where, time.monotonic() - began)]


def judge(where: str, secs: float) -> Finding:
    """The finding for a store that did all that was asked of it."""
    text = f"{where} keeps, returns and deletes objects ({secs * 1000:.0f} ms together)."
    if secs >= SLOW_SECS:
        return warning(AREA, text, "Choose a store that is nearer: recordings arrive late and links take long.")
    return ok(AREA, text)


async def _round(store: Store) -> None:
    """Put, fetch and delete one small object. Raises StorageUnavailable when any of it fails."""
    content = f"Written by portico doctor: {uuid4()}\n".encode()
    key = f"doctor/{uuid4()}.txt"
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given", Path(folder) / "found"
        given.write_bytes(content)
        await store.put(given, key, "text/plain", hashlib.sha256(content).hexdigest())
        try:
            await store.fetch(key, found)
            if found.read_bytes() != content:
                raise StorageUnavailable("The store returns another content than it was given.")
        except OSError as error:
            raise StorageUnavailable(f"The store does not return what it was given: {error}.") from error
        finally:
            await store.delete(key)
    if await store.size(key) is not None:
        raise StorageUnavailable("The store does not delete what it is asked to delete.")


def _remedy(settings: Settings) -> str:
    if settings.storage_url is None:
        return "Give the server's user the right to write there."
    return "Check PORTICO_STORAGE_URL, PORTICO_S3_ENDPOINT and the keys; they must permit put, get and delete."
