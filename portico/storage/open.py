"""Opens the store that a URL names."""

from collections.abc import Callable
from pathlib import Path

from portico.storage.local import LocalStore
from portico.storage.store import S3Access, Store


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
