"""An S3 server on this machine (moto), which keeps its buckets in memory and can be stopped and started again."""

import logging
import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from portico.storage.store import S3Access

logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each part is too much

BUCKET = "portico-test"
ACCESS_KEY, SECRET_KEY, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1"


@dataclass
class Bucket:
    """Where the server is, whether it runs or not."""

    port: int
    kept: socket.socket
    """Bound and not listening: no other program gets the port while the server is away, and connections are refused."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def access(self) -> S3Access:
        return S3Access(endpoint=self.endpoint, region=REGION, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY)

    @cached_property
    def client(self) -> Any:
        """The official client, for a second opinion."""
        import boto3  # type: ignore[import-untyped]  # takes half a second with moto, in each process

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    @contextmanager
    def up(self) -> Iterator[None]:
        """The server answers, and has the bucket."""
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        server.start()
        # What moto keeps belongs to the process, not to the server: another one may have made the bucket.
        first = not self.client.list_buckets()["Buckets"]
        if first:
            self.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        try:
            yield
        finally:
            self.empty()
            if first:
                self.client.delete_bucket(Bucket=BUCKET)
            self.client.close()
            server.stop()

    def empty(self) -> None:
        for key in self.keys():
            self.client.delete_object(Bucket=BUCKET, Key=key)

    def keys(self) -> list[str]:
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def a_bucket() -> Bucket:
    """A bucket on a port of its own, where nothing answers yet."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server, which so may listen beside it
    kept.bind(("127.0.0.1", 0))
    weakref.finalize(bucket := Bucket(kept.getsockname()[1], kept), kept.close)
    return bucket


@contextmanager
def credentials_without_answer(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine has its credentials from a server that takes the question and never answers."""
    (folder / "token").write_text("x")
    environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(folder / "token"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        environment.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        yield
