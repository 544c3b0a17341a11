"""The interface of the store: finished files under keys, in a local folder (local.py) or in a bucket (s3.py)."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

CHECK_SECS = 2.5
"""How long `Store.check` may take."""


class StorageUnavailable(Exception):
    """The store does not answer or refuses, for a reason outside of the program; a later try may succeed."""


class Store(Protocol):
    """Finished files under keys. Each method but `check` raises StorageUnavailable when the store fails."""

    async def put(self, path: Path, key: str, content_type: str, sha256: str, *, filename: str | None = None) -> None:
        """Keep the file at `path`, durably, under `key`, instead of any other; confirmed before this returns.

        `path` stays, and must not change afterwards. `filename` is what browsers save it as.
        """
        ...

    async def size(self, key: str) -> int | None:
        """Bytes of the object; None when there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Delete the object; nothing happens when there is none."""
        ...

    async def fetch(self, key: str, path: Path) -> None:
        """Write a copy of the object to `path`, in parts. Raises FileNotFoundError when there is no such object."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The path of the object's file on this machine; None when the store is elsewhere or has no such object."""
        ...

    def link(self, key: str, filename: str, content_type: str, *, now: datetime) -> str:
        """A URL under which the holder can download the object for links.GOOD_FOR."""
        ...

    async def check(self) -> str | None:
        """None when the store answers and can be written to, else a sentence; within CHECK_SECS."""
        ...


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach an S3 bucket. A member that is None is taken from AWS_* variables or from the machine's role."""

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
