"""Where finished files are kept: the one seam to storage, and the local folder behind it that is the default."""

import asyncio
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from portico.core import links

COPY_BYTES = 1 << 20
CHECK_AGAIN_SECS = 10.0
"""How long it counts that the folder could be written to, so that whoever asks often does not write often."""
CHECK_SECS = 2.5
"""How long the store may take to say that it is there."""
# The file systems differ, or this one has no hard links.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EACCES}


class StorageTrouble(Exception):
    """The store cannot be used just now, for a reason outside of our program; trying again later is right."""


class Store(Protocol):
    """Finished files under keys. Everything that waits for the outside raises StorageTrouble when that fails."""

    async def put(self, path: Path, key: str, content_type: str, sha256: str, *, filename: str | None = None) -> None:
        """Keep the file at `path`, durably, under `key`, in the place of any other; confirmed before this returns.

        `path` stays, and must not change afterwards. `filename` is what browsers save it as.
        """
        ...

    async def size(self, key: str) -> int | None:
        """Bytes of the object; None when there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Forget the object; fine when there is none."""
        ...

    async def fetch(self, key: str, path: Path) -> None:
        """A copy of the object at `path`, never as a whole in memory; FileNotFoundError when there is none."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Where the object can be read in place, if it is on this machine."""
        ...

    def link(self, key: str, filename: str, content_type: str, *, now: datetime) -> str:
        """A URL under which anybody can download the object for links.GOOD_FOR."""
        ...

    async def check(self) -> str | None:
        """None when the store answers and can be written to, else a sentence; within CHECK_SECS."""
        ...


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach an S3 bucket; what is None comes from the usual AWS_* environment, or from the machine's role."""

    endpoint: str | None = None
    public_endpoint: str | None = None
    """The endpoint as browsers know it, for links; `endpoint` when None."""
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    virtual_hosted: bool = False
    """Whether the bucket is named in the host (https://BUCKET.HOST/KEY) and not in the path."""
    proxy: str | None = None
    """http:// URL of a proxy that all requests go through."""


def open_store(
    url: str | None,
    data_dir: Path,
    *,
    secret: bytes | Callable[[], bytes],
    base_url: str,
    s3: S3Access | None = None,
) -> Store:
    """The bucket that `s3://BUCKET/PREFIX` names, or the folder `files` in `data_dir`; ValueError for another URL.

    `secret`, or what it returns where it is a function, signs the links to local files, and `base_url` is where the
    server answers them.
    """
    if url is None:
        return LocalStore(data_dir / "files", secret, base_url)
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket:
        raise ValueError(f"{url!r} is no storage: use s3://BUCKET or s3://BUCKET/PREFIX.")
    from portico.storage.s3 import S3Store  # noqa: PLC0415  a large library, not loaded for a local folder

    return S3Store(bucket, prefix.strip("/"), s3 or S3Access())


class LocalStore:
    """A folder. Each file appears whole and on disk, or not at all."""

    def __init__(self, folder: Path, secret: bytes | Callable[[], bytes], base_url: str) -> None:
        self._folder = folder.absolute()
        self._secret = secret if callable(secret) else lambda: secret
        self._base_url = base_url
        self._good_until = 0.0

    async def put(self, path: Path, key: str, content_type: str, sha256: str, *, filename: str | None = None) -> None:
        """See Store. On the same file system it is a second name of the file: nothing is copied."""
        source_size = (
            await asyncio.to_thread(path.stat)
        ).st_size  # what is wrong with the source is no trouble of the store's
        try:
            await asyncio.to_thread(_put, path, self._path(key), self._folder, sha256)
            kept = await self.size(key)
        except OSError as error:
            raise _trouble(self._folder, error) from error
        if kept != source_size:
            raise StorageTrouble(f"{key} has {kept} bytes in the store instead of {source_size}.")

    async def size(self, key: str) -> int | None:
        try:
            return (await asyncio.to_thread(self._path(key).stat)).st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _trouble(self._folder, error) from error

    async def delete(self, key: str) -> None:
        try:
            await asyncio.to_thread(_delete, self._path(key), self._folder)
        except OSError as error:
            raise _trouble(self._folder, error) from error

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
            return str(_trouble(self._folder, error))
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
    temporary.unlink(missing_ok=True)  # whoever made it was killed
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
    """What a file is called until it is whole: always the same, so that a kill leaves one at most."""
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
        # Somebody may put a file there at this moment: rmdir refuses, or they make the folder again when they retry.
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


def sync(path: Path) -> None:
    """Have what was written to a file, or which names a folder has, survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trouble(folder: Path, error: OSError) -> StorageTrouble:
    return StorageTrouble(f"{folder} cannot be used: {error.strerror or error}.")
