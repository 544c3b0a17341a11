"""Durable jobs: when they run, how many at once, what a failure costs, and that a kill costs nothing.

The database is real. The clock is moved by hand; leases are also looked at in real time, once a second.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import jobs
from portico.services.rows import Job
from portico.storage.store import StorageUnavailable
from portico.worker.runner import (
    DEATHS_MAX,
    LEASE,
    OUTAGE_MAX,
    OUTAGE_PAUSE_MAX,
    OUTAGE_PAUSE_MIN,
    PAUSES,
    Jobs,
    NotYet,
)
from tests.factories import rows
from tests.pace import Pace
from tests.waiting import WITHIN_SECS, until
from tests.worker.late import LateAnswer
from tests.worker.recordings.workshop import Workshop, a_kind

SECOND = timedelta(seconds=1)
KIND = jobs.CONVERT_RECORDING


@pytest.fixture
async def workshop(database: Database) -> AsyncIterator[Workshop]:
    made = Workshop(database)
    yield made
    await made.stop()


class Bench:
    """Notes which jobs were begun and ended, and lets the test say when and how they end."""

    def __init__(self, *ends: Exception | None) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.given_up: list[tuple[str, str]] = []
        self.gate = asyncio.Event()
        self._ends = list(ends)
        if ends:
            self.gate.set()

    async def run(self, job: Job) -> None:
        self.begun.append(job.subject)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped.append(job.subject)
            raise
        end = self._ends.pop(0) if self._ends else None
        if end is not None:
            raise end

    async def give_up(self, job: Job, reason: str) -> None:
        self.given_up.append((job.subject, reason))

    async def was_begun(self, times: int) -> None:
        await until(lambda: len(self.begun) == times)


async def test_a_job_runs_at_once_and_is_gone_when_it_is_done(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint wakes the runner, which here would not look by itself."""
    monkeypatch.setattr("portico.worker.runner.POLL_SECS", 3600)
    bench = Bench(None)
    runner = await workshop.runner({KIND: a_kind(bench.run)})
    await workshop.enqueue(KIND, "a")
    await until(lambda: bench.begun)
    await workshop.idle()
    assert bench.begun == ["a"]
    await until(lambda: runner.running == 0)


async def test_a_job_of_another_process_is_found_without_a_hint(workshop: Workshop, database_url: str) -> None:
    bench = Bench(None)
    await workshop.runner({KIND: a_kind(bench.run)})
    other = open_database(database_url) if database_url.startswith("postgres") else workshop.database
    try:
        insert = schema.jobs.insert().values(
            id="x", kind=KIND, subject="a", due_at=workshop.clock.now, attempts=0, created_at=workshop.clock.now
        )
        await other.write(lambda tx: tx.execute(insert))
        await until(lambda: bench.begun)
    finally:
        if other is not workshop.database:
            await other.close()


async def test_only_so_many_of_a_kind_run_at_once(workshop: Workshop) -> None:
    slow, quick = Bench(), Bench(None)
    await workshop.enqueue(KIND, *"abcde")
    await workshop.enqueue(jobs.COMPOSE, "composition")
    kinds = {KIND: a_kind(slow.run, at_once=2), jobs.COMPOSE: a_kind(quick.run)}
    runner = await workshop.runner(kinds)
    await until(lambda: len(slow.begun) == 2 and quick.begun)
    await until(lambda: runner.running == 2)
    assert len(slow.begun) == 2
    slow.gate.set()
    await workshop.idle()
    assert sorted(slow.begun) == list("abcde")


async def test_kinds_that_a_runner_does_not_know_are_left_to_others(workshop: Workshop) -> None:
    bench = Bench(None)
    await workshop.enqueue(jobs.COMPOSE, "composition")
    await workshop.runner({KIND: a_kind(bench.run)})
    await workshop.enqueue(KIND, "a")
    job = await workshop.job(kind=jobs.COMPOSE)
    await until(lambda: bench.begun)
    assert (bench.begun, job.attempts, job.leased_until) == (["a"], 0, None)
    later = workshop.clock.now + SECOND
    await workshop.until(lambda tx: not rows(tx, schema.jobs, kind=KIND))
    assert await workshop.database.read(partial(jobs.next_due_at, kinds=[KIND], now=later)) is None, (
        "nothing to wake up for"
    )


async def test_a_failure_is_tried_three_times_with_pauses_and_then_given_up(workshop: Workshop) -> None:
    bench = Bench(*[ValueError(f"broken\n {number}") for number in (1, 2, 3)])
    await workshop.runner({KIND: a_kind(bench.run, give_up=bench.give_up)})
    await workshop.enqueue(KIND, "a")
    for number, pause in enumerate(PAUSES, 1):
        waiting = await workshop.job(attempts=number, leased_until=None, last_error=f"broken {number}")
        assert waiting.due_at == workshop.clock.now + pause
        assert len(bench.begun) == number
        await workshop.move(pause)
    await workshop.idle()
    assert bench.begun == ["a", "a", "a"]
    assert bench.given_up == [("a", "broken 3")]


async def test_waiting_for_something_is_no_failure(workshop: Workshop) -> None:
    bench = Bench(*[NotYet("not yet", SECOND / 2)] * 5, None)
    await workshop.runner({KIND: a_kind(bench.run)})
    await workshop.enqueue(KIND, "a")
    for number in range(1, 6):
        await bench.was_begun(number)
        waiting = await workshop.job(leased_until=None, attempts=0)
        assert waiting.due_at == workshop.clock.now + SECOND / 2
        await workshop.move(SECOND / 2)
    await workshop.idle()


async def test_a_store_that_is_down_is_waited_for_for_a_day(workshop: Workshop) -> None:
    bench = Bench(*[StorageUnavailable("no answer")] * 1000)
    await workshop.runner({KIND: a_kind(bench.run, give_up=bench.give_up)})
    await workshop.enqueue(KIND, "a")
    start = workshop.clock.now
    pauses: list[timedelta] = []
    while not pauses or pauses[-1] < OUTAGE_PAUSE_MAX:
        await bench.was_begun(len(pauses) + 1)
        waiting = await workshop.job(leased_until=None, attempts=0)
        pauses.append(waiting.due_at - workshop.clock.now)
        await workshop.move(pauses[-1])
    assert pauses[0] == OUTAGE_PAUSE_MIN and pauses[4] <= 8 * SECOND
    assert pauses == sorted(pauses)
    for times, nearly in enumerate((OUTAGE_MAX / 2, OUTAGE_MAX - SECOND), len(pauses) + 1):
        await bench.was_begun(times)
        await workshop.job(leased_until=None, attempts=0)
        await workshop.move(start + nearly - workshop.clock.now)
        await workshop.job(leased_until=None, due_at=start + nearly + OUTAGE_PAUSE_MAX)
    assert bench.given_up == []
    await workshop.move(OUTAGE_PAUSE_MAX)
    await workshop.idle()
    assert bench.given_up == [("a", "no answer")]


async def test_a_clock_that_is_set_gives_no_job_up(workshop: Workshop) -> None:
    bench = Bench(*[StorageUnavailable("no answer")] * 2, None)
    await workshop.runner({KIND: a_kind(bench.run, give_up=bench.give_up)})
    await workshop.enqueue(KIND, "a")
    await bench.was_begun(1)
    await workshop.job(leased_until=None, attempts=0)
    await workshop.set(2 * OUTAGE_MAX)
    for number in (2, 3):
        await workshop.move(OUTAGE_PAUSE_MAX)
        await bench.was_begun(number)
        await workshop.until(lambda tx: not [job for job in rows(tx, schema.jobs) if job.leased_until is not None])
    await workshop.idle()
    assert bench.given_up == []


async def test_a_store_that_comes_back_costs_no_try(workshop: Workshop) -> None:
    failure = StorageUnavailable("no answer")
    bench = Bench(*[failure] * 6, ValueError("ours"), failure, None)
    await workshop.runner({KIND: a_kind(bench.run)})
    await workshop.enqueue(KIND, "a")
    for number in range(1, 9):
        await bench.was_begun(number)
        await workshop.job(leased_until=None)
        await workshop.move(OUTAGE_PAUSE_MAX)
    await workshop.idle()
    assert len(bench.begun) == 9


async def test_a_cancelled_job_is_stopped_within_two_seconds(workshop: Workshop) -> None:
    bench = Bench()
    runner = await workshop.runner({KIND: a_kind(bench.run)})
    await workshop.enqueue(KIND, "a")
    await until(lambda: bench.begun)
    async with Pace() as pace:
        await workshop.database.write(partial(jobs.cancel, kind=KIND, subject="a"))
        await until(lambda: bench.stopped)
    assert pace.secs < 2
    await until(lambda: runner.running == 0)


def is_leased_beyond(tx: Transaction, was: datetime) -> bool:
    return bool(rows(tx, schema.jobs)[0].leased_until > was)


async def test_a_long_job_keeps_its_lease(workshop: Workshop) -> None:
    first, second = Bench(), Bench()
    await workshop.runner({KIND: a_kind(first.run)})
    await workshop.enqueue(KIND, "a")
    await until(lambda: first.begun)
    await workshop.runner({KIND: a_kind(second.run)})
    for _ in range(3):
        was = (await workshop.job()).leased_until
        workshop.clock.now += LEASE - SECOND  # no worker is woken: only the renewal can be seen
        await workshop.until(partial(is_leased_beyond, was=was))
    assert second.begun == []
    first.gate.set()
    await workshop.idle()


async def test_a_worker_that_lost_the_lease_stops_and_changes_nothing(workshop: Workshop) -> None:
    """A job whose lease another worker took, as after a suspended machine, keeps what that worker wrote."""
    bench = Bench()
    await workshop.runner({KIND: a_kind(bench.run)})
    await workshop.enqueue(KIND, "a")
    await until(lambda: bench.begun)

    def take_over(tx: Transaction) -> None:
        later = workshop.clock.now + 2 * LEASE
        (taken,) = jobs.claim(tx, [KIND], now=later, lease=10 * LEASE, limit=1)
        assert taken.attempts == 2

    await workshop.database.write(take_over)
    bench.gate.set()
    await until(lambda: workshop.runners[0].running == 0)
    job = await workshop.job()
    assert (job.attempts, job.leased_until) == (2, workshop.clock.now + 12 * LEASE)


async def test_stopping_gives_the_work_back(workshop: Workshop) -> None:
    bench, next_one = Bench(), Bench(None)
    await workshop.runner({KIND: a_kind(bench.run)})
    await workshop.enqueue(KIND, "a")
    await until(lambda: bench.begun)
    await workshop.stop()
    assert bench.stopped == ["a"]
    job = await workshop.job()
    assert (job.attempts, job.leased_until, job.due_at) == (0, None, workshop.clock.now)
    await workshop.runner({KIND: a_kind(next_one.run)})
    await workshop.idle()
    assert next_one.begun == ["a"]


async def test_what_is_claimed_while_a_runner_stops_is_given_back_too(workshop: Workshop) -> None:
    bench, next_one = Bench(), Bench(None)
    late = LateAnswer(workshop.database, jobs.claim)
    stopped = Jobs(late, {KIND: a_kind(bench.run)}, clock=workshop.clock)
    await stopped.start()
    await workshop.enqueue(KIND, "a")
    await asyncio.wait_for(late.done.wait(), WITHIN_SECS)
    stopping = asyncio.create_task(stopped.stop())
    await asyncio.sleep(0)
    late.let_go.set()
    await asyncio.wait_for(stopping, WITHIN_SECS)
    job = await workshop.job()
    assert (bench.begun, job.attempts, job.leased_until) == ([], 0, None)
    await workshop.runner({KIND: a_kind(next_one.run)})
    await workshop.idle()
    assert next_one.begun == ["a"]


async def test_a_job_that_takes_the_server_with_it_each_time_is_given_up(workshop: Workshop) -> None:
    await workshop.enqueue(KIND, "a")
    for _ in range(DEATHS_MAX):
        claim = partial(jobs.claim, kinds=[KIND], now=workshop.clock.now, lease=LEASE, limit=1)
        assert len(await workshop.database.write(claim)) == 1
        workshop.clock.now += LEASE
    bench = Bench(None)
    await workshop.runner({KIND: a_kind(bench.run, give_up=bench.give_up)})
    await workshop.idle()
    assert (bench.begun, bench.given_up) == ([], [("a", "The server ended each time that it was tried.")])


async def test_a_kill_does_not_take_the_second_chance_of_a_failure(workshop: Workshop) -> None:
    await workshop.enqueue(KIND, "a")
    for _ in range(4):
        await workshop.database.write(partial(jobs.claim, kinds=[KIND], now=workshop.clock.now, lease=LEASE, limit=1))
        workshop.clock.now += LEASE
    bench = Bench(ValueError("once"), None)
    await workshop.runner({KIND: a_kind(bench.run)})
    await workshop.job(last_error="once", leased_until=None)
    await workshop.move(PAUSES[-1])
    await workshop.idle()
    assert bench.begun == ["a", "a"]


async def test_giving_up_that_fails_is_tried_again(workshop: Workshop) -> None:
    bench = Bench(*[ValueError("broken")] * 5)
    calls: list[str] = []

    async def give_up(job: Job, reason: str) -> None:
        calls.append(reason)
        if len(calls) == 1:
            raise OSError("no disk")

    await workshop.runner({KIND: a_kind(bench.run, give_up=give_up)})
    await workshop.enqueue(KIND, "a")
    for number, pause in enumerate(PAUSES, 1):
        await workshop.job(attempts=number, leased_until=None)
        await workshop.move(pause)
    await until(lambda: calls)
    await until(lambda: workshop.runners[0].running == 0)
    await workshop.move(LEASE + SECOND)
    await workshop.idle()
    assert calls == ["broken", "broken"]


CHILD = """
import asyncio, sys
from datetime import UTC, datetime
from portico.db.connect import open_database
from portico.worker.runner import JobKind, Jobs

async def run(job):
    print("begun", job.subject, job.attempts, flush=True)
    await asyncio.sleep(float(sys.argv[2]))

async def main():
    kinds = {"convert_recording": JobKind(run, None, 2)}
    runner = Jobs(open_database(sys.argv[1]), kinds, clock=lambda: datetime.now(UTC))
    await runner.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_job_of_a_killed_process_is_run_again_when_its_lease_is_over(postgres_url: str) -> None:
    """Two real processes; the lease is the real one."""

    def child(secs: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHILD, postgres_url, str(secs)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    async def enqueue() -> None:
        database = open_database(postgres_url)
        await database.write(partial(jobs.enqueue, kind=KIND, subject="a", now=datetime.now(UTC)))
        await database.close()

    async def left() -> int:
        database = open_database(postgres_url)
        count = len(await database.read(partial(rows, table=schema.jobs)))
        await database.close()
        return count

    asyncio.run(enqueue())
    with child(1000) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "begun a 1\n"
        with child(0) as second:
            try:
                os.kill(first.pid, signal.SIGKILL)
                assert second.stdout is not None
                assert second.stdout.readline() == "begun a 2\n"

                async def gone() -> None:
                    async with asyncio.timeout(WITHIN_SECS):
                        while await left():
                            await asyncio.sleep(0.05)

                asyncio.run(gone())
            finally:
                second.kill()
