"""Counts the requests of many callers, together with the other processes where the database is PostgreSQL."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog

from portico.core import rate
from portico.core.rate import SECOND_NS, Allowance, Limit
from portico.db.engine import Database, Transaction
from portico.services import rate_buckets
from portico.services.rate_buckets import Lease

log = structlog.get_logger()

WITHIN_SECS = 1.0
"""How long a request waits for a lease of the database. After that, this process counts it alone."""
ALONE_NS = 5 * SECOND_NS
"""How long this process counts alone after a wait of WITHIN_SECS, so that a slow database delays few requests."""
LEASES_AT_ONCE = 32
"""The most callers that wait for leases at once. This process counts further ones alone, to spare the database."""
SHARE = 50
"""A lease that is larger than the waiting requests is at most 1/SHARE of the limit N: each process adds N/SHARE."""
FAST_NS = SECOND_NS
"""A caller who uses up a lease within this time gets one of twice the size; other callers lease a single request."""
FORGET_NS = 600 * SECOND_NS


@dataclass(slots=True)
class _Caller:
    alone_full_at: int = 0
    """When the bucket is full again by the count of this process alone, in nanoseconds of the monotonic clock."""
    full_at: int = 0
    """When the shared bucket is full again, as of the last answer of the database, on the same clock."""
    left: int = 0
    """Requests that are leased and not used."""
    chunk: int = 1
    waiting: int = 0
    """Requests that wait for the next lease, which is asked for all of them together."""
    leased_at: int = 0
    refused_until: int = 0
    asking: "asyncio.Task[None] | None" = None


class SharedBuckets:
    """A bucket for each of many callers. At most `kept` are remembered here, those used last."""

    def __init__(
        self,
        limit: Limit,
        kept: int,
        purpose: str,
        db: Database | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`purpose` keeps the names of callers apart from those of other limits. Without `db`, and on SQLite, which
        one process serves, all counting is done in memory."""
        self._limit = limit
        self._kept = kept
        self._purpose = purpose
        self._db = db if db is not None and db.engine.dialect.name == "postgresql" else None
        self._clock = clock
        self._callers: OrderedDict[str, _Caller] = OrderedDict()
        self._asking = 0
        self._alone_until = 0
        self._forgotten_at = clock()

    async def take(self, name: str) -> Allowance:
        """Count one request of a caller, unless it is one too many: then `wait_secs` is above zero."""
        caller = self._caller(name)
        shared = None if self._db is None else await self._take_shared(self._db, name, caller)
        if shared is not None and shared.wait_secs:
            return shared
        # What the shared count admits is counted here too, for the time when the database does not answer.
        caller.alone_full_at, alone = rate.take(self._limit, caller.alone_full_at, self._clock())
        return shared or alone

    def give_back(self, name: str) -> None:
        """Take back one request that was counted and then failed; this process may use it again."""
        if (caller := self._callers.get(name)) is not None:
            caller.alone_full_at -= self._limit.interval_ns
            if self._db is not None:
                caller.left += 1

    def look(self, name: str) -> Allowance:
        """The allowance of a caller as this process knows it, without counting a request."""
        caller = self._callers.get(name, _Caller())
        if self._db is not None:
            return self._allowance(caller)
        return rate.take(self._limit, caller.alone_full_at, self._clock(), 0)[1]

    def _caller(self, name: str) -> _Caller:
        caller = self._callers.setdefault(name, _Caller())
        self._callers.move_to_end(name)
        if len(self._callers) > self._kept:
            self._callers.popitem(last=False)
        return caller

    async def _take_shared(self, db: Database, name: str, caller: _Caller) -> Allowance | None:
        """Count a request in the shared bucket; None when this process has to count it alone."""
        deadline = self._clock() + int(WITHIN_SECS * SECOND_NS)
        while (now := self._clock()) < deadline:
            if caller.left > 0:
                caller.left -= 1
                return self._allowance(caller)
            if now < caller.refused_until:
                return rate.take(self._limit, caller.full_at, now)[1]
            if now < self._alone_until:
                return None
            if caller.asking is None:
                if self._asking >= LEASES_AT_ONCE:
                    return None
                caller.asking = asyncio.create_task(self._ask(db, name, caller))
            caller.waiting += 1
            try:
                await asyncio.wait((caller.asking,), timeout=(deadline - now) / SECOND_NS)
            finally:
                caller.waiting -= 1
        self._count_alone("it takes too long")
        return None

    async def _ask(self, db: Database, name: str, caller: _Caller) -> None:
        """Lease requests from the database. A failure leaves the caller without a lease."""
        self._asking += 1
        wanted = max(caller.chunk, min(caller.waiting, self._limit.requests))
        lease = partial(rate_buckets.lease, name=f"{self._purpose} {name}", limit=self._limit, wanted=wanted)
        forgets = self._clock() - self._forgotten_at > FORGET_NS
        if forgets:
            self._forgotten_at = self._clock()

        def write(tx: Transaction) -> Lease:
            if forgets:
                rate_buckets.forget_full(tx)
            return lease(tx)

        try:
            self._accept(caller, await db.write(write))
        except Exception as error:  # noqa: BLE001  whatever it is: a limit is no reason to refuse a request
            self._count_alone(str(error))
        finally:
            self._asking -= 1
            caller.asking = None

    def _accept(self, caller: _Caller, lease: Lease) -> None:
        now = self._clock()
        caller.full_at = now + lease.full_in_ns
        if not lease.granted:
            # When one more request is allowed; at least a millisecond, so that rounding does not ask twice.
            allowed_at = caller.full_at + self._limit.interval_ns - self._limit.whole_ns
            caller.refused_until = max(allowed_at, now + SECOND_NS // 1000)
            caller.full_at = max(caller.full_at, now + self._limit.whole_ns - self._limit.interval_ns + 1)
        caller.left += lease.granted
        is_fast = now - caller.leased_at < FAST_NS
        caller.chunk = min(caller.chunk * 2, max(self._limit.requests // SHARE, 1)) if is_fast else 1
        caller.leased_at = now

    def _count_alone(self, why: str) -> None:
        now = self._clock()
        if now >= self._alone_until:
            log.warning("limits are counted by this process alone", why=" ".join(why.split()))
        self._alone_until = now + ALONE_NS

    def _allowance(self, caller: _Caller) -> Allowance:
        unused = caller.left * self._limit.interval_ns
        return rate.take(self._limit, caller.full_at - unused, self._clock(), 0)[1]
