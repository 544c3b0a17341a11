"""Deletes recordings, compositions and ended sessions that are older than the settings allow."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from portico.core.filters import Condition
from portico.db.engine import Database
from portico.db.outage import faults_logged
from portico.runtime.periodic import Periodic
from portico.services import api_keys, compositions, history, recordings
from portico.worker.trusted_clock import TrustedClock

log = structlog.get_logger()

EVERY_SECS = 3600.0
AT_ONCE = 100
"""The most rows of one transaction, for which all other writes wait on SQLite."""


class Retention:
    """The periodic deletion. Each process runs one; several on one database do no harm."""

    def __init__(
        self,
        db: Database,
        *,
        keep_for: timedelta,
        clock: Callable[[], datetime],
        history_for: timedelta = timedelta(0),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keep_for` is about recordings and compositions, `history_for` about all else; zero keeps for ever."""
        self._db = db
        self._keep_for = keep_for
        self._history_for = history_for
        self._clock = TrustedClock(db, clock, monotonic)
        self._loop = Periodic(self.forget, EVERY_SECS, partial(faults_logged, "deleting what is old failed"))

    async def start(self) -> None:
        """Begin to delete periodically, unless everything is kept for ever."""
        if max(self._keep_for, self._history_for) > timedelta(0):
            self._loop.start()

    async def stop(self) -> None:
        await self._loop.stop()

    async def forget(self) -> None:
        """Delete everything that is old by now, in bounded steps; nothing while the clock is not trusted."""
        now = await self._clock.now()
        if now is None:
            return
        if self._keep_for and (files := await forget(self._db, before=now - self._keep_for, now=now)):
            log.info("old files deleted", number=files)
        if self._history_for and (rows := await forget_history(self._db, before=now - self._history_for)):
            log.info("old history deleted", rows=rows)


async def forget(db: Database, *, before: datetime, now: datetime) -> int:
    """Delete recordings and compositions completed before `before`; returns their number. Jobs delete their files."""
    forgotten = 0
    old = Condition("completed_at", "le", before)
    for account_id in await db.read(api_keys.account_ids):
        more = True
        while more:
            delete = partial(recordings.delete_some, account_id=account_id, conditions=[old], now=now, limit=AT_ONCE)
            number, more = await db.write(delete)
            forgotten += number
    while number := await db.write(partial(compositions.delete_old, before=before, now=now, limit=AT_ONCE)):
        forgotten += number
    return forgotten


async def forget_history(db: Database, *, before: datetime) -> int:
    """Delete sessions that ended before `before`, with participants, and older audit entries; how many rows."""
    forgotten = 0
    while ids := await db.read(partial(history.old_sessions, before=before)):
        gone_before = forgotten
        while number := await db.write(partial(history.forget_sessions, session_ids=ids, before=before)):
            forgotten += number
        if forgotten == gone_before:
            break  # all of them are kept by rows that were written meanwhile
    while number := await db.write(partial(history.forget_audit_events, before=before)):
        forgotten += number
    return forgotten
