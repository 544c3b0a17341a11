"""What a participant publishes becomes rows and requests to Janus, on both databases, whatever fails on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.gateway.recorder import Recorder
from portico.services import participants
from portico.signaling.effects import PublishedStream
from tests.factories import a_participant, a_room
from tests.waiting import until

SELF = PublishedStream(7, "self", frozenset({"audio", "video"}))
BOTH = frozenset({"audio", "video"})


class RecordedParticipant:
    """A recorder of a participant, and what it requested of Janus."""

    def __init__(self, db: Database, participant_id: str, *, room_on_disk: bool = True) -> None:
        self.db = db
        self.participant_id = participant_id
        self.requests: list[tuple[int, str | None]] = []
        self.began = self.now = datetime(2026, 3, 26, 12, tzinfo=UTC)
        self.stepped = timedelta(0)
        """By how much the wall clock was set while time passed as `now` says."""
        self.recorder = Recorder(
            db,
            participant_id,
            self.record,
            lambda: self.now + self.stepped,
            node_id="0a1b2c3d",
            room_on_disk=room_on_disk,
            monotonic=self.passed_secs,
        )

    def passed_secs(self) -> float:
        return (self.now - self.began).total_seconds()

    async def record(self, handle: int, mjr_name: str | None) -> None:
        self.requests.append((handle, mjr_name))

    async def rows(self) -> list[Any]:
        def read(tx: Transaction) -> list[Any]:
            recordings = schema.room_recordings
            return list(tx.execute(select(recordings).order_by(recordings.c.created_at, recordings.c.type)))

        return await self.db.read(read)

    async def events(self) -> list[str]:
        def read(tx: Transaction) -> list[str]:
            kinds = select(schema.events.c.event_type).order_by(schema.events.c.seq)
            return [kind for (kind,) in tx.execute(kinds) if "recording" in kind]

        return await self.db.read(read)

    async def until(self, true: Any) -> None:
        async def rows_are_so() -> bool:
            return bool(true(await self.rows()))

        await until(rows_are_so)

    def ms(self, secs: float = 0) -> int:
        return int((self.now + timedelta(seconds=secs)).timestamp() * 1000)


@asynccontextmanager
async def recorded_participant(db: Database, **options: Any) -> AsyncIterator[RecordedParticipant]:
    room_id = await db.write(partial(a_room, enable_recording=True))
    joined = await db.write(partial(a_participant, room_id=room_id))
    made = RecordedParticipant(db, joined.participant_id, **options)
    running = asyncio.create_task(made.recorder.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_rows_come_before_the_mjr_file_and_show_with_the_first_media(database: Database) -> None:
    async with recorded_participant(database) as at:
        at.recorder.published(SELF)
        await at.until(lambda rows: len(rows) == 2 and at.requests)
        audio, video = await at.rows()
        assert (audio.type, video.type, audio.stream_key) == ("audio", "video", "self")
        assert audio.started_at is None and video.started_at is None
        assert at.requests == [(7, audio.mjr_name)] and audio.mjr_name == video.mjr_name
        at.recorder.published(replace(SELF, with_media=frozenset({"audio"})))
        await at.until(lambda rows: sum(row.started_at is not None for row in rows) == 1)
        at.recorder.published(replace(SELF, with_media=BOTH))
        await at.until(lambda rows: all(row.started_at is not None for row in rows))
        assert await at.events() == ["video.room.recording.started"] * 2
        at.now += timedelta(seconds=30)
        at.recorder.unpublished(7)
        await at.until(lambda rows: all(row.ended_at == at.now for row in rows))
        assert all(row.shown == [[at.ms(-30), at.ms()]] for row in await at.rows())


async def test_a_track_that_is_never_enabled_starts_nothing(database: Database) -> None:
    async with recorded_participant(database) as at:
        at.recorder.published(replace(SELF, enabled=frozenset({"audio"}), with_media=BOTH))
        await at.until(lambda rows: any(row.started_at is not None for row in rows))
        at.recorder.unpublished(7)
        await at.until(lambda rows: all(row.ended_at is not None for row in rows))
        started = {row.type: row.started_at for row in await at.rows()}
        assert started["audio"] is not None and started["video"] is None


async def test_the_camera_that_comes_later_starts_then(database: Database) -> None:
    async with recorded_participant(database) as at:
        at.recorder.published(replace(SELF, enabled=frozenset({"audio"}), with_media=BOTH))
        await at.until(lambda rows: any(row.started_at is not None for row in rows))
        at.now += timedelta(seconds=20)
        at.recorder.published(replace(SELF, with_media=BOTH))
        await at.until(lambda rows: all(row.started_at is not None for row in rows))
        (video,) = [row for row in await at.rows() if row.type == "video"]
        assert video.started_at == at.now and video.shown == [[at.ms(), None]]


async def test_switching_the_camera_is_kept_and_closed_by_leaving(database: Database) -> None:
    async with recorded_participant(database) as at:
        at.recorder.published(replace(SELF, with_media=BOTH))
        for secs, enabled in ((10, {"audio"}), (20, {"audio", "video"}), (30, {"audio"}), (31, {"audio", "video"})):
            at.now = datetime(2026, 3, 26, 12, 0, secs, tzinfo=UTC)
            at.recorder.published(replace(SELF, enabled=frozenset(enabled), with_media=BOTH))
        await at.recorder.write()
        at.now += timedelta(seconds=9)
        leave = partial(participants.leave, participant_id=at.participant_id, reason="left", now=at.now)
        assert await database.write(leave)
        audio, video = await at.rows()
        assert audio.shown == [[at.ms(-40), at.ms()]]
        assert video.shown == [[at.ms(-40), at.ms(-30)], [at.ms(-20), at.ms(-10)], [at.ms(-9), at.ms()]]


async def test_setting_the_wall_clock_moves_no_timeline(database: Database) -> None:
    """Janus dates a file when it begins it, and the timeline counts from there."""
    async with recorded_participant(database) as at:
        at.recorder.published(replace(SELF, with_media=BOTH))
        for secs, stepped, enabled in ((10, -600, {"audio"}), (20, 3600, {"audio", "video"})):
            at.now, at.stepped = at.began + timedelta(seconds=secs), timedelta(seconds=stepped)
            at.recorder.published(replace(SELF, enabled=frozenset(enabled), with_media=BOTH))
        at.now, at.stepped = at.began + timedelta(seconds=30), timedelta(seconds=-600)
        at.recorder.leave()
        await at.recorder.write()
        now = at.now + at.stepped
        assert await database.write(
            partial(participants.leave, participant_id=at.participant_id, reason="left", now=now)
        )
        audio, video = await at.rows()
        assert audio.shown == [[at.ms(-30), at.ms()]]
        assert video.shown == [[at.ms(-30), at.ms(-20)], [at.ms(-10), at.ms()]]


async def test_without_room_on_the_disk_recording_ends_and_with_room_it_goes_on(database: Database) -> None:
    async with recorded_participant(database) as at:
        at.recorder.published(replace(SELF, with_media=BOTH))
        await at.until(lambda rows: len(rows) == 2 and all(row.started_at is not None for row in rows))
        at.now += timedelta(seconds=5)
        at.recorder.set_room_on_disk(False)
        await at.until(lambda rows: all(row.ended_at == at.now for row in rows))
        first = at.requests[0][1]
        assert at.requests == [(7, first), (7, None)]
        at.recorder.published(replace(SELF, enabled=frozenset({"audio"}), with_media=BOTH))
        at.now += timedelta(seconds=5)
        at.recorder.set_room_on_disk(True)
        await at.until(lambda rows: len(rows) == 4 and sum(row.started_at is not None for row in rows) == 3)
        assert len(at.requests) == 3 and at.requests[2][1] not in (None, first)


async def test_who_joins_while_there_is_no_room_is_recorded_when_there_is(database: Database) -> None:
    async with recorded_participant(database, room_on_disk=False) as at:
        at.recorder.published(replace(SELF, with_media=BOTH))
        await asyncio.sleep(0.2)  # nothing is to happen
        assert (at.requests, await at.rows()) == ([], [])
        at.recorder.set_room_on_disk(True)
        await at.until(lambda rows: len(rows) == 2 and all(row.started_at is not None for row in rows))


async def test_a_handle_that_publishes_again_gets_files_of_its_own(database: Database) -> None:
    async with recorded_participant(database) as at:
        at.recorder.published(replace(SELF, with_media=BOTH))
        at.recorder.unpublished(7)
        at.recorder.published(replace(SELF, with_media=BOTH))
        await at.until(lambda rows: at.requests and any(row.ended_at is None for row in rows))
        (mjr_name,) = {row.mjr_name for row in await at.rows() if row.ended_at is None}
        assert at.requests[-1] == (7, mjr_name)


async def test_who_has_left_is_not_recorded(database: Database) -> None:
    async with recorded_participant(database) as at:
        leave = partial(participants.leave, participant_id=at.participant_id, reason="left", now=at.now)
        await database.write(leave)
        at.recorder.published(replace(SELF, with_media=BOTH))
        await at.recorder.write()
        assert (at.requests, await at.rows()) == ([], [])
