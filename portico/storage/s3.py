"""Finished files in a bucket of S3, or of another store with the S3 protocol."""

import asyncio
import re
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import obstore
from obstore.exceptions import BaseError

from portico.core import links
from portico.storage.store import CHECK_SECS, S3Access, StorageUnavailable

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

PART_BYTES = 8 << 20
"""Bytes of one part of a multipart upload, or of one read. S3 allows 10,000 parts: 80 GB."""
PARTS_AT_ONCE = 3
CONNECT_WITHIN = timedelta(seconds=5)
PART_WITHIN = timedelta(seconds=120)
"""Deadline of one request: the time of a part on a line of 0.6 Mbit/s."""
SIGN_WITHIN = timedelta(seconds=2)
"""Deadline of a signature, which may need credentials of the machine's role first. Other callers wait meanwhile."""
CHECK_AGAIN_SECS = 10.0
"""How long a successful check of the bucket is reused, so that frequent checks do not write often."""
_METADATA = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23"
"""Addresses where clouds give a machine its credentials. Requests to them never go through the proxy."""
_PROBE = ".portico-writable"
_ERROR_LENGTH_MAX = 300
_S3_ERROR = re.compile(r"<Code>([^<]*)</Code>\s*(?:<Message>([^<]*)</Message>)?")
_CAUSE = re.compile(r'message: "([^"]*)"')


class S3Store:
    """A Store in a bucket, or below a prefix of one."""

    def __init__(self, bucket: str, prefix: str, access: S3Access) -> None:
        self._store = _connect(bucket, prefix, access, access.endpoint)
        public = access.public_endpoint or access.endpoint
        self._links = _connect(bucket, prefix, access, public, within=SIGN_WITHIN, retries=0)
        self._url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._good_until = 0.0

    async def put(self, path: Path, key: str, content_type: str, sha256: str, *, filename: str | None = None) -> None:
        """See Store.put. Every request has the SHA-256 of its bytes, which the bucket compares."""
        size = (await asyncio.to_thread(path.stat)).st_size  # an error of the source file is not one of the store
        attributes = {
            "Content-Type": content_type,
            # A presigned link of obstore cannot name the file, so that the object itself does.
            "Content-Disposition": links.content_disposition(filename or key.rpartition("/")[2]),
            "sha256": sha256,
        }
        try:
            await obstore.put_async(
                self._store, key, path, attributes=attributes, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )
            found = await obstore.get_async(self._store, key, options={"head": True})
        except (BaseError, OSError) as error:
            self._fail(error)
        kept = found.meta["size"]
        if kept != size or found.attributes.get("sha256", sha256) != sha256:
            raise StorageUnavailable(f"{self._url}/{key} has {kept} bytes of another file instead of {size}.")

    async def size(self, key: str) -> int | None:
        try:
            return (await obstore.head_async(self._store, key))["size"]
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            self._fail(error)

    async def delete(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            self._fail(error)

    async def fetch(self, key: str, path: Path) -> None:
        size = await self.size(key)
        if size is None:
            raise FileNotFoundError(f"{self._url}/{key}")
        with path.open("wb") as file:
            # Part by part, each with its own deadline: a stream would have one for all of it.
            for start in range(0, size, PART_BYTES):
                end = min(start + PART_BYTES, size)
                try:
                    part = await obstore.get_range_async(self._store, key, start=start, end=end)
                except (BaseError, OSError) as error:
                    self._fail(error)
                await asyncio.to_thread(file.write, part)

    def local_path(self, key: str) -> Path | None:
        return None

    def link(self, key: str, filename: str, content_type: str, *, now: datetime) -> str:
        """See Store.link. File name and type are those given to `put`; validity counts from the wall clock."""
        try:
            return obstore.sign(self._links, "GET", key, links.GOOD_FOR)
        except (BaseError, OSError) as error:  # credentials may have to be fetched first
            self._fail(error)

    async def check(self) -> str | None:
        if time.monotonic() < self._good_until:
            return None
        try:
            async with asyncio.timeout(CHECK_SECS):
                await obstore.put_async(self._store, _PROBE, b"Portico may write here.\n")
        except TimeoutError:
            return f"{self._url} did not answer within {CHECK_SECS:g} s."
        except (BaseError, OSError) as error:
            return f"{self._url} cannot be used: {_sentence(error)}"
        self._good_until = time.monotonic() + CHECK_AGAIN_SECS
        return None

    def _fail(self, error: Exception) -> NoReturn:
        raise StorageUnavailable(f"{self._url} cannot be used: {_sentence(error)}") from error


def _connect(
    bucket: str,
    prefix: str,
    access: S3Access,
    endpoint: str | None,
    *,
    within: timedelta = PART_WITHIN,
    retries: int = 3,
) -> obstore.store.S3Store:
    config: S3Config = {
        # One request for one object is what every store knows that speaks as S3 does.
        "disable_bulk_delete": True,
    }
    if access.virtual_hosted:
        config["virtual_hosted_style_request"] = True
    if endpoint is not None:
        config["endpoint"] = (_with_bucket(endpoint, bucket) if access.virtual_hosted else endpoint).rstrip("/")
    if access.region is not None:
        config["region"] = access.region
    if access.access_key_id is not None:
        config["access_key_id"] = access.access_key_id
    if access.secret_access_key is not None:
        config["secret_access_key"] = access.secret_access_key
    client: ClientConfig = {
        "connect_timeout": min(CONNECT_WITHIN, within),
        "timeout": within,
        "allow_http": (endpoint or "").startswith("http://"),
    }
    if access.proxy is not None:
        client["proxy_url"] = access.proxy
        client["proxy_excludes"] = _METADATA
    return obstore.store.S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options=client,
        # For a part that was lost; what lasts longer is for the job, which comes again.
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=30)},
    )


def _with_bucket(endpoint: str, bucket: str) -> str:
    """The endpoint with the bucket in front of its host, unless it is there already."""
    scheme, found, rest = endpoint.partition("://")
    return endpoint if rest.startswith(f"{bucket}.") else f"{scheme}{found}{bucket}.{rest}"


def _sentence(error: Exception) -> str:
    """The readable part of a message of obstore, which also has the whole error of its library."""
    message, _, source = str(error).partition("Debug source:")
    answer = _S3_ERROR.search(message)
    if answer is not None:
        text = ": ".join(filter(None, answer.groups()))
    else:
        text = " ".join(message.rpartition(" - ")[2].split())
        if cause := _CAUSE.search(source):
            text = f"{text.rstrip(' .:')} ({cause[1]})"
    return text[:_ERROR_LENGTH_MAX].rstrip(" .:") + "."
