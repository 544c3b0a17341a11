"""Puts the REST API on the application: endpoints, error handlers, middleware, OpenAPI and its reference page."""

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from portico.api import (
    audit_events,
    client_tokens,
    errors,
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
from portico.api.dispatch import Operations
from portico.api.edge import Edge
from portico.api.rate_limit import RateLimit
from portico.api.render import Link
from portico.core.composition_request import REGIONS_MAX
from portico.core.errors import PorticoError
from portico.core.rate import Limit
from portico.db.engine import Database
from portico.db.keyfile import WebhookKeys
from portico.services.tokens import TokenKeys

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
)
_ROUTES = [route for router in _ROUTERS for route in router.routes]


def add_api(
    app: FastAPI,
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
    """Call once, before the application serves. `link` makes download URLs of object keys and file names;
    `base_url` is where browsers reach this server.

    The application must have been made with openapi_url=None: the document and its page are ours.
    """
    if app.openapi_url is not None:
        raise ValueError("make the application with FastAPI(openapi_url=None)")
    key_ring = KeyRing(db, clock)
    app.state.api = Context(
        db, keys, webhook_keys, clock, key_ring, link, base_url, composition_regions_max, composition_audio
    )
    app.state.api_routes = _ROUTES
    app.router.routes.append(Operations(_ROUTES))
    app.router.redirect_slashes = False  # a path with a slash too many is unknown, not elsewhere
    # Starlette's signature wants handlers of any Exception; each is only called with the class it is registered for.
    app.add_exception_handler(PorticoError, errors.on_portico_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, errors.on_http_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, errors.on_validation_error)  # type: ignore[arg-type]
    app.add_middleware(Edge, rate_limit=RateLimit(rate_limit, key_ring.account_of))
    app.openapi = document  # type: ignore[method-assign]
    app.add_api_route("/openapi.json", _show_document, include_in_schema=False)
    app.add_api_route("/docs", _show_page, include_in_schema=False)


def document() -> dict[str, Any]:
    """The OpenAPI document, a copy of its own for each caller, who may change it."""
    return deepcopy(_document())


@cache
def _document() -> dict[str, Any]:
    """The OpenAPI document, made at the first request for it."""
    return openapi.document(_ROUTES)


@cache
def _page() -> str:
    return reference.render(_document())


@cache
def _document_bytes() -> bytes:
    """The document as it is sent: writing it as JSON takes milliseconds, and anybody may ask for it."""
    return bytes(JSONResponse(_document()).body)


async def _show_document() -> Response:
    return Response(_document_bytes(), media_type="application/json")


async def _show_page() -> Response:
    return HTMLResponse(_page(), headers={"Content-Security-Policy": reference.CONTENT_SECURITY_POLICY})
