"""Completes recordings without a file whose media node has been lost for too long to be waited for."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from portico.db.engine import Database
from portico.db.outage import faults_logged
from portico.runtime.periodic import Periodic
from portico.services import jobs, recordings

log = structlog.get_logger()
EVERY_SECS = 60.0
AT_ONCE = 100


class LostRecordings:
    """One per worker; several do no harm. A node that returns sooner completes its recordings from its disk."""

    def __init__(self, db: Database, *, after: timedelta, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._after = after
        self._clock = clock
        self._loop = Periodic(self.complete, EVERY_SECS, partial(faults_logged, "lost recordings not completed"))

    async def start(self) -> None:
        self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def complete(self) -> None:
        """Complete all recordings whose nodes have been lost for the time that the setting says."""
        now = self._clock()
        while lost := await self._db.read(partial(jobs.of_lost_nodes, before=now - self._after, limit=AT_ONCE)):
            for kind, recording_id in lost:
                give_up = partial(recordings.give_up_lost, kind=kind, recording_id=recording_id, now=now)
                if await self._db.write(give_up):
                    log.error("recording is lost with its node", recording_id=recording_id)
