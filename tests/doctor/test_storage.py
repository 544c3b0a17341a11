"""The store: an object is written, read and deleted, in a folder and in a bucket."""

from pathlib import Path

import pytest

from portico.doctor import storage
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels
from tests.storage.buckets import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Bucket, a_bucket


@pytest.fixture(scope="module")
def bucket() -> Bucket:
    return a_bucket()


def settings_of(bucket: Bucket) -> dict[str, object]:
    """The secret is no option."""
    return {
        "storage_url": f"s3://{BUCKET}/calls",
        "s3_endpoint": bucket.endpoint,
        "s3_region": REGION,
        "s3_access_key_id": ACCESS_KEY,
    }


async def test_a_folder_that_works_has_nothing_new_afterwards(subject: MakeSubject, tmp_path: Path) -> None:
    assert levels(await storage.check(subject())) == ["ok"]
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


async def test_a_folder_that_cannot_be_written_is_a_problem(subject: MakeSubject, tmp_path: Path) -> None:
    (tmp_path / "data" / "files").touch()
    found = await storage.check(subject())
    assert levels(found) == ["problem"]
    assert str(tmp_path / "data" / "files") in found[0].text


async def test_nothing_is_made_before_the_first_start(subject: MakeSubject, tmp_path: Path) -> None:
    assert levels(await storage.check(subject(data_dir=str(tmp_path / "later")))) == ["note"]
    assert not (tmp_path / "later").exists()


async def test_a_bucket_is_good_while_it_answers(
    subject: MakeSubject, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTICO_S3_SECRET_ACCESS_KEY", SECRET_KEY)
    chosen = subject(**settings_of(bucket))
    with bucket.up():
        good = await storage.check(chosen)
        kept = bucket.keys()
        left = [key for key in kept if "doctor" in key]
    away = await storage.check(chosen)
    assert (levels(good), left) == (["ok"], [])
    assert levels(away) == ["problem"]
    assert SECRET_KEY not in f"{good}{away}"
