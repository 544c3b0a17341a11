"""Runs durable jobs: claims what is due, keeps its lease meanwhile, and decides what a failure means."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from portico.core.errors import Busy, DatabaseUnavailable
from portico.db.engine import Database, Transaction
from portico.db.outage import faults_logged
from portico.runtime.acquire import take
from portico.runtime.periodic import Periodic, cancel
from portico.services import jobs
from portico.services.rows import Job
from portico.storage.store import StorageUnavailable

log = structlog.get_logger()

POLL_SECS = 1.0
"""How often the rows are read without a hint of new work (db/wakeup.py)."""
LEASE = timedelta(seconds=15)
"""A job of a process that was killed is run again after this."""
RENEW_SECS = 1.0
"""The pause between renewals of a lease; by one of them a worker learns that its job was cancelled."""
TRIES = 3
PAUSES = (timedelta(seconds=2), timedelta(seconds=10))
"""The pauses after the first and after the second failure of a job."""
DEATHS_MAX = 10
"""A job that was claimed more often is given up: it has not failed, its process has died each time."""
OUTAGE_MAX = timedelta(hours=24)
"""How long a job waits for a store or a database that cannot be used."""
OUTAGE_PAUSE_MIN, OUTAGE_PAUSE_MAX = timedelta(seconds=1), timedelta(minutes=5)


class NotYet(Exception):
    """The job waits for something and comes again after `pause`; that is no failure."""

    def __init__(self, why: str, pause: timedelta) -> None:
        super().__init__(why)
        self.pause = pause


class JobFailed(Exception):
    """The job failed, for the reason in str(); the log needs no traceback."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """The functions for one kind of job. Both are run again if their process is killed, at whatever line."""

    run: Callable[[Job], Awaitable[None]]
    """Does the job. It is cancelled when the job is deleted or the server stops."""
    give_up: Callable[[Job, str], Awaitable[None]]
    """Records in the database the reason for which the job cannot be done."""
    at_once: int
    in_turn: bool = False
    """Whether accounts take turns with jobs of this kind."""


class Jobs:
    """Claims and runs jobs. Each process has one; any number of processes may share a database."""

    def __init__(
        self,
        db: Database,
        kinds: Mapping[str, JobKind],
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._kinds = kinds
        self._clock = clock
        self._monotonic = monotonic
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], Job] = {}
        self._outage_since: dict[str, float] = {}  # by job, in seconds of `monotonic`
        self._loop = Periodic(
            self._claim_all, POLL_SECS, partial(faults_logged, "claiming jobs failed"), wake=self._wake
        )

    @property
    def running(self) -> int:
        """How many jobs this process runs."""
        return len(self._running)

    async def start(self) -> None:
        """Begin to run jobs that are due."""
        self._db.commits.listen("jobs", self._wake)
        self._loop.start()

    async def stop(self) -> None:
        """Cancel the running jobs and give them back, due at once for another worker."""
        await self._loop.stop()
        under_way = dict(self._running)
        await cancel(*under_way)
        await self._give_back(under_way.values())

    async def _claim_all(self) -> float:
        """Start jobs that are due; returns the seconds until the next one may be due.

        A job that is due and was not claimed waits for one that runs, whose end wakes us.
        """
        while await self._claim():
            pass
        now = self._clock()
        due_at = await self._db.read(partial(jobs.next_due_at, kinds=list(self._kinds), now=now))
        return POLL_SECS if due_at is None or due_at <= now else min(POLL_SECS, (due_at - now).total_seconds())

    async def _claim(self) -> bool:
        """Start jobs that are due, as far as there are free slots; True if any was due."""
        due_at = await self._db.read(partial(jobs.next_due_at, kinds=list(self._kinds), now=self._clock()))
        if due_at is None or due_at > self._clock():
            return False
        claimed = await take(self._claim_due(), self._give_back)
        for job in claimed:
            task = asyncio.create_task(self._work(job))
            self._running[task] = job
            task.add_done_callback(self._done)
        return bool(claimed)

    async def _claim_due(self) -> list[Job]:
        claimed: list[Job] = []
        for kind, how in self._kinds.items():
            free = how.at_once - sum(job.kind == kind for job in self._running.values())
            if free > 0:
                choose = partial(jobs.claim_in_turn, kind=kind) if how.in_turn else partial(jobs.claim, kinds=[kind])
                claim = partial(choose, now=self._clock(), lease=LEASE, limit=free)
                claimed += await self._db.write(claim)
        return claimed

    async def _give_back(self, unwanted: Iterable[Job]) -> None:
        """Give back these jobs, due at once for another worker."""
        for job in unwanted:
            with faults_logged("job was left to its lease", kind=job.kind, subject=job.subject):
                await self._again(job, self._clock())

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()

    async def _work(self, job: Job) -> None:
        """Run a job for as long as this process holds its lease."""
        running = asyncio.create_task(self._run(job))
        holding = asyncio.create_task(self._hold(job))
        try:
            await asyncio.wait((running, holding), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                log.info("job is not ours any more", kind=job.kind, subject=job.subject)
                self._outage_since.pop(job.id, None)
        finally:
            for task in (running, holding):
                task.cancel()
            for outcome in await asyncio.gather(running, holding, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, DatabaseUnavailable):
                    log.error("job was left to its lease", kind=job.kind, subject=job.subject, exc_info=outcome)

    async def _hold(self, job: Job) -> None:
        """Renew the lease; returns when it is lost."""
        until = time.monotonic() + LEASE.total_seconds()
        while True:
            await asyncio.sleep(RENEW_SECS)
            asked = time.monotonic()
            renew = partial(jobs.renew, job_id=job.id, attempt=job.attempts, now=self._clock(), lease=LEASE)
            with faults_logged("renewing a lease failed", kind=job.kind, subject=job.subject):
                if not await self._db.write(renew):
                    return
                until = asked + LEASE.total_seconds()
            if asked >= until:
                return

    async def _run(self, job: Job) -> None:
        how = self._kinds[job.kind]
        try:
            if job.attempts > DEATHS_MAX:
                await how.give_up(job, job.last_error or "The server ended each time that it was tried.")
            else:
                await how.run(job)
        except NotYet as wait:
            self._outage_since.pop(job.id, None)
            await self._again(job, self._clock() + wait.pause)
            return
        except (StorageUnavailable, Busy) as outage:
            if not await self._wait_out(job, str(outage)):
                return
            await how.give_up(job, str(outage))
        except Exception as failure:  # noqa: BLE001  whatever it is, it is logged and counts as a failure
            if not await self._try_again(job, failure):
                return
            await how.give_up(job, _sentence(failure))
        self._outage_since.pop(job.id, None)
        await self._conclude(job, partial(jobs.done, job_id=job.id))

    async def _wait_out(self, job: Job, outage: str) -> bool:
        """Pause the job, the longer the outage lasts; True when it has lasted for OUTAGE_MAX."""
        now = self._monotonic()
        lasted = timedelta(seconds=now - self._outage_since.setdefault(job.id, now))
        if lasted >= OUTAGE_MAX:
            return True
        pause = min(max(lasted, OUTAGE_PAUSE_MIN), OUTAGE_PAUSE_MAX)
        log.warning("job waits", kind=job.kind, subject=job.subject, why=outage, pause_secs=pause.total_seconds())
        await self._again(job, self._clock() + pause)
        return False

    async def _try_again(self, job: Job, failure: Exception) -> bool:
        """Queue the job for another try after its pause; True if it has failed too often for that."""
        unexpected = None if isinstance(failure, JobFailed) else failure
        tried = {"kind": job.kind, "subject": job.subject, "attempt": job.attempts}
        log.error("job failed", **tried, why=_sentence(failure), exc_info=unexpected)
        if is_last_try(job):
            return True
        pause = PAUSES[min(job.attempts, len(PAUSES)) - 1]
        await self._again(job, self._clock() + pause, _sentence(failure))
        return False

    async def _again(self, job: Job, due_at: datetime, error: str | None = None) -> None:
        await self._conclude(job, partial(jobs.again, job_id=job.id, error=error, due_at=due_at))

    async def _conclude(self, job: Job, conclusion: Callable[[Transaction], None]) -> None:
        """Write the conclusion unless the lease is lost: another worker may run the job by now."""
        now = self._clock()

        def conclude(tx: Transaction) -> None:
            if jobs.renew(tx, job.id, job.attempts, now=now, lease=LEASE):
                conclusion(tx)

        await self._db.write(conclude)


def is_last_try(job: Job) -> bool:
    """Whether the job is given up if this attempt fails."""
    # Attempts whose process was killed count too, and should not cost the others their second chance.
    return job.attempts >= TRIES and job.last_error is not None


def _sentence(failure: Exception) -> str:
    return " ".join(str(failure).split()) or type(failure).__name__
