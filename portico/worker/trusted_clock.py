"""The clock for deleting old rows and files. After a jump of the wall clock it gives no time for a day."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from portico.db.engine import Database
from portico.services import clock as clock_rows

log = structlog.get_logger()


class TrustedClock:
    """The clock for deleting by age: None after a jump, until the clock went on from there for a day."""

    def __init__(
        self, db: Database, clock: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = db
        self._clock = clock
        self._monotonic = monotonic
        self._trusted: float | None = None  # when, by the monotonic clock
        self._held_until: datetime | None = None

    async def now(self) -> datetime | None:
        """The time, or None while nothing may be deleted for its age. Look again later."""
        at, now = self._monotonic(), self._clock()
        passed = None if self._trusted is None else timedelta(seconds=at - self._trusted)
        held = await self._db.write(partial(clock_rows.held_until, now=now, passed=passed))
        if held is None:
            self._trusted, self._held_until = at, None
            return now
        if held != self._held_until:
            log.warning(
                "nothing old is deleted: the clock jumped, or no server ran for long",
                now=now.isoformat(timespec="seconds"),
                until=held.isoformat(timespec="seconds"),
            )
            self._held_until = held
        return None
