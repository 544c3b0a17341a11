"""A sender and something to send."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portico.core import webhook
from portico.db.engine import Database
from portico.worker.webhooks.sender import Outcome, Sender

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = webhook.public_key(KEY)
DATA = webhook.event_json(
    event_id="6b61621f-62e0-4aad-ab11-9fd19e272e73",
    event_type="video.room.participant.joined",
    occurred_at=datetime(2026, 2, 2, 22, 25, 27, 521992, tzinfo=UTC),
    payload={"session_id": "s", "room_id": "r", "participant_id": "p", "context": "Zoë"},
)


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def a_sender(
    *,
    clock: Callable[[], datetime] = now,
    allow_internal: bool | Callable[[], Awaitable[bool]] = True,
    proxy: str | None = None,
    tls: ssl.SSLContext | None = None,
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[Sender]:
    sender = Sender(clock=clock, allow_internal=allow_internal, proxy=proxy, tls=tls, resolver=resolver)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.close()


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    async with a_sender() as started:
        yield started


QUICKLY = 0.4
"""Seconds for a receiver that does not answer; one that answers has ten, in case the machine is busy."""


async def sent(sender: Sender, url: str, *, attempt: int = 1, timeout_secs: float | None = 10) -> Outcome:
    return await sender.send(url, DATA, attempt=attempt, key=KEY, timeout_secs=timeout_secs)


@pytest.fixture
async def outbox(database: Database) -> AsyncIterator[Any]:
    """An `Outbox`, whose workers are stopped at the end."""
    from tests.worker.webhooks.outbox import Outbox  # here, because it signs with the key above

    made = Outbox(database)
    try:
        yield made
    finally:
        for worker in made.workers:
            await worker.stop()
