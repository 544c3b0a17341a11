"""Durable jobs at work: a real database, a clock that is moved by hand, and runners that were started on them."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Row

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.db.wakeup import announce
from portico.services import clock, jobs
from portico.services.rows import Job
from portico.worker.runner import JobKind, Jobs
from tests.clocks import Clock
from tests.factories import NOW, rows
from tests.waiting import WITHIN_SECS, until

T = TypeVar("T")


class Workshop:
    """Starts job runners, enqueues jobs and waits for their outcome."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock(NOW)
        self.set_by = timedelta(0)
        self.runners: list[Jobs] = []

    async def runner(self, kinds: Mapping[str, JobKind]) -> Jobs:
        runner = Jobs(self.database, kinds, clock=self.clock, monotonic=self.secs)
        self.runners.append(runner)
        await runner.start()
        return runner

    def secs(self) -> float:
        """The monotonic clock: `now` without the steps of `set`."""
        return (self.clock.now - self.set_by).timestamp()

    async def stop(self) -> None:
        while self.runners:
            await self.runners.pop().stop()

    async def enqueue(self, kind: str, *subjects: str) -> None:
        def enqueue(tx: Transaction) -> None:
            for subject in subjects:
                jobs.enqueue(tx, kind, subject, now=self.clock.now)

        await self.database.write(enqueue)

    async def move(self, by: timedelta) -> None:
        """Let time pass and wake the runners."""
        self.clock.now += by
        await self.database.write(partial(announce, topic="jobs"))

    async def set(self, by: timedelta) -> None:
        """Step the wall clock without letting time pass; due times move with it."""
        await self.database.write(partial(clock.step, by=by, known=timedelta(0)))
        self.set_by += by
        await self.move(by)

    async def until(self, found: Callable[[Transaction], T | None], within: float = WITHIN_SECS) -> T:
        """Wait until `found` returns something true; return that."""
        return await until(partial(self.database.read, found), within)

    async def job(self, **wanted: Any) -> Row[Any]:
        """Wait until the only job has these values; return it."""

        def found(tx: Transaction) -> Row[Any] | None:
            here = rows(tx, schema.jobs)
            matches = here and all(getattr(here[0], name) == value for name, value in wanted.items())
            return here[0] if matches else None

        return await self.until(found)

    async def idle(self) -> None:
        """Wait until no job is left."""
        await self.until(lambda tx: not rows(tx, schema.jobs))


async def lose_heart(job: Job, reason: str) -> None:
    raise AssertionError(f"{job.kind} of {job.subject} was given up: {reason}")


def a_kind(run: Callable[[Job], Awaitable[None]], *, at_once: int = 2, give_up: Any = lose_heart) -> JobKind:
    return JobKind(run, give_up, at_once)
