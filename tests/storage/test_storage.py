"""What storage promises, of a local folder and of an S3 bucket alike, and what each does in its own way."""

import asyncio
import hashlib
import hmac
import os
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import uvloop

from portico.core import links
from portico.storage import s3 as s3_store
from portico.storage.local import LocalStore
from portico.storage.open import open_store
from portico.storage.store import S3Access, StorageUnavailable, Store
from tests.factories import NOW
from tests.storage.buckets import (
    ACCESS_KEY,
    BUCKET,
    REGION,
    SECRET_KEY,
    Bucket,
    a_bucket,
    credentials_without_answer,
)

KEY = "recordings/7b61621f-62e0-4aad-ab11-9fd19e272e73/1ccc7b54-4df3-4bca-a65a-35a1ecc777f0.ogg"
SECRET = bytes(range(32))
BASE = "http://127.0.0.1:8080"


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    store = open_store(None, tmp_path / "data", secret=SECRET, base_url=BASE)
    assert isinstance(store, LocalStore)
    return store


@pytest.fixture
def s3(bucket: Bucket, tmp_path: Path) -> Store:
    return remote(bucket, tmp_path)


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


def remote(bucket: Bucket, tmp_path: Path, access: S3Access | None = None) -> Store:
    return open_store(f"s3://{BUCKET}/calls/2026", tmp_path, secret=SECRET, base_url=BASE, s3=access or bucket.access)


def a_file(folder: Path, content: bytes = b"OggS and so on") -> tuple[Path, str]:
    """A file, and the SHA-256 of what is in it."""
    path = folder / "made.ogg"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


async def content_of(store: Store, key: str, tmp_path: Path) -> bytes:
    target = tmp_path / "fetched"
    await store.fetch(key, target)
    return target.read_bytes()


async def test_what_is_put_can_be_had_and_deleted(store: Store, tmp_path: Path) -> None:
    path, sha256 = a_file(tmp_path)
    assert await store.size(KEY) is None
    await store.put(path, KEY, "audio/ogg", sha256)
    assert await store.size(KEY) == path.stat().st_size
    assert await content_of(store, KEY, tmp_path) == path.read_bytes()
    await store.delete(KEY)
    assert await store.size(KEY) is None
    await store.delete(KEY)
    with pytest.raises(FileNotFoundError):
        await store.fetch(KEY, tmp_path / "nothing")


async def test_a_second_put_takes_the_place_of_the_first(store: Store, tmp_path: Path) -> None:
    """As after a kill between the store's confirmation and the row."""
    path, sha256 = a_file(tmp_path)
    for _ in range(2):
        await store.put(path, KEY, "audio/ogg", sha256)
    path.unlink()
    path, sha256 = a_file(tmp_path, b"something else")
    await store.put(path, KEY, "audio/ogg", sha256)
    assert await content_of(store, KEY, tmp_path) == b"something else"


async def test_an_empty_file_can_be_kept(store: Store, tmp_path: Path) -> None:
    path, sha256 = a_file(tmp_path, b"")
    await store.put(path, KEY, "audio/ogg", sha256)
    assert await store.size(KEY) == 0
    assert await content_of(store, KEY, tmp_path) == b""


async def test_a_missing_source_is_no_failure_of_the_store(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await store.put(tmp_path / "nothing", KEY, "audio/ogg", "")


async def test_a_store_that_works_has_nothing_to_say(store: Store) -> None:
    assert await store.check() is None
    assert await store.check() is None


# A folder.


async def test_a_local_file_is_not_copied_on_one_file_system(local: LocalStore, tmp_path: Path) -> None:
    path, sha256 = a_file(tmp_path)
    await local.put(path, KEY, "audio/ogg", sha256)
    kept = local.local_path(KEY)
    assert kept is not None and kept.samefile(path)
    path.unlink()
    assert kept.read_bytes() == b"OggS and so on"


async def test_a_local_file_comes_from_another_file_system(local: LocalStore) -> None:
    memory = Path("/dev/shm")
    path, sha256 = a_file(memory)
    try:
        await local.put(path, KEY, "audio/ogg", sha256)
        kept = local.local_path(KEY)
        assert kept is not None and kept.read_bytes() == path.read_bytes()
        with pytest.raises(StorageUnavailable, match="what was read is not what was made"):
            await local.put(path, KEY, "audio/ogg", "0" * 64)
        assert kept.read_bytes() == path.read_bytes(), "the good one stays"
    finally:
        path.unlink()


async def test_nothing_but_the_files_stays_in_the_folder(local: LocalStore, tmp_path: Path) -> None:
    path, sha256 = a_file(tmp_path)
    await local.put(path, KEY, "audio/ogg", sha256)
    await local.put(path, KEY, "audio/ogg", sha256)
    root = tmp_path / "data" / "files"
    assert [each for each in root.rglob("*") if each.is_file()] == [local.local_path(KEY)]
    await local.check()
    await local.delete(KEY)
    assert list((root / "recordings").iterdir()) == [], "the session's folder goes with its last file"


def test_a_local_file_and_its_name_are_on_disk_before_put_returns(tmp_path: Path) -> None:
    """What the system was asked for, in order: the file is synced before it is renamed, the folders after."""
    program = f"""
import asyncio, hashlib, pathlib
from portico.storage.open import open_store
folder = pathlib.Path({str(tmp_path)!r})
(folder / "made.ogg").write_bytes(b"x")
store = open_store(None, folder / "data", secret=b"", base_url="")
asyncio.run(store.put(folder / "made.ogg", {KEY!r}, "audio/ogg", hashlib.sha256(b"x").hexdigest()))
"""
    trace = tmp_path / "trace"
    calls = "fsync,linkat,link,rename,renameat,renameat2"
    subprocess.run(
        ["strace", "-f", "-y", "-o", trace, "-e", f"trace={calls}", sys.executable, "-c", program], check=True
    )
    data = tmp_path / "data"
    session = data / "files" / Path(KEY).parent
    seen = [line for line in trace.read_text().splitlines() if str(data) in line]
    linked, synced, renamed, *folders = seen
    assert "link" in linked and "fsync" in synced and f"{session}/." in synced and "rename" in renamed
    for line, folder in zip(folders, (session, session.parent, data / "files", data), strict=True):
        assert "fsync(" in line and f"<{folder}>" in line


async def test_a_local_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")
    store = open_store(None, tmp_path, secret=SECRET, base_url=BASE)
    path, sha256 = a_file(tmp_path)
    with pytest.raises(StorageUnavailable, match="files cannot be used"):
        await store.put(path, KEY, "audio/ogg", sha256)
    assert (await store.check() or "").startswith(f"{tmp_path}/files cannot be used")


@pytest.mark.parametrize("key", ["../secret", "a/../../secret", "/etc/passwd", ".."])
def test_a_key_leads_nowhere_else(local: LocalStore, key: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        local.local_path(key)


def test_a_local_link_is_ours(local: LocalStore) -> None:
    link = urlsplit(local.link(KEY, "alice.ogg", "audio/ogg", now=NOW))
    assert link.path == f"/files/{KEY}"
    query = dict(parse_qsl(link.query))
    assert links.verify(SECRET, KEY, query, now=NOW) == "alice.ogg"


# A bucket.


async def test_an_object_says_what_it_is(s3: Store, bucket: Bucket, tmp_path: Path) -> None:
    path, sha256 = a_file(tmp_path)
    await s3.put(path, KEY, "audio/ogg", sha256, filename="Zoë.ogg")
    assert bucket.keys() == [f"calls/2026/{KEY}"]
    head = bucket.client.head_object(Bucket=BUCKET, Key=f"calls/2026/{KEY}")
    assert (head["ContentType"], head["Metadata"]) == ("audio/ogg", {"sha256": sha256})
    assert head["ContentDisposition"] == links.content_disposition("Zoë.ogg")
    assert s3.local_path(KEY) is None


async def test_a_large_file_goes_up_in_parts_and_comes_back(s3: Store, bucket: Bucket, tmp_path: Path) -> None:
    path, sha256 = a_file(tmp_path, os.urandom(2 * s3_store.PART_BYTES + 12345))
    await s3.put(path, KEY, "video/webm", sha256)
    head = bucket.client.head_object(Bucket=BUCKET, Key=f"calls/2026/{KEY}")
    assert head["ETag"].endswith('-3"'), "three parts"
    assert hashlib.sha256(await content_of(s3, KEY, tmp_path)).hexdigest() == sha256


async def test_a_presigned_link_needs_nothing_else_and_knows_ranges(s3: Store, tmp_path: Path) -> None:
    path, sha256 = a_file(tmp_path, b"0123456789")
    await s3.put(path, KEY, "audio/ogg", sha256, filename="alice.ogg")
    link = s3.link(KEY, "alice.ogg", "audio/ogg", now=NOW)
    request = urllib.request.Request(link, headers={"Range": "bytes=2-4"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert (answer.status, answer.read()) == (206, b"234")
        assert answer.headers["content-type"] == "audio/ogg"
        assert answer.headers["content-disposition"] == 'attachment; filename="alice.ogg"'


def presigned(url: str, secret_key: str) -> str:
    """The signature that this URL should have, by the rules of AWS Signature Version 4 for query parameters."""
    split = urlsplit(url)
    query = [(name, text) for name, text in parse_qsl(split.query) if name != "X-Amz-Signature"]
    parameters = dict(query)
    canonical_query = "&".join(f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in sorted(query))
    canonical = f"GET\n{split.path}\n{canonical_query}\nhost:{split.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    _, day, region, service, end = parameters["X-Amz-Credential"].split("/")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{parameters['X-Amz-Date']}\n{day}/{region}/{service}/{end}\n{digest}"
    key = f"AWS4{secret_key}".encode()
    for each in (day, region, service, end, to_sign):
        key = hmac.digest(key, each.encode(), hashlib.sha256)
    return key.hex()


def test_the_rules_of_the_signature_are_those_of_the_published_example() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html"""
    example = (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    )
    signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert presigned(example, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY") == signature


def test_a_presigned_link_is_signed_by_these_rules_for_one_hour(tmp_path: Path) -> None:
    link = remote(a_bucket(), tmp_path).link(KEY, "alice.ogg", "audio/ogg", now=NOW)
    query = dict(parse_qsl(urlsplit(link).query))
    assert query["X-Amz-Signature"] == presigned(link, SECRET_KEY)
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - signed_at) < timedelta(minutes=1)
    assert query["X-Amz-Expires"] == "3600"
    assert query["X-Amz-Credential"] == f"{ACCESS_KEY}/{signed_at:%Y%m%d}/{REGION}/s3/aws4_request"
    assert urlsplit(link).path == f"/{BUCKET}/calls/2026/{KEY}"


def test_links_name_the_endpoint_that_browsers_know(tmp_path: Path) -> None:
    access = S3Access("http://minio:9000", "https://files.example.com/", REGION, ACCESS_KEY, SECRET_KEY)
    link = remote(a_bucket(), tmp_path, access).link(KEY, "alice.ogg", "audio/ogg", now=NOW)
    assert link.startswith(f"https://files.example.com/{BUCKET}/calls/2026/{KEY}?")
    assert dict(parse_qsl(urlsplit(link).query))["X-Amz-Signature"] == presigned(link, SECRET_KEY)


async def test_a_bucket_that_is_down_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    bucket = a_bucket()
    store = remote(bucket, tmp_path)
    path, sha256 = a_file(tmp_path)
    for attempt in (store.put(path, KEY, "audio/ogg", sha256), store.size(KEY), store.delete(KEY)):
        with pytest.raises(StorageUnavailable, match=r"cannot be used: .*Connection refused") as unavailable:
            await attempt
        assert "\n" not in str(unavailable.value) and len(str(unavailable.value)) < 400
    assert "did not answer" in (await store.check() or "") or "cannot be used" in (await store.check() or "")
    with bucket.up():
        await store.put(path, KEY, "audio/ogg", sha256)
        assert await store.size(KEY) == path.stat().st_size
        assert await store.check() is None


async def test_a_bucket_that_is_not_there_is_unavailable(bucket: Bucket, tmp_path: Path) -> None:
    store = open_store("s3://missing-bucket", tmp_path, secret=SECRET, base_url=BASE, s3=bucket.access)
    path, sha256 = a_file(tmp_path)
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        await store.put(path, KEY, "audio/ogg", sha256)
    assert "NoSuchBucket" in (await store.check() or "")


def test_the_usual_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = a_bucket()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "FROMTHEENVIRONMENT",
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": bucket.endpoint,
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    link = remote(bucket, tmp_path, S3Access()).link(KEY, "a.ogg", "audio/ogg", now=NOW)
    assert link.startswith(bucket.endpoint) and "FROMTHEENVIRONMENT" in link


def test_a_link_does_not_wait_long_for_the_credentials_of_a_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of the machine's credentials does not answer; all requests would wait with the one that asks."""
    with credentials_without_answer(tmp_path, monkeypatch):
        store = remote(a_bucket(), tmp_path, S3Access(region=REGION))
        began = time.monotonic()
        with pytest.raises(StorageUnavailable):
            store.link(KEY, "a.ogg", "audio/ogg", now=NOW)
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("url", ["", "bucket", "s3:bucket", "s3://", "s3:///prefix", "https://s3.example.com/bucket"])
def test_another_url_is_no_storage(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="use s3://BUCKET"):
        open_store(url, tmp_path, secret=SECRET, base_url=BASE)


def test_a_bucket_is_reached_from_the_loop_that_the_server_runs_on(bucket: Bucket, tmp_path: Path) -> None:
    path, sha256 = a_file(tmp_path)

    async def there_and_back() -> bytes:
        store = remote(bucket, tmp_path)
        await store.put(path, KEY, "audio/ogg", sha256)
        return await content_of(store, KEY, tmp_path)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(there_and_back()) == path.read_bytes()


@pytest.mark.slow
def test_a_large_file_is_never_in_memory_as_a_whole(bucket: Bucket, tmp_path: Path) -> None:
    """Another process puts and fetches 134 MB with a peak of memory far below that."""
    big = tmp_path / "big.webm"
    with big.open("wb") as file:
        for _ in range(128):
            file.write(os.urandom(1 << 20))
    program = f"""
import asyncio, pathlib, re
from portico.storage.open import open_store
from portico.storage.store import S3Access
store = open_store("s3://{BUCKET}", pathlib.Path("/nowhere"), secret=b"", base_url="", s3={bucket.access!r})
def peak():
    # Not what getrusage says, which counts the parent's memory too.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) // 1024
async def there_and_back():
    await store.put(pathlib.Path({str(big)!r}), {KEY!r}, "video/webm", "0" * 64)
    put = peak()
    await store.fetch({KEY!r}, pathlib.Path({str(big)!r} + ".back"))
    print(put, peak())
asyncio.run(there_and_back())
"""
    peaks = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert max(map(int, peaks)) < 120, f"MiB at the peak of put and of both: {peaks}"
    assert big.read_bytes() == Path(f"{big}.back").read_bytes()
