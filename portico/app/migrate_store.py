"""Copies an installation to a PostgreSQL database, and its files to another store. It may be run again at any time."""

import asyncio
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from portico.core import object_keys
from portico.db.engine import Database
from portico.services import copying
from portico.services.copying import CopiedTable, Digest, StoredFile
from portico.storage.store import Store

SHOW_SECS = 2.0
"""The pause between two lines of progress about one table."""
Show = Callable[[str], None]


class NotCopied(Exception):
    """The copy is refused, or differs from the source; str() is a sentence that says why."""


async def copy_rows(source: Database, target: Database, show: Show) -> None:
    """Copy all rows, and compare counts and checksums. Raises NotCopied; the copied rows stay for the next run."""
    if await source.read(copying.is_served):
        raise NotCopied("A server uses the database that is to be copied: stop it first.")
    if await target.read(copying.is_served):
        raise NotCopied("A server uses the target database: stop it first.")
    for table in copying.tables():
        if number := await _unknown_rows(source, target, table):
            sentence = f"The target database holds other data: {number} rows of {table.name} are not in the source."
            raise NotCopied(f"{sentence} Name an empty database.")
    digests = {table.name: await _copy_table(source, target, table, show) for table in copying.tables()}
    await target.write(partial(copying.go_on_numbering, highest=await source.read(copying.numbering)))
    for table in copying.tables():
        expected, found = digests[table.name], await _digest(target, table)
        if found != expected:
            raise NotCopied(f"{table.name} differs: {found.rows} rows in the target, {expected.rows} in the source.")
    show(f"{sum(digest.rows for digest in digests.values())} rows of {len(digests)} tables are copied and compared")


async def copy_files(db: Database, source: Store, target: Store, folder: Path, show: Show) -> None:
    """Copy the files of all rows that are not in the target yet, each checked by its row's size and SHA-256.

    `folder` holds temporary copies. Raises NotCopied when files are missing or damaged; the others
    are copied.
    """
    files = await db.read(copying.stored_files)
    faults, copied, shown_at = [], 0, time.monotonic()
    for number, file in enumerate(files, start=1):
        if await target.size(file.key) != file.size_bytes:
            if fault := await _copy_file(source, target, file, folder):
                faults.append(fault)
            else:
                copied += 1
        if number == len(files) or time.monotonic() - shown_at > SHOW_SECS:
            show(f"files: {number} of {len(files)}, {copied} of them copied now")
            shown_at = time.monotonic()
    if faults:
        raise NotCopied(f"{len(faults)} files are not copied: {'; '.join(faults[:5])}.")


async def _unknown_rows(source: Database, target: Database, table: CopiedTable) -> int:
    """Count rows of the target that are not in the source, up to the first batch that has some."""
    after = None
    while rows := await target.read(partial(copying.read, table=table, after=after)):
        if number := await source.read(partial(copying.unknown_rows, table=table, rows=rows)):
            return number
        after = copying.key_of(table, rows[-1])
    return 0


async def _copy_table(source: Database, target: Database, table: CopiedTable, show: Show) -> Digest:
    in_all, digest, after, shown_at = await source.read(partial(copying.count, table=table)), Digest(), None, 0.0
    while rows := await source.read(partial(copying.read, table=table, after=after)):
        await target.write(partial(copying.write, table=table, rows=rows))
        digest, after = digest.plus(rows), copying.key_of(table, rows[-1])
        if digest.rows == in_all or time.monotonic() - shown_at > SHOW_SECS:
            show(f"{table.name}: {digest.rows} of {in_all}")
            shown_at = time.monotonic()
    return digest


async def _digest(db: Database, table: CopiedTable) -> Digest:
    digest, after = Digest(), None
    while rows := await db.read(partial(copying.read, table=table, after=after)):
        digest, after = digest.plus(rows), copying.key_of(table, rows[-1])
    return digest


async def _copy_file(source: Store, target: Store, file: StoredFile, folder: Path) -> str | None:
    """Copy one file; None, or a clause that says that it is missing or differs from its row's SHA-256."""
    with tempfile.TemporaryDirectory(prefix="migrate-", dir=folder) as temporary:
        path = Path(temporary) / "file"
        try:
            local = source.local_path(file.key)
            await (source.fetch(file.key, path) if local is None else asyncio.to_thread(shutil.copyfile, local, path))
        except FileNotFoundError:
            return f"{file.key} is missing"
        if await asyncio.to_thread(_sha256, path) != file.sha256:
            return f"{file.key} is damaged"
        await target.put(path, file.key, object_keys.content_type(file.key), file.sha256)
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
