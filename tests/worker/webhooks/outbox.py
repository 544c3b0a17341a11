"""An outbox with real workers on a real database, and a clock that is moved by hand; moving it wakes them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Row

from portico.core.events import SessionStarted
from portico.db.engine import Database, Transaction
from portico.db.wakeup import announce
from portico.services import events
from portico.services.webhooks import ATTEMPTS, DELIVERED, DELIVERIES, PENDING
from portico.worker.webhooks.deliveries import Deliveries
from portico.worker.webhooks.sender import Sender
from tests.clocks import Clock
from tests.factories import a_room, an_account, rows
from tests.receiver import OK, Behaviour, Exchange, Received
from tests.waiting import until
from tests.worker.webhooks.conftest import KEY

T = TypeVar("T")
DAY, SECOND = timedelta(hours=24), timedelta(seconds=1)


class Outbox:
    """A database, a clock, and the workers that were started on them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock(datetime.now(UTC))  # the official SDK compares signatures with the real one
        self.workers: list[Deliveries] = []

    def secs(self) -> float:
        """The monotonic clock: only moving the clock lets time pass."""
        return self.clock.now.timestamp()

    async def worker(
        self, *, retry_for: timedelta = DAY, keep_for: timedelta = 30 * DAY, database: Database | None = None
    ) -> Deliveries:
        worker = Deliveries(
            database or self.database,
            Sender(clock=self.clock, allow_internal=True, monotonic=self.secs),
            lambda: KEY,
            clock=self.clock,
            retry_for=retry_for,
            keep_for=keep_for,
        )
        self.workers.append(worker)
        await worker.start()
        return worker

    async def room(self, url: str, failover: str = "", timeout_secs: int | None = 10) -> str:
        """A room with a webhook; its receiver has ten seconds in case the machine is busy."""
        make = partial(
            a_room,
            now=self.clock.now,
            webhook_event_url=url,
            webhook_event_failover_url=failover,
            webhook_timeout_secs=timeout_secs,
        )
        return await self.database.write(make)

    async def event(self, room_id: str) -> str:
        """One fact of this room; the session id by which its webhook is known."""
        session_id = str(uuid4())

        def record(tx: Transaction) -> None:
            events.record(tx, an_account(tx), SessionStarted(session_id, room_id), self.clock.now)

        await self.database.write(record)
        return session_id

    async def events_of_rooms(self, urls: Sequence[str], timeout_secs: int) -> None:
        """One fact of a room of its own for each URL, all in one transaction."""

        def record(tx: Transaction) -> None:
            account_id = an_account(tx)
            for url in urls:
                room_id = a_room(tx, now=self.clock.now, webhook_event_url=url, webhook_timeout_secs=timeout_secs)
                events.record(tx, account_id, SessionStarted(str(uuid4()), room_id), self.clock.now)

        await self.database.write(record)

    async def move_to(self, instant: datetime) -> None:
        """Set the clock and have the workers look."""
        self.clock.now = instant
        await self.database.write(partial(announce, topic="deliveries"))

    async def delivery(self, room_id: str, nth: int = 0, **wanted: Any) -> Row[Any]:
        """The room's nth delivery, as soon as it has these values."""

        def found(tx: Transaction) -> Row[Any] | None:
            row = rows(tx, DELIVERIES, room_id=room_id)[nth]
            return row if all(getattr(row, name) == value for name, value in wanted.items()) else None

        return await self.until(found)

    async def all_delivered(self, count: int) -> None:
        await self.until(lambda tx: len(rows(tx, DELIVERIES, status=DELIVERED)) == count)

    async def until(self, found: Callable[[Transaction], T | None]) -> T:
        """Wait until `found` returns something true; return that."""
        return await until(partial(self.database.read, found))

    async def attempts(self, delivery: Row[Any]) -> list[Row[Any]]:
        return await self.database.read(partial(rows, table=ATTEMPTS, delivery_id=delivery.id))

    async def fail(self, room_id: str, until: datetime | None = None) -> tuple[Row[Any], list[timedelta]]:
        """Go from round to round, to the one that is due at `until` or to the end: the delivery, and the pauses."""
        pauses: list[timedelta] = []
        delivery = await self.delivery(room_id, rounds=1)
        while delivery.status == PENDING:
            pauses.append(delivery.due_at - self.clock.now)
            if delivery.due_at == until:
                break
            await self.move_to(delivery.due_at)
            delivery = await self.delivery(room_id, rounds=delivery.rounds + 1)
        return delivery, pauses


def taking(clock: Clock[datetime], time: timedelta, then: Behaviour = OK) -> Behaviour:
    """Answers at once, after which the clock says that it took so long."""

    async def behave(exchange: Exchange) -> None:
        clock.now += time
        await then(exchange)

    return behave


def sessions_of(requests: list[Received]) -> list[str]:
    return [request.event["payload"]["session_id"] for request in requests]


# What arrives.
