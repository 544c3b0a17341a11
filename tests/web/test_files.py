"""Downloads of files that are kept on this machine, whole and in parts, with a valid link only."""

import asyncio
import contextlib
import hashlib
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import uvicorn
from httpx import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette

from portico.api.errors import on_portico_error
from portico.core.errors import PorticoError
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import files as services_files
from portico.services import recordings, signing_keys
from portico.storage.open import open_store
from portico.storage.store import Store
from portico.web import files
from tests.factories import NOW, an_account
from tests.recorded import a_recorded_participant, a_stream, converted, link, milliseconds, recording_of

CONTENT = bytes(range(256)) * 4
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ETAG = f'"{SHA256}"'
NAME = "recording-alice.ogg"
MINUTE = timedelta(minutes=1)


@dataclass
class Downloads:
    """A recording with its file and its link, and a client that downloads it."""

    db: Database
    store: Store
    app: Starlette
    browser: AsyncClient
    recording_id: str
    key: str
    path: Path
    now: datetime = NOW

    @property
    def link(self) -> str:
        return self.store.link(self.key, NAME, "audio/ogg", now=NOW)

    async def get(self, link: str | None = None, **headers: str) -> Response:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return await self.browser.get(link or self.link, headers=named)


@pytest.fixture
async def downloads(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Downloads]:
    db = open_database(sqlite_url)
    keys = await db.write(partial(services_files.load_link_keys, now=NOW))
    secret = keys.current()
    store = open_store(None, tmp_path, secret=secret, base_url="http://here.example:8080")
    recording_id, key = await db.write(partial(kept, content=CONTENT))
    made = tmp_path / "made.ogg"
    made.write_bytes(CONTENT)
    await store.put(made, key, "audio/ogg", SHA256)
    path = store.local_path(key)
    assert path is not None
    app = Starlette()
    async with AsyncClient(transport=ASGITransport(app), base_url="http://here.example:8080") as browser:
        found = Downloads(db, store, app, browser, recording_id, key, path)
        app.routes.extend(files.routes(db, store, keys, lambda: found.now))
        app.add_exception_handler(PorticoError, on_portico_error)  # type: ignore[arg-type]
        yield found
    await db.close()


def kept(tx: Transaction, content: bytes) -> tuple[str, str]:
    """A completed recording with this file: its id and the file's key."""
    mjr_name = a_stream(tx, a_recorded_participant(tx).participant_id)
    recordings.first_media(tx, mjr_name, "audio", [[milliseconds(NOW), None]], now=NOW)
    recordings.end(tx, mjr_name, now=NOW + MINUTE)
    recording_id = recording_of(tx, mjr_name, "audio")
    sha256 = hashlib.sha256(content).hexdigest()
    what = replace(converted(tx, recording_id), size_bytes=len(content), sha256=sha256)
    assert recordings.complete(tx, recording_id, what, link, now=NOW + MINUTE)
    assert what.object_key is not None
    return recording_id, what.object_key


async def test_the_whole_file_needs_nothing_but_its_link(downloads: Downloads) -> None:
    """Acceptance case 34."""
    answer = await downloads.get()
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.headers["content-length"] == "1024"
    assert answer.headers["content-disposition"] == f'attachment; filename="{NAME}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == ETAG
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_head_has_the_same_headers_and_no_body(downloads: Downloads) -> None:
    whole, head = await downloads.get(), await downloads.browser.head(downloads.link)
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(whole.headers)
    with_range = await downloads.browser.head(downloads.link, headers={"range": "bytes=0-1"})
    assert (with_range.status_code, with_range.headers["content-length"]) == (200, "1024"), "Range is for GET alone"


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [("bytes=0-99", 0, 100), ("bytes=1000-", 1000, 1024), ("bytes=-24", 1000, 1024), ("bytes=0-9999", 0, 1024)],
)
async def test_a_part_is_sent_as_such(downloads: Downloads, header: str, start: int, end: int) -> None:
    answer = await downloads.get(range=header)
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1024"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["etag"] == ETAG


@pytest.mark.parametrize("header", ["items=0-1", "bytes=5-4", "bytes=0-1,3-4", "nonsense"])
async def test_a_range_that_is_not_understood_is_ignored(downloads: Downloads, header: str) -> None:
    answer = await downloads.get(range=header)
    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_a_part_beyond_the_end_is_refused(downloads: Downloads) -> None:
    answer = await downloads.get(range="bytes=1024-")
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */1024")
    assert answer.text == "The file has 1024 bytes."
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_part_continues_only_the_same_file(downloads: Downloads) -> None:
    same = await downloads.get(range="bytes=0-1", if_range=ETAG)
    assert (same.status_code, same.content) == (206, CONTENT[:2])
    for other in ('"another"', f"W/{ETAG}", "Mon, 02 Feb 2026 22:25:27 GMT", ""):
        answer = await downloads.get(range="bytes=0-1", if_range=other)
        assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_a_copy_that_is_still_good_is_not_sent_again(downloads: Downloads) -> None:
    for known in (ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"):
        answer = await downloads.get(if_none_match=known, range="bytes=0-1")
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == ETAG
    assert (await downloads.get(if_none_match='"other"')).status_code == 200


async def test_a_link_is_good_for_one_hour(downloads: Downloads) -> None:
    downloads.now = NOW + timedelta(minutes=59, seconds=59)
    assert (await downloads.get()).status_code == 200
    downloads.now = NOW + timedelta(hours=1)
    for answer in (await downloads.get(), await downloads.get(range="bytes=0-1")):
        assert (answer.status_code, answer.json()["code"]) == (403, "10010")
        assert "expired" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("was", "altered"),
    [
        ("expires=1", "expires=2"),
        (NAME, "x.ogg"),
        ("signature=", "signature=A"),
        ("signature=", "other="),
        (".ogg?", ".mp4?"),
        ("files/", "files/x"),
    ],
)
async def test_an_altered_link_is_refused(downloads: Downloads, was: str, altered: str) -> None:
    assert was in downloads.link
    link = downloads.link.replace(was, altered, 1)
    answer = await downloads.get(link)
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["detail"] == "This link is not one of this server, or it was altered."


async def test_without_a_signature_existing_and_missing_files_have_the_same_answer(downloads: Downloads) -> None:
    paths = [f"/files/{downloads.key}", "/files/recordings/nothing.ogg", "/files/", "/files/%2e%2e/%2e%2e/etc/passwd"]
    answers = [await downloads.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize(
    "key", ["../portico.db", "recordings/../../portico.db", "recordings", "portico.db", "a/%2e%2e/b"]
)
async def test_even_a_good_signature_leads_to_finished_files_only(downloads: Downloads, key: str) -> None:
    assert (
        await downloads.get(downloads.store.link(key, "x", "", now=NOW).replace("../", "%2e%2e/"))
    ).status_code == 404


async def test_the_link_of_a_deleted_recording_is_void_at_once(downloads: Downloads) -> None:
    """The file itself is deleted later, by a job."""
    account = await downloads.db.write(an_account)
    delete = partial(recordings.delete, account_id=account, recording_id=downloads.recording_id, now=NOW)
    await downloads.db.write(delete)
    answer = await downloads.get()
    assert downloads.path.exists()
    assert (answer.status_code, answer.json()["code"]) == (404, "10005")


async def test_a_file_that_is_missing_is_not_found(downloads: Downloads) -> None:
    downloads.path.unlink()
    assert (await downloads.get()).status_code == 404


async def test_pages_of_any_origin_may_ask_for_parts(downloads: Downloads) -> None:
    asked = {"origin": "https://elsewhere.example", "access-control-request-method": "GET"}
    answer = await downloads.browser.options(downloads.link, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Range" in answer.headers["access-control-allow-headers"]


def test_the_key_of_links_is_made_once(sqlite_url: str) -> None:
    async def both() -> tuple[services_files.LinkKeys, services_files.LinkKeys]:
        db = open_database(sqlite_url)
        try:
            first = await db.write(partial(services_files.load_link_keys, now=NOW))
            return first, await db.write(partial(services_files.load_link_keys, now=NOW + MINUTE))
        finally:
            await db.close()

    first, second = asyncio.run(both())
    assert first == second and [len(secret) for secret in first.accepted] == [32]


async def test_a_rotated_key_ends_no_link_before_its_time_unless_it_is_to_be_void(downloads: Downloads) -> None:
    db, store = downloads.db, downloads.store
    keys = await db.write(partial(services_files.load_link_keys, now=NOW))
    for void, expected in ((False, 200), (True, 403)):
        await db.write(partial(signing_keys.rotate, purpose=signing_keys.FILES, now=NOW, void=void))
        keys.accepted = await db.read(partial(services_files.read_link_keys, now=NOW + signing_keys.SETTLE))
        app = Starlette(routes=files.routes(db, store, keys, lambda: NOW))
        app.add_exception_handler(PorticoError, on_portico_error)  # type: ignore[arg-type]
        async with AsyncClient(transport=ASGITransport(app), base_url="http://here.example:8080") as browser:
            assert (await browser.get(downloads.link)).status_code == expected


# Behind a real server.


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[int]:
    """The port on which `app` answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=2))
        running = asyncio.create_task(server.serve([listening]))
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await running


async def replaced(downloads: Downloads, content: bytes) -> None:
    """Replace the recording's file by another one."""
    sha256 = hashlib.sha256(content).hexdigest()
    columns = recordings.RECORDINGS
    update = columns.update().values(size_bytes=len(content), sha256=sha256)
    await downloads.db.write(lambda tx: tx.execute(update))
    downloads.path.write_bytes(content)


async def test_ffprobe_plays_the_link(downloads: Downloads, tmp_path: Path) -> None:
    """Acceptance case 34: the codec that is named is in it, and seeking works."""
    sound = tmp_path / "tone.ogg"
    made = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=1000:d=60", "-c:a", "libopus", str(sound)]
    await asyncio.to_thread(subprocess.run, made, check=True)
    await replaced(downloads, sound.read_bytes())
    entries = ["-show_entries", "stream=codec_name:format=duration:packet=pts_time", "-read_intervals", "50%+0.1"]
    async with served(downloads.app) as port:
        url = downloads.link.replace("here.example:8080", f"127.0.0.1:{port}")
        probe = ["ffprobe", "-v", "error", "-of", "json", *entries, url]
        found = json.loads((await asyncio.to_thread(subprocess.run, probe, check=True, capture_output=True)).stdout)
    assert found["streams"][0]["codec_name"] == "opus"
    assert float(found["format"]["duration"]) == pytest.approx(60, abs=0.1)
    assert float(found["packets"][0]["pts_time"]) == pytest.approx(50, abs=1.5)


async def test_a_large_file_goes_out_whole_and_a_client_may_leave(downloads: Downloads) -> None:
    content = hashlib.shake_128(b"video").digest(20_000_000)
    await replaced(downloads, content)
    async with served(downloads.app) as port, AsyncClient(base_url=f"http://127.0.0.1:{port}") as browser:
        async with browser.stream("GET", downloads.link.partition(":8080")[2]) as leaving:
            assert leaving.headers["content-length"] == "20000000"
        answer = await browser.get(downloads.link.partition(":8080")[2])
        assert hashlib.sha256(answer.content).digest() == hashlib.sha256(content).digest()
        async with asyncio.timeout(10):
            while _is_open(downloads.path):  # the server closes the file after its last byte
                await asyncio.sleep(0.01)


def _is_open(path: Path) -> bool:
    """Whether this process, in which the server runs too, has the file open."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if descriptor.readlink() == path:
                return True
    return False
