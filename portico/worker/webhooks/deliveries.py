"""Sends deliveries that are due and records the result of each request."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portico.core import retry
from portico.db.engine import Database, Transaction
from portico.db.outage import faults_logged
from portico.runtime.acquire import take
from portico.runtime.periodic import Periodic, cancel
from portico.services import webhook_queue, webhooks
from portico.services.rows import Delivery
from portico.services.webhook_queue import Load
from portico.worker.trusted_clock import TrustedClock
from portico.worker.webhooks.sender import Outcome, Sender

log = structlog.get_logger()

IN_FLIGHT_MAX = 1024
"""Deliveries that this process sends at once."""
PER_ACCOUNT_MAX = 512
PER_ORIGIN_MAX = 128
"""Deliveries of one account to one origin at once, as PER_URL_MAX to one URL. Accounts do not share these limits."""
PER_URL_MAX = 32
FREE_SHARE = 8
"""Receivers that hang take their own share and no more: to one URL never more than this part of what is still free,
to an origin four of these parts, to the receivers of an account six."""
POLL_SECS = 1.0
"""How often the rows are read without a hint of new work (db/wakeup.py)."""
SWEEP_SECS = 60.0


class Deliveries:
    """Claims and sends deliveries. Each process has one; any number of processes may share a database."""

    def __init__(
        self,
        db: Database,
        sender: Sender,
        key: Callable[[], Ed25519PrivateKey],
        *,
        clock: Callable[[], datetime],
        retry_for: timedelta,
        keep_for: timedelta,
    ) -> None:
        self._db = db
        self._sender = sender
        self._key = key
        self._clock = clock
        self._trusted = TrustedClock(db, clock)
        self._retry_for = retry_for
        self._keep_for = keep_for
        self._wake = asyncio.Event()
        self._load = Load(PER_ACCOUNT_MAX, PER_ORIGIN_MAX, PER_URL_MAX)
        self._running: set[asyncio.Task[None]] = set()
        claiming, sweeping = (partial(faults_logged, f"{step} deliveries failed") for step in ("claiming", "sweeping"))
        self._loops = [
            Periodic(self._claim_all, POLL_SECS, claiming, wake=self._wake),
            Periodic(self._sweep, SWEEP_SECS, sweeping),
        ]

    @property
    def in_flight(self) -> int:
        """Deliveries that are being sent now."""
        return len(self._running)

    async def start(self) -> None:
        """Begin to send due deliveries, and to delete old ones."""
        self._db.commits.listen("deliveries", self._wake)
        await self._sender.start()
        for loop in self._loops:
            loop.start()

    async def stop(self) -> None:
        """Cancel the requests under way. Their deliveries keep their leases; after these another worker sends them."""
        for loop in self._loops:
            await loop.stop()
        await cancel(*self._running)
        await self._sender.close()

    async def _claim_all(self) -> None:
        while await self._claim():
            pass

    async def _claim(self) -> bool:
        """Start to send ready deliveries, as far as the limits allow; True if any was ready."""
        room = IN_FLIGHT_MAX - len(self._running)
        if room <= 0:
            return False
        now = self._clock()
        share = max(1, room // FREE_SHARE)
        self._load.url_max, self._load.origin_max = min(PER_URL_MAX, share), min(PER_ORIGIN_MAX, 4 * share)
        self._load.account_max = min(PER_ACCOUNT_MAX, 6 * share)
        choice = await self._db.read(partial(webhook_queue.choose, load=self._load, now=now, limit=room))
        if choice.overdue:
            await self._db.write(partial(webhook_queue.make_ready, ids=choice.overdue, now=now))
        if choice.ready:
            claim = partial(webhook_queue.claim, ids=choice.ready, now=now)
            for delivery in await take(self._db.write(claim), self._give_back):
                self._load.begin(delivery)
                task = asyncio.create_task(self._deliver(delivery))
                self._running.add(task)
                task.add_done_callback(partial(self._done, delivery))
        return bool(choice.ready or choice.overdue)

    async def _give_back(self, unwanted: Sequence[Delivery]) -> None:
        """Give back these deliveries, ready at once for another worker."""
        with faults_logged("deliveries were left to their lease"):
            await self._db.write(partial(webhook_queue.release, ids=[delivery.id for delivery in unwanted]))

    def _done(self, delivery: Delivery, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._load.end(delivery)
        self._wake.set()

    async def _deliver(self, delivery: Delivery) -> None:
        """One round: the primary URL, and on failure the other one at once."""
        number, data = delivery.attempts + 1, delivery.data
        requested = None
        with faults_logged("delivery failed", delivery_id=delivery.id):  # its lease runs out, and it is tried again
            outcome = await self._send(delivery, delivery.url, number, data)
            if not outcome.delivered and not outcome.stop and delivery.failover_url:
                record = partial(_record, delivery=delivery, number=number, outcome=outcome, sent=data)
                now_data = await self._db.write(record)  # others than before where a participant was erased meanwhile
                if now_data is None:
                    return
                number, requested, data = number + 1, outcome.retry_after, now_data
                outcome = await self._send(delivery, delivery.failover_url, number, data)
            await self._conclude(delivery, number, outcome, requested, data)

    async def _send(self, delivery: Delivery, url: str, number: int, data: str) -> Outcome:
        return await self._sender.send(url, data, attempt=number, key=self._key(), timeout_secs=delivery.timeout_secs)

    async def _conclude(
        self, delivery: Delivery, number: int, outcome: Outcome, primary_retry_after: timedelta | None, sent: str
    ) -> None:
        now = self._clock()
        requested = max(filter(None, (outcome.retry_after, primary_retry_after)), default=None)

        def conclude(tx: Transaction) -> datetime | None:
            next_due = None
            if not outcome.delivered and not outcome.stop:
                next_due = self._next_due(delivery, webhooks.first_at(tx, delivery.id), requested, now)
            webhooks.conclude_round(
                tx, delivery.id, delivered=outcome.delivered, next_due=next_due, now=now, since=delivery.due_at
            )
            _record(tx, delivery, number, outcome, sent)
            return next_due

        next_due = await self._db.write(conclude)
        if not outcome.delivered:
            log.info(
                "webhook not delivered",
                delivery_id=delivery.id,
                room_id=delivery.room_id,
                reason=outcome.error or f"status {outcome.status}",
                next_due=next_due.isoformat() if next_due else None,
            )

    def _next_due(
        self, delivery: Delivery, first_at: datetime, requested: timedelta | None, now: datetime
    ) -> datetime | None:
        return retry.next_due(
            rounds_done=delivery.rounds + 1,
            first_at=first_at,
            now=now,
            jitter=random.uniform(-1, 1),
            retry_for=self._retry_for,
            retry_after=requested,
        )

    async def _sweep(self) -> None:
        now = await self._trusted.now()
        if now is not None:
            while await self._db.write(partial(webhooks.sweep, before=now - self._keep_for)):
                pass


def _record(tx: Transaction, delivery: Delivery, number: int, outcome: Outcome, sent: str) -> str | None:
    return webhooks.record_attempt(
        tx,
        delivery.id,
        number=number,
        url=outcome.url,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
        delivered=outcome.delivered,
        status_code=outcome.status,
        error=outcome.error,
        request_headers=outcome.request_headers,
        response_headers=outcome.response_headers,
        response_body=outcome.response_body,
        sent=sent,
    )
