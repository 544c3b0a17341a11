"""One request to one operation of the API, after its key, path and body were checked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from starlette.requests import Request

from portico.api.context import Context
from portico.core import scopes
from portico.core.errors import Forbidden, Unauthenticated
from portico.db.engine import Transaction
from portico.listener.connections import connection_of
from portico.services import audit

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caller:
    """The account and the API key of a request, as the audit log names them."""

    account_id: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Call:
    """The argument of an endpoint: one checked request.

    `object_id` is the identifier in the path, in lower case; "" where the path has none. `body` is the parsed JSON of
    an operation that has a body, else None.
    """

    request: Request
    context: Context
    operation_id: str
    object_id: str
    authenticated: Caller | None
    """None only for an operation that needs no key."""
    body: object

    @property
    def caller(self) -> Caller:
        """The caller of an operation that needs a key."""
        assert self.authenticated is not None
        return self.authenticated

    @property
    def account_id(self) -> str:
        """The account of the key."""
        return self.caller.account_id

    def now(self) -> datetime:
        """The current time, in UTC."""
        return self.context.clock()

    async def read(self, function: Callable[[Transaction], T]) -> T:
        """Run `function` in a transaction that reads."""
        return await self.context.db.read(function)

    async def change(self, function: Callable[[Transaction], T], detail: Callable[[T], str] | None = None) -> T:
        """Run `function` and commit it together with an entry of the audit log.

        The entry names the identifier in the path, or else the `id` of what `function` returned; `detail` makes the
        entry's text of what `function` returned.
        """

        def write(tx: Transaction) -> T:
            changed: Any = function(tx)
            audit.record(
                tx,
                account_id=self.caller.account_id,
                key_id=self.caller.key_id,
                operation=self.operation_id,
                object_id=self.object_id or getattr(changed, "id", None),
                request_id=self.request.scope["state"]["request_id"],
                detail=None if detail is None else detail(changed),
                now=self.now(),
            )
            return changed  # type: ignore[no-any-return]

        return await self.context.db.write(write)


async def authenticate(request: Request, context: Context, sufficient: tuple[str, ...]) -> Caller:
    """The caller of a request, whose key must have one of the `sufficient` scopes, if there are any.

    Raises Unauthenticated, Forbidden, and TooManyRequests for an address that tries many wrong keys.
    """
    address = request.scope["client"][0] if request.scope.get("client") else ""
    key = await context.key_ring.find(request.headers.get("authorization"), address)
    if key is None:
        raise Unauthenticated("The Authorization header should hold a valid API key: Bearer KEY.")
    if (connection := connection_of(request.scope)) is not None:
        connection.shows_key(address)
    if missing := scopes.missing(key.scopes, sufficient):
        raise Forbidden(missing)
    return Caller(key.account_id, key.id)
