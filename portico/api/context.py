"""What the endpoints work with; add_api puts one Context on the application's state."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Request

from portico.api.auth import KeyRing
from portico.api.render import Link
from portico.core.errors import Unauthenticated
from portico.db.engine import Database
from portico.db.keyfile import WebhookKeys
from portico.services.tokens import TokenKeys

CompositionAudio = Literal["all", "none"]
"""What a composition sounds like whose request does not say."""


@dataclass(frozen=True, slots=True)
class Context:
    """The database, the keys that sign tokens and webhooks, the clock, how to make a download link of an object key
    and a file name, and how many regions compositions may have and what they sound like by default."""

    db: Database
    keys: TokenKeys
    webhook_keys: WebhookKeys
    clock: Callable[[], datetime]
    key_ring: KeyRing
    link: Link
    composition_regions_max: int
    composition_audio: CompositionAudio


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
