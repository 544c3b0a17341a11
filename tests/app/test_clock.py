"""The one clock of the program, set while several processes share a database."""

import asyncio
import time
from datetime import timedelta
from functools import partial

import pytest

from portico.app.clock import DRIFT, Clock, ClockKeeper
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database
from portico.services import clock as clock_rows
from portico.services import gateways, jobs
from portico.services.rows import Job
from portico.worker.runner import Jobs
from tests.factories import rows
from tests.waiting import WITHIN_SECS, until
from tests.worker.recordings.workshop import a_kind

HOUR = timedelta(hours=1)
DUE_IN = timedelta(seconds=3)


async def test_a_step_from_before_a_process_began_is_not_taken_off_the_next_one(database: Database) -> None:
    """The wall clock was set by an hour, a process started, and only then did another one move the rows."""
    clock = Clock()
    keeper = ClockKeeper(database, clock)
    await keeper.start()

    async def is_right() -> bool:
        return abs(clock().timestamp() - time.time()) < DRIFT.total_seconds()

    async def is_moved() -> bool:
        return await database.read(clock_rows.stepped) != HOUR

    try:
        await database.write(partial(clock_rows.step, by=HOUR, known=timedelta(0)))
        clock.set(-4 * DRIFT)
        await until(is_right)  # it has looked
        clock.set(-2 * HOUR)
        await until(is_moved)
    finally:
        await keeper.stop()
    assert abs(await database.read(clock_rows.stepped) - 3 * HOUR) < 4 * DRIFT


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_job_that_waits_is_due_as_soon_as_without_a_step(database: Database, step: timedelta) -> None:
    clock, begun = Clock(), asyncio.Event()

    async def run(job: Job) -> None:
        begun.set()

    async def is_moved() -> bool:
        return abs(await database.read(clock_rows.stepped)) > HOUR / 2

    keeper = ClockKeeper(database, clock)
    runner = Jobs(database, {"work": a_kind(run)}, clock=clock)
    clock.set(-step)  # the time before the step
    queued_at = time.monotonic()
    await database.write(partial(jobs.enqueue, kind="work", subject="a", now=clock(), due_at=clock() + DUE_IN))
    clock.set(step)
    await keeper.start()
    clock.set(-step)  # now the wall clock differs by the step, as if it had just been set
    await runner.start()
    try:
        await until(is_moved)
        async with asyncio.timeout(WITHIN_SECS):
            await begun.wait()
        waited = timedelta(seconds=time.monotonic() - queued_at)
    finally:
        await runner.stop()
        await keeper.stop()
    assert waited >= DUE_IN - 2 * DRIFT


@pytest.mark.postgres
@pytest.mark.parametrize("others_run", [True, False])
async def test_a_machine_that_was_suspended_moves_nothing_that_others_wait_for(
    postgres_url: str, others_run: bool
) -> None:
    """Its monotonic clock stood still for an hour. Where it is alone, what was due meanwhile is due an hour later."""
    db = open_database(postgres_url)
    clock = Clock()
    keeper = ClockKeeper(db, clock)
    try:
        await keeper.start()
        due_at = clock() + timedelta(minutes=5)
        await db.write(partial(jobs.enqueue, kind="work", subject="a", now=clock(), due_at=due_at))
        if others_run:
            await db.write(lambda tx: gateways.register(tx, clock_rows.database_now(tx)))
        clock.set(-HOUR)

        async def is_right() -> bool:
            return abs((await db.read(clock_rows.database_now) - clock()).total_seconds()) < 1

        await until(is_right)
        await keeper.stop()
        (job,) = await db.read(partial(rows, table=schema.jobs))
        assert abs(job.due_at - due_at - (timedelta(0) if others_run else HOUR)) < 4 * DRIFT
        assert (await db.read(clock_rows.stepped) > HOUR / 2) is not others_run
    finally:
        await keeper.stop()
        await db.close()
