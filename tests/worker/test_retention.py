"""Old recordings and compositions are deleted when an operator wants that, with their files, and new ones are not."""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import jobs
from portico.worker.retention import Retention, forget
from tests.factories import NOW, row, rows
from tests.recorded import a_recorded_participant, a_recording, over, started
from tests.waiting import WITHIN_SECS

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def a_composition(tx: Transaction, participant_id: str, completed_at: datetime | None) -> str:
    """A composition, completed at that time or still waiting: its id."""
    here = row(tx, schema.room_participants, participant_id)
    composition_id = str(uuid4())
    values = {
        "id": composition_id,
        "account_id": here.account_id,
        "room_id": here.room_id,
        "session_id": here.session_id,
        "status": "completed" if completed_at else "enqueued",
        "format": "mp4",
        "resolution": "1280x720",
        "video_layout": {},
        "show_placeholders": False,
        "webhook_event_failover_url": "",
        "progress": 0.0,
        "object_key": f"compositions/{composition_id}.mp4" if completed_at else None,
        "completed_at": completed_at,
        "created_at": NOW,
        "updated_at": NOW,
    }
    tx.execute(schema.room_compositions.insert().values(values))
    return composition_id


def kept(tx: Transaction) -> set[str]:
    return {each.id for table in (schema.room_recordings, schema.room_compositions) for each in rows(tx, table)}


def completed(tx: Transaction) -> set[str]:
    tables = (schema.room_recordings, schema.room_compositions)
    return {each.id for table in tables for each in rows(tx, table) if each.completed_at is not None}


def a_library(tx: Transaction) -> tuple[set[str], set[str]]:
    """Recordings and compositions of two accounts: the ids of old ones, and of all others."""
    old, new = set(), set()
    for account in ("default", "other"):
        participant = a_recorded_participant(tx, account=account).participant_id
        old |= {a_recording(tx, participant, now=NOW), a_composition(tx, participant, NOW)}
        new |= {a_recording(tx, participant, now=NOW + 2 * DAY), a_composition(tx, participant, NOW + 2 * DAY)}
        new |= {a_composition(tx, participant, None), started(tx, participant, "audio", now=NOW)}
    return old, new


async def test_what_is_old_goes_with_its_files_and_nothing_else(database: Database) -> None:
    old, new = await database.write(a_library)
    silent = await database.read(kept) - old - new  # the other tracks of streams
    assert await forget(database, before=NOW + DAY, now=NOW + 3 * DAY) == len(old)
    assert await database.read(kept) == new | silent
    deletions = await database.read(partial(rows, table=schema.jobs, kind=jobs.DELETE_OBJECT))
    assert {each.subject.rpartition("/")[2].partition(".")[0] for each in deletions} == old
    assert await forget(database, before=NOW + DAY, now=NOW + 3 * DAY) == 0


async def test_the_history_is_forgotten_when_it_is_old_and_not_with_the_setting_of_zero(database: Database) -> None:
    def end_session(tx: Transaction) -> str:
        person = a_recorded_participant(tx)
        over(tx, person.session_id, now=NOW)
        return person.session_id

    session_id = await database.write(end_session)
    there = partial(rows, table=schema.room_sessions, id=session_id)
    for history_for, later, left in ((timedelta(0), 9, 1), (2 * DAY, 1, 1), (2 * DAY, 3, 0)):
        clock = partial(NOW.__add__, later * DAY)
        await Retention(database, keep_for=timedelta(0), history_for=history_for, clock=clock).forget()
        assert len(await database.read(there)) == left


async def test_a_setting_of_zero_keeps_everything(database: Database) -> None:
    old, new = await database.write(a_library)
    idle = Retention(database, keep_for=timedelta(0), clock=lambda: NOW + 2.5 * DAY)
    busy = Retention(database, keep_for=DAY, clock=lambda: NOW + 2.5 * DAY)
    await idle.start()
    assert old | new <= await database.read(kept)
    await busy.start()
    async with asyncio.timeout(WITHIN_SECS):
        while old & await database.read(kept):
            await asyncio.sleep(0.005)
    assert new <= await database.read(kept)
    await idle.stop()
    await busy.stop()


class Clocks:
    """A wall clock and a monotonic one, which part only when the wall clock is set."""

    def __init__(self) -> None:
        self.wall = NOW + 2.5 * DAY
        self.secs = 1000.0

    def pass_by(self, time: timedelta) -> None:
        self.wall += time
        self.secs += time.total_seconds()

    def retention(self, db: Database) -> Retention:
        """That of a process which starts now. What was completed two days ago is old."""
        return Retention(db, keep_for=2 * DAY, clock=lambda: self.wall, monotonic=lambda: self.secs)


async def test_a_clock_that_is_set_ahead_deletes_nothing_until_it_is_confirmed(database: Database) -> None:
    old, new = await database.write(a_library)
    clocks = Clocks()
    retention = clocks.retention(database)
    await retention.forget()
    left = await database.read(kept)
    assert not old & left and new <= left
    finished = await database.read(completed)
    assert finished
    clocks.wall += 10 * 365 * DAY
    for _ in range(23):
        await retention.forget()
        clocks.pass_by(HOUR)
    assert await database.read(kept) == left
    clocks.wall -= 10 * 365 * DAY
    await retention.forget()
    assert await database.read(kept) == left, "the clock is right again"
    clocks.wall += 10 * 365 * DAY
    for _ in range(25):
        await retention.forget()
        clocks.pass_by(HOUR)
    assert not finished & await database.read(kept), "it stayed so for a day"


async def test_a_restart_does_not_confirm_a_clock(database: Database) -> None:
    old, _ = await database.write(a_library)
    clocks = Clocks()
    clocks.wall = NOW + 0.5 * DAY
    await clocks.retention(database).forget()
    clocks.wall += 400 * DAY
    for _ in range(23):
        await clocks.retention(database).forget()
        clocks.pass_by(HOUR)
    assert old <= await database.read(kept)
    clocks.pass_by(2 * HOUR)
    await clocks.retention(database).forget()
    assert not old & await database.read(kept)


async def test_the_first_round_is_compared_with_the_newest_event(database: Database) -> None:
    """Whether no server ran for months, or the clock is months ahead, cannot be known: a day shows it."""
    old, _ = await database.write(a_library)
    clocks = Clocks()
    clocks.wall = NOW + 90 * DAY
    retention = clocks.retention(database)
    await retention.forget()
    assert old <= await database.read(kept)
    clocks.pass_by(25 * HOUR)
    await retention.forget()
    assert not old & await database.read(kept)


async def test_a_server_that_was_stopped_for_weeks_deletes_at_once(database: Database) -> None:
    old, _ = await database.write(a_library)
    clocks = Clocks()
    clocks.wall = NOW + 20 * DAY
    await clocks.retention(database).forget()
    assert not old & await database.read(kept)
