"""The one clock of the program, set while several processes share a database."""

import asyncio
import time
from datetime import timedelta
from functools import partial

import pytest

from portico.app.clock import DRIFT, Clock, ClockKeeper
from portico.db.engine import Database
from portico.services import clock as clock_rows
from portico.services import jobs
from portico.services.rows import Job
from portico.worker.runner import Jobs
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
