"""The clock of the program: it never jumps by itself, and is set only after due times were moved by as much."""

import time
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from portico.db.engine import Database, Transaction
from portico.db.outage import faults_logged
from portico.runtime.periodic import Periodic
from portico.services import clock as clock_rows

log = structlog.get_logger()
LOOK_SECS = 1.0
"""The pause between two comparisons with the wall clock: on SQLite the machine's, on PostgreSQL the database's."""
SLOW_SECS = 1.0
"""The time of the database is ignored if its answer takes longer than this."""
DRIFT = timedelta(seconds=0.05)
"""A smaller difference is not corrected, so that facts that follow each other keep their order."""


class Clock:
    """Returns the time when called. Between two calls of `set` it runs with the monotonic clock."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self._ahead + time.monotonic(), UTC)

    def set(self, by: timedelta) -> None:
        """Set the clock forward by this time, or back if it is negative."""
        self._ahead += by.total_seconds()


class ClockKeeper:
    """Sets the clock when the wall clock has been set, and moves what is due by as much."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._known = timedelta(0)
        guard = partial(faults_logged, "setting the clock failed")
        self._loop = Periodic(self._look, LOOK_SECS, guard, pauses_first=True)

    async def start(self) -> None:
        """Set the clock for the first time, and look after it from now on."""
        behind, self._known = await self._db.read(partial(_look, clock=self._clock))
        self._clock.set(behind or timedelta(0))
        self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def _look(self) -> None:
        behind, stepped = await self._db.read(partial(_look, clock=self._clock))
        if behind is None:
            return
        if abs(behind) >= clock_rows.TOLERANCE:
            await self._step(behind)
            return
        self._known = stepped  # another process moved the rows for a step that our clock has had in it all along
        if abs(behind) >= DRIFT:
            self._clock.set(behind)

    async def _step(self, by: timedelta) -> None:
        """Move due times and set the clock. In between, a due time may look too late, and never too early."""
        log.warning("clock was set", by_secs=round(by.total_seconds(), 1))
        step = partial(clock_rows.step, by=by, known=self._known)
        if by > timedelta(0):
            self._known = await self._db.write(step)
            self._clock.set(by)
            return
        self._clock.set(by)
        try:
            self._known = await self._db.write(step)
        except Exception:
            self._clock.set(-by)  # nothing was moved: it is noticed again
            raise


def _look(tx: Transaction, clock: Clock) -> tuple[timedelta | None, timedelta]:
    """(What `_behind` returns, the sum of all steps that rows were moved by)."""
    return _behind(tx, clock), clock_rows.stepped(tx)


def _behind(tx: Transaction, clock: Clock) -> timedelta | None:
    """How far the clock is behind the wall clock; None if the database's answer was slow."""
    if tx.dialect.name == "sqlite":
        return datetime.fromtimestamp(time.time(), UTC) - clock()
    asked = time.monotonic()
    now = clock_rows.database_now(tx)
    took = time.monotonic() - asked
    return None if took > SLOW_SECS else now + timedelta(seconds=took / 2) - clock()
