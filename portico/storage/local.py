"""Finished files in a folder of this machine, the default."""

import asyncio
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from portico.core import links
from portico.runtime.durable import sync
from portico.storage.store import CHECK_SECS, StorageUnavailable

COPY_BYTES = 1 << 20
CHECK_AGAIN_SECS = 10.0
"""How long a successful check of the folder is reused, so that frequent checks do not write often."""
# The file systems differ, or this one has no hard links.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EACCES}


class LocalStore:
    """A folder. Each file appears whole and on disk, or not at all."""

    def __init__(self, folder: Path, secret: bytes | Callable[[], bytes], base_url: str) -> None:
        self._folder = folder.absolute()
        self._secret = secret if callable(secret) else lambda: secret
        self._base_url = base_url
        self._good_until = 0.0

    async def put(self, path: Path, key: str, content_type: str, sha256: str, *, filename: str | None = None) -> None:
        """See Store.put. On the same file system the object is a second name (hard link) of the file, not a copy."""
        source_size = (
            await asyncio.to_thread(path.stat)
        ).st_size  # an error of the source file is not one of the store
        try:
            await asyncio.to_thread(_put, path, self._path(key), self._folder, sha256)
            kept = await self.size(key)
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        if kept != source_size:
            raise StorageUnavailable(f"{key} has {kept} bytes in the store instead of {source_size}.")

    async def size(self, key: str) -> int | None:
        try:
            return (await asyncio.to_thread(self._path(key).stat)).st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(self._folder, error) from error

    async def delete(self, key: str) -> None:
        try:
            await asyncio.to_thread(_delete, self._path(key), self._folder)
        except OSError as error:
            raise _unavailable(self._folder, error) from error

    async def fetch(self, key: str, path: Path) -> None:
        await asyncio.to_thread(shutil.copyfile, self._path(key), path)

    def local_path(self, key: str) -> Path | None:
        return self._path(key)

    def link(self, key: str, filename: str, content_type: str, *, now: datetime) -> str:
        return links.sign(self._secret(), self._base_url, key, filename, now=now)

    async def check(self) -> str | None:
        if time.monotonic() < self._good_until:
            return None
        try:
            async with asyncio.timeout(CHECK_SECS):
                await asyncio.to_thread(_try_writing, self._folder)
        except TimeoutError:
            return f"{self._folder} did not answer within {CHECK_SECS:g} s."
        except OSError as error:
            return str(_unavailable(self._folder, error))
        self._good_until = time.monotonic() + CHECK_AGAIN_SECS
        return None

    def _path(self, key: str) -> Path:
        path = self._folder / key
        if ".." in path.parts or not path.is_relative_to(self._folder):
            raise ValueError(f"{key!r} is no key")
        return path


def _put(source: Path, target: Path, root: Path, sha256: str) -> None:
    folder = target.parent
    folder.mkdir(parents=True, exist_ok=True)
    temporary = _unfinished(target)
    temporary.unlink(missing_ok=True)  # its writer was killed
    try:
        try:
            os.link(source, temporary)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            _copy(source, temporary, sha256)
        sync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # still there too when it was a second name of what is there already
    for made in (folder, *folder.parents):
        sync(made)
        if made == root.parent:
            break


def _unfinished(target: Path) -> Path:
    """The path of an object's file until it is complete: the same each time, so that a kill leaves one at most."""
    return target.with_name(f".{target.name}")


def _copy(source: Path, target: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(COPY_BYTES):
            digest.update(chunk)
            writer.write(chunk)
    if digest.hexdigest() != sha256:
        raise OSError(errno.EIO, "what was read is not what was made")


def _delete(path: Path, root: Path) -> None:
    if not path.parent.is_dir():
        return
    _unfinished(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    sync(path.parent)
    if path.parent != root and not any(path.parent.iterdir()):
        # A file may be put there at this moment: then rmdir refuses, or the other writer makes the folder again.
        try:
            path.parent.rmdir()
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.ENOENT}:
                raise


def _try_writing(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{uuid4().hex}"
    try:
        probe.write_bytes(b"x" * 4096)
    finally:
        probe.unlink(missing_ok=True)


def _unavailable(folder: Path, error: OSError) -> StorageUnavailable:
    return StorageUnavailable(f"{folder} cannot be used: {error.strerror or error}.")
