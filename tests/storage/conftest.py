"""A bucket of S3 for the tests of stores."""

from collections.abc import Iterator

import pytest

from tests.storage.buckets import Bucket, a_bucket


@pytest.fixture(scope="module")
def running_bucket() -> Iterator[Bucket]:
    made = a_bucket()
    with made.up():
        yield made


@pytest.fixture
def bucket(running_bucket: Bucket) -> Iterator[Bucket]:
    """The empty bucket of a server that runs."""
    yield running_bucket
    running_bucket.empty()
