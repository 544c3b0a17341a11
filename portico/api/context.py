"""What the endpoints work with; add_api puts one Context on the application's state."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Request

from portico.api.auth import KeyRing
from portico.api.render import Link
from portico.core import scopes
from portico.core.errors import Forbidden, Unauthenticated
from portico.db.engine import Database, Transaction
from portico.db.keyfile import WebhookKeys
from portico.listener.connections import connection_of
from portico.services import audit
from portico.services.tokens import TokenKeys

T = TypeVar("T")

CompositionAudio = Literal["all", "none"]
"""What a composition sounds like whose request does not say."""


@dataclass(frozen=True, slots=True)
class Context:
    """The database, the keys that sign tokens and webhooks, the clock, how to make a download link of an object key
    and a file name, where browsers reach this server, and how many regions compositions may have and what they sound
    like by default."""

    db: Database
    keys: TokenKeys
    webhook_keys: WebhookKeys
    clock: Callable[[], datetime]
    key_ring: KeyRing
    link: Link
    base_url: str
    composition_regions_max: int
    composition_audio: CompositionAudio

    async def change(
        self,
        caller: "CallerOfOperation",
        function: Callable[[Transaction], T],
        object_id: str | None = None,
        detail: Callable[[T], str] | None = None,
    ) -> T:
        """Run `function` and commit it together with an entry of the audit log.

        The entry names `object_id`, or the `id` of what the function returned; `detail` makes its text of that.
        """

        def write(tx: Transaction) -> T:
            changed: Any = function(tx)
            audit.record(
                tx,
                account_id=caller.account_id,
                key_id=caller.key_id,
                operation=caller.operation,
                object_id=object_id or getattr(changed, "id", None),
                request_id=caller.request_id,
                detail=None if detail is None else detail(changed),
                now=self.clock(),
            )
            return changed  # type: ignore[no-any-return]

        return await self.db.write(write)


@dataclass(frozen=True, slots=True)
class CallerOfOperation:
    """Who calls which operation, as the audit log names them."""

    account_id: str
    key_id: str
    operation: str
    request_id: str


async def _context(request: Request) -> Context:
    context: Context = request.app.state.api
    return context


async def _caller(request: Request) -> CallerOfOperation:
    """Raises Unauthenticated, Forbidden for a key without any of the operation's scopes, and TooManyRequests."""
    context = await _context(request)
    address = request.client.host if request.client else ""
    key = await context.key_ring.find(request.headers.get("authorization"), address)
    if key is None:
        raise Unauthenticated("The Authorization header should hold a valid API key: Bearer KEY.")
    if (connection := connection_of(request.scope)) is not None:
        connection.shows_key(address)
    if missing := scopes.missing(key.scopes, request.scope["sufficient_scopes"]):
        raise Forbidden(missing)
    request_id = request.scope["state"]["request_id"]
    return CallerOfOperation(key.account_id, key.id, request.scope["operation_id"], request_id)


async def _account_id(request: Request) -> str:
    return (await _caller(request)).account_id


Api = Annotated[Context, Depends(_context)]
Caller = Annotated[CallerOfOperation, Depends(_caller)]
AccountId = Annotated[str, Depends(_account_id)]
