"""The REST API on a database with two accounts; every answer that passes through is checked against both documents."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette

from portico.api.app import add_api
from portico.db.engine import Database, Transaction
from portico.services import api_keys, gateways, participants, sessions, tokens
from portico.services.participants import Joined
from portico.services.webhook_keys import WebhookKeys
from portico.services.webhook_keys import load as load_webhook_keys
from tests.clocks import TickingClock
from tests.contract.answers import check
from tests.factories import gateway_of


def link(object_key: str, file_name: str) -> str:
    """A download link as tests make it."""
    return f"http://portico/files/{object_key}?filename={file_name}"


class CheckedTransport(httpx.ASGITransport):
    """Calls the application without a socket and checks each answer."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        body = await response.aread()
        check(request.method, request.url.path, response.status_code, response.headers, body)
        return response


@dataclass(slots=True)
class World:
    """Two accounts, K1 and K2, and a caller without a key."""

    db: Database
    app: Starlette
    clock: TickingClock
    keys: tokens.TokenKeys
    webhook_keys: WebhookKeys
    k1: httpx.AsyncClient
    k2: httpx.AsyncClient
    anonymous: httpx.AsyncClient
    key: str

    async def room(self, **settings: Any) -> dict[str, Any]:
        """A new room of K1."""
        answer = await self.k1.post("/v2/rooms", json=settings)
        assert answer.status_code == 201, answer.text
        room: dict[str, Any] = answer.json()["data"]
        return room

    async def join(self, room_id: str, context: str | None = None) -> Joined:
        """A participant joins, as the gateway writes it."""
        participant_id, now = str(uuid4()), self.clock()

        def write(tx: Transaction) -> Joined:
            gateway_id = gateway_of(tx, room_id) or gateways.register(tx, now)
            return participants.join(tx, room_id, participant_id, context, gateway_id=gateway_id, now=now)

        return await self.db.write(write)

    async def leave(self, participant_id: str) -> None:
        """A participant leaves, as the gateway writes it."""
        now = self.clock()
        await self.db.write(lambda tx: participants.leave(tx, participant_id, "left", now=now))

    async def end(self, session_id: str) -> None:
        """A session ends."""
        now = self.clock()
        await self.db.write(
            lambda tx: sessions.end(tx, session_id, ended_reason="Ended from API", left_reason="session_ended", now=now)
        )


@asynccontextmanager
async def world_on(db: Database, **settings: Any) -> AsyncIterator[World]:
    """Everything above on this empty database; the settings are those of add_api."""
    clock = TickingClock()

    def first_rows(tx: Transaction) -> tuple[str, str, tokens.TokenKeys]:
        now = clock()
        return api_keys.create(tx, "one", now), api_keys.create(tx, "two", now), tokens.load_keys(tx, now)

    key, other_key, keys = await db.write(first_rows)
    app = Starlette()
    async with AsyncExitStack() as stack:
        of_file = partial(load_webhook_keys, setting=None, folder=Path("/nowhere"), now=clock.now)
        webhook_keys = await db.write(of_file)
        add_api(app, db, keys, webhook_keys, clock=clock, link=link, **settings)
        transport = CheckedTransport(app)

        async def caller(key: str | None) -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            client = httpx.AsyncClient(transport=transport, base_url="http://portico", headers=headers)
            return await stack.enter_async_context(client)

        k1, k2, anonymous = await caller(key), await caller(other_key), await caller(None)
        yield World(db, app, clock, keys, webhook_keys, k1, k2, anonymous, key)
