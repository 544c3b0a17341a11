"""Compositions as durable jobs: waiting, composing, events; killed, deleted and failing meanwhile."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row
from structlog.testing import capture_logs

from portico.core.errors import NotFound
from portico.core.object_keys import recording_key
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import compositions, jobs, recordings, sessions
from portico.services.composition_sources import Work
from portico.services.compositions import Shared
from portico.storage.local import LocalStore
from portico.storage.open import open_store
from portico.storage.store import Store
from portico.worker.compositions.compose import LOOK_AGAIN, Compose
from portico.worker.runner import PAUSES
from tests.converter import pictures
from tests.converter.pictures import BLUE, RED, MediaFile
from tests.factories import NOW, facts, row, rows
from tests.pace import Pace
from tests.recorded import a_recorded_participant, converted, recording_of, started
from tests.storage.buckets import BUCKET, a_bucket
from tests.waiting import WITHIN_SECS, until
from tests.worker.recordings.workshop import Workshop

pytestmark = pytest.mark.timeout(600)
SECRET = bytes(range(32))
KIND = jobs.COMPOSE
SECONDS = 2.0
COMPOSED_WITHIN_SECS = 240.0
"""Others of a busy machine come before what composes."""


@dataclass
class Cutting:
    """A session of one person whose picture and sound are in the store, and what makes compositions."""

    workshop: Workshop
    data_dir: Path
    store: Store
    account_id: str
    room_id: str
    session_id: str
    least_free: int = 0

    @property
    def work(self) -> Path:
        return self.data_dir / "work" / "compositions"

    async def do(self, function: Any, **kwargs: Any) -> Any:
        return await self.workshop.database.write(partial(function, **kwargs))

    async def record(self, participant_id: str, kind: str, file: Path) -> str:
        """A finished recording of this file."""
        database = self.workshop.database
        recording_id: str = await database.write(partial(started, participant_id=participant_id, kind=kind))
        key = recording_key(self.session_id, recording_id, file.suffix[1:])
        await self.store.put(file, key, "video/webm", hashlib.sha256(file.read_bytes()).hexdigest())

        def complete(tx: Transaction) -> None:
            stream = row(tx, schema.room_recordings, recording_id).mjr_name
            assert recordings.discard(tx, recording_of(tx, stream, "audio" if kind == "video" else "video"))
            made = converted(tx, recording_id, seconds=SECONDS, size_bytes=file.stat().st_size)
            assert recordings.complete(tx, recording_id, replace(made, object_key=key), link, now=NOW)

        await database.write(complete)
        return recording_id

    async def end(self) -> None:
        await self.do(
            sessions.end,
            session_id=self.session_id,
            ended_reason="Ended from API",
            left_reason="session_ended",
            now=NOW,
        )

    async def request_composition(self, **members: Any) -> str:
        body = {"session_id": self.session_id, "resolution": "320x240", **members}
        make = partial(compositions.create, account_id=self.account_id, body=body, now=NOW)
        made = await self.workshop.database.write(partial(make, regions_max=16, sound_by_default=True))
        return made.id

    async def begin(self) -> None:
        """Start what makes compositions."""
        composer = Compose(
            self.workshop.database,
            self.store,
            self.data_dir,
            clock=self.workshop.clock,
            preset="fast",
            least_free_bytes=self.least_free,
        )
        await self.workshop.runner({KIND: composer.kind(1)})

    async def has(self, composition_id: str, status: str) -> Row[Any]:
        def found(tx: Transaction) -> Row[Any] | None:
            each = row(tx, schema.room_compositions, composition_id)
            return each if each.status == status else None

        return await self.workshop.until(found, COMPOSED_WITHIN_SECS)


def link(key: str, name: str) -> str:
    return f"https://files.example.com/{key}"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    return {
        "video": pictures.video(folder / "red.webm", RED, SECONDS),
        "blue": pictures.video(folder / "blue.webm", BLUE, SECONDS),
        "audio": pictures.tone(folder / "tone.ogg", 440, SECONDS),
    }


@pytest.fixture
async def cutting(database: Database, tmp_path: Path, sources: dict[str, Path]) -> AsyncIterator[Cutting]:
    workshop = Workshop(database)
    joined = await database.write(a_recorded_participant)
    session = await database.read(partial(row, table=schema.room_sessions, row_id=joined.session_id))
    store = open_store(None, tmp_path, secret=SECRET, base_url="http://127.0.0.1:8080")
    made = Cutting(workshop, tmp_path, store, session.account_id, session.room_id, session.id)
    await made.record(joined.participant_id, "video", sources["video"])
    await made.record(joined.participant_id, "audio", sources["audio"])
    yield made
    await workshop.stop()


async def test_a_composition_waits_for_the_session_and_is_made_and_reported(cutting: Cutting) -> None:
    composition_id = await cutting.request_composition()
    await cutting.begin()
    # It was looked at, and the session goes on.
    await cutting.workshop.job(leased_until=None, attempts=0, due_at=NOW + LOOK_AGAIN)
    assert (await cutting.has(composition_id, "enqueued")).progress == 0
    await cutting.end()
    await cutting.workshop.move(LOOK_AGAIN)
    composition = await cutting.has(composition_id, "completed")
    path = cutting.store.local_path(composition.object_key)
    assert path is not None and path.stat().st_size == composition.size_bytes
    seen = MediaFile(path)
    assert seen.size == (320, 240)
    assert pictures.seems(seen.frame(30), 160, 120) == RED
    assert pictures.loudness(seen.sound(), 440) > 0.1
    assert (composition.progress, composition.duration_secs) == (1.0, int(SECONDS))
    assert (composition.ended_at - composition.started_at).total_seconds() == SECONDS
    await cutting.workshop.idle()
    assert not cutting.work.exists() or not any(cutting.work.iterdir())
    events = await cutting.workshop.database.read(partial(facts, room_id=cutting.room_id))
    (payload,) = [payload for name, payload in events if name == "composition.completed"]
    assert payload["composition_id"] == composition_id and payload["download_url"].startswith("http://127.0.0.1:8080/")


async def test_of_a_session_without_recordings_there_is_no_composition(database: Database, tmp_path: Path) -> None:
    workshop = Workshop(database)
    joined = await database.write(a_recorded_participant)
    session = await database.read(partial(row, table=schema.room_sessions, row_id=joined.session_id))
    store = open_store(None, tmp_path, secret=SECRET, base_url="http://127.0.0.1:8080")
    at = Cutting(workshop, tmp_path, store, session.account_id, session.room_id, session.id)
    composition_id = await at.request_composition()
    await at.end()
    await at.begin()
    assert (await at.has(composition_id, "failed")).failure == "Nothing of this session was recorded."
    await workshop.idle()
    events = dict(await database.read(partial(facts, room_id=session.room_id)))
    assert events["composition.failed"]["failure"] == "Nothing of this session was recorded."
    await workshop.stop()


async def test_after_three_failures_it_says_why(cutting: Cutting) -> None:
    await cutting.end()
    composition_id = await cutting.request_composition()
    for path in (cutting.data_dir / "files" / "recordings").rglob("*.webm"):
        path.unlink()
    await cutting.begin()
    for attempt, pause in enumerate(PAUSES, 1):
        await cutting.workshop.job(attempts=attempt, leased_until=None)
        await cutting.workshop.move(pause)
    failed = await cutting.has(composition_id, "failed")
    assert "missing" in failed.failure
    await cutting.workshop.idle()
    assert not any(cutting.work.iterdir())


async def test_what_is_missing_in_a_bucket_is_named(cutting: Cutting, tmp_path: Path) -> None:
    await cutting.end()
    bucket = a_bucket()
    cutting.store = open_store(f"s3://{BUCKET}", tmp_path, secret=SECRET, base_url="", s3=bucket.access)
    with bucket.up():
        composition_id = await cutting.request_composition()
        await cutting.begin()
        for attempt, pause in enumerate(PAUSES, 1):
            await cutting.workshop.job(attempts=attempt, leased_until=None)
            await cutting.workshop.move(pause)
        failed = await cutting.has(composition_id, "failed")
        await cutting.workshop.idle()
    assert re.fullmatch(r"The file of a recording is missing: [0-9a-f-]+\.(webm|ogg)\.", failed.failure)
    assert not any(cutting.work.iterdir())


async def test_a_composition_waits_for_room_on_the_disk(cutting: Cutting) -> None:
    composition_id = await slow_composition(cutting)
    cutting.least_free = 2**60
    await cutting.begin()
    await cutting.has(composition_id, "processing")
    job = await cutting.workshop.job(leased_until=None, attempts=0, last_error=None)
    assert job.due_at > cutting.workshop.clock.now
    assert not any((cutting.work / composition_id).rglob("composition.mp4"))


async def slow_composition(cutting: Cutting) -> str:
    """A composition that takes a while: sources of minutes, made anew for each of many cells."""
    await cutting.end()

    def lengthen(tx: Transaction) -> None:
        rows = schema.room_recordings
        tx.execute(rows.update().values(ended_at=NOW + timedelta(minutes=20), shown=[[0, 2**45]]))

    await cutting.workshop.database.write(lengthen)
    return await cutting.request_composition(**slow_layout())


def slow_layout() -> dict[str, Any]:
    region = {"width": 64, "height": 48}
    layout = {
        f"r{n}": {**region, "x_pos": 80 * (n % 4), "y_pos": 60 * (n // 4), "video_sources": ["*"]} for n in range(16)
    }
    return {"resolution": "1280x720", "video_layout": layout}


async def test_what_is_deleted_in_the_middle_stops_and_leaves_nothing(cutting: Cutting) -> None:
    composition_id = await slow_composition(cutting)
    await cutting.begin()
    await cutting.has(composition_id, "processing")
    await running(cutting)
    await cutting.do(compositions.delete, account_id=cutting.account_id, composition_id=composition_id, now=NOW)
    async with Pace() as pace:
        while composers(cutting) or any(cutting.work.iterdir()):
            assert pace.secs < 2.0, "still there"
            await asyncio.sleep(0.02)
    with pytest.raises(NotFound):
        await cutting.workshop.database.read(
            partial(compositions.retrieve, account_id=cutting.account_id, composition_id=composition_id)
        )


async def test_what_is_deleted_while_it_waits_leaves_nothing(cutting: Cutting) -> None:
    composition_id = await slow_composition(cutting)
    cutting.least_free = 2**60
    await cutting.begin()
    await cutting.has(composition_id, "processing")
    await cutting.workshop.job(leased_until=None)
    assert any(cutting.work.iterdir())
    await cutting.do(compositions.delete, account_id=cutting.account_id, composition_id=composition_id, now=NOW)
    await until(lambda: not any(cutting.work.iterdir()))


class FarAway(LocalStore):
    """A store to which the upload of a composition never ends."""

    is_asked = False

    async def put(self, path: Path, key: str, content_type: str, sha256: str, *, filename: str | None = None) -> None:
        if key.startswith("compositions/"):
            self.is_asked = True
            await asyncio.Event().wait()
        await super().put(path, key, content_type, sha256, filename=filename)


async def test_what_is_deleted_while_it_is_stored_leaves_nothing(cutting: Cutting) -> None:
    await cutting.end()
    composition_id = await cutting.request_composition()
    store = cutting.store = FarAway(cutting.data_dir / "files", SECRET, "http://127.0.0.1:8080")
    await cutting.begin()
    await until(lambda: store.is_asked)
    await cutting.do(compositions.delete, account_id=cutting.account_id, composition_id=composition_id, now=NOW)
    await until(lambda: not any(cutting.work.iterdir()))


async def test_a_stopped_server_leaves_no_process_and_keeps_what_is_converted(cutting: Cutting) -> None:
    composition_id = await slow_composition(cutting)
    await cutting.begin()
    await running(cutting)
    await cutting.workshop.stop()
    assert composers(cutting) == []
    assert (cutting.work / composition_id / "plan.json").exists()
    assert (await cutting.has(composition_id, "processing")).progress < 1


def composers(cutting: Cutting) -> list[int]:
    """Processes that work in this test's folder."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            command = (each / "cmdline").read_text() if each.name.isdecimal() else ""
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if str(cutting.work) in command:
            found.append(int(each.name))
    return found


async def running(cutting: Cutting) -> None:
    async with asyncio.timeout(WITHIN_SECS):
        while not composers(cutting):
            await asyncio.sleep(0.02)


async def test_identical_requests_share_one_run_and_have_a_file_each(cutting: Cutting) -> None:
    await cutting.end()
    same = [await cutting.request_composition() for _ in range(5)]
    other = await cutting.request_composition(resolution="160x120")
    with capture_logs() as logs:
        await cutting.begin()
        made = [await cutting.has(composition_id, "completed") for composition_id in (*same, other)]
        await cutting.workshop.idle()
    assert sum(line["event"] == "composing" for line in logs) == 2
    assert len({each.object_key for each in made}) == 6
    assert len({each.sha256 for each in made[:5]}) == 1 and made[5].sha256 != made[0].sha256
    events = await cutting.workshop.database.read(partial(facts, room_id=cutting.room_id))
    assert {payload["composition_id"] for name, payload in events if name == "composition.completed"} == {*same, other}
    for composition_id in same[:4]:
        delete = partial(compositions.delete, account_id=cutting.account_id, composition_id=composition_id)
        await cutting.do(delete, now=NOW)
    path = cutting.store.local_path(made[4].object_key)
    assert path is not None and hashlib.sha256(path.read_bytes()).hexdigest() == made[4].sha256
    later = await cutting.request_composition()
    assert (await cutting.has(later, "completed")).sha256 == made[4].sha256
    assert sum(line["event"] == "composing" for line in logs) == 2


async def test_identical_requests_share_a_failure_and_a_later_one_is_tried_anew(cutting: Cutting) -> None:
    await cutting.end()
    first, second = await cutting.request_composition(), await cutting.request_composition()

    async def begin(composition_id: str) -> Any:
        return await cutting.do(compositions.begin, composition_id=composition_id, now=NOW)

    assert isinstance(await begin(first), Work)
    assert await begin(second) is None
    assert isinstance(await begin(first), Work)  # tried again
    assert await cutting.do(compositions.fail, composition_id=first, failure="It is so.", now=NOW)
    assert await begin(second) == Shared(None, "It is so.")
    body = {"session_id": cutting.session_id, "resolution": "320x240"}
    create = partial(compositions.create, account_id=cutting.account_id, body=body, now=NOW + timedelta(seconds=1))
    later = await cutting.workshop.database.write(partial(create, regions_max=16, sound_by_default=True))
    await cutting.do(compositions.fail, composition_id=second, failure="It is so.", now=NOW)
    assert isinstance(await begin(later.id), Work)


async def test_an_identical_request_is_made_when_the_one_that_it_waits_for_is_deleted(cutting: Cutting) -> None:
    first = await slow_composition(cutting)
    await cutting.begin()
    await running(cutting)
    again = await cutting.request_composition(**slow_layout())
    await cutting.workshop.until(lambda tx: rows(tx, schema.jobs, subject=again, attempts=0, leased_until=None) or None)
    assert (await cutting.has(again, "enqueued")).progress == 0
    await cutting.do(compositions.delete, account_id=cutting.account_id, composition_id=first, now=NOW)
    await cutting.has(again, "processing")
