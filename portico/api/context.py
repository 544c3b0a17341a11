"""What the endpoints work with; add_api puts one Context on the application's state."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from portico.api.auth import KeyRing
from portico.core.errors import Unauthenticated
from portico.db.engine import Database
from portico.db.keyfile import WebhookKeys
from portico.services.tokens import TokenKeys


@dataclass(frozen=True, slots=True)
class Context:
    """The database, the keys that sign tokens and webhooks, the clock, and whom to tell when a room is gone."""

    db: Database
    keys: TokenKeys
    webhook_keys: WebhookKeys
    clock: Callable[[], datetime]
    on_room_deleted: Callable[[str], Awaitable[None]] | None
    key_ring: KeyRing


async def _context(request: Request) -> Context:
    context: Context = request.app.state.api
    return context


async def _account_id(request: Request) -> str:
    context = await _context(request)
    account_id = await context.key_ring.account_of(request.headers.get("authorization"))
    if account_id is None:
        raise Unauthenticated("The Authorization header should hold a valid API key: Bearer KEY.")
    return account_id


Api = Annotated[Context, Depends(_context)]
AccountId = Annotated[str, Depends(_account_id)]
