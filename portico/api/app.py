"""Puts the REST API on the application: endpoints, error handlers, middleware, OpenAPI and its reference page."""

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from portico.api import (
    audit_events,
    client_tokens,
    errors,
    media_nodes,
    meeting_links,
    openapi,
    public_key,
    reference,
    room_compositions,
    room_participants,
    room_recordings,
    room_sessions,
    rooms,
    webhook_deliveries,
)
from portico.api.auth import KeyRing
from portico.api.context import CompositionAudio, Context
from portico.api.edge import Edge
from portico.api.rate_limit import RateLimit
from portico.api.render import Link
from portico.api.routing import Operations
from portico.core.composition_request import REGIONS_MAX
from portico.core.errors import PorticoError
from portico.core.rate import Limit
from portico.db.engine import Database
from portico.services.tokens import TokenKeys
from portico.services.webhook_keys import WebhookKeys

_ROUTERS = (
    rooms.router,
    client_tokens.router,
    meeting_links.router,
    room_sessions.router,
    room_participants.router,
    room_recordings.router,
    room_compositions.router,
    webhook_deliveries.router,
    public_key.router,
    audit_events.router,
    media_nodes.router,
)
_ROUTES = [route for router in _ROUTERS for route in router.routes]


def add_api(
    app: Starlette,
    db: Database,
    keys: TokenKeys,
    webhook_keys: WebhookKeys,
    *,
    clock: Callable[[], datetime],
    link: Link,
    base_url: str = "",
    composition_regions_max: int = REGIONS_MAX,
    composition_audio: CompositionAudio = "all",
    rate_limit: Limit | None = None,
) -> None:
    """Add the API to an application. Call it once, before the application serves.

    `link` makes download URLs of object keys and file names; `base_url` is where browsers reach this server.
    """
    key_ring = KeyRing(db, clock)
    app.state.api = Context(
        db, keys, webhook_keys, clock, key_ring, link, base_url, composition_regions_max, composition_audio
    )
    app.router.redirect_slashes = False  # a path with a slash at its end is unknown
    # Starlette's signature wants handlers of any Exception; each is only called with the class it is registered for.
    app.add_exception_handler(PorticoError, errors.on_portico_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, errors.on_http_error)  # type: ignore[arg-type]
    app.add_middleware(Operations, routes=_ROUTES)
    app.add_middleware(Edge, rate_limit=RateLimit(rate_limit, key_ring.account_of, db=db))  # outermost
    app.add_route("/openapi.json", _show_document)
    app.add_route("/docs", _show_page)


def document() -> dict[str, Any]:
    """The OpenAPI document, a new copy at each call, which may be changed."""
    return deepcopy(_document())


@cache
def _document() -> dict[str, Any]:
    """The OpenAPI document, made at the first request for it."""
    return openapi.document([route.operation for route in _ROUTES])


@cache
def _page() -> str:
    return reference.render(_document())


@cache
def _document_bytes(base_url: str) -> bytes:
    """The document as JSON, made once: that takes milliseconds, and its requests need no key.

    It names this server: below a path, clients that take the document's host alone would miss it.
    """
    servers = {"servers": [{"url": base_url}]} if base_url else {}
    return bytes(JSONResponse(_document() | servers).body)


async def _show_document(request: Request) -> Response:
    return Response(_document_bytes(request.app.state.api.base_url), media_type="application/json")


async def _show_page(request: Request) -> Response:
    return HTMLResponse(_page(), headers={"Content-Security-Policy": reference.CONTENT_SECURITY_POLICY})
