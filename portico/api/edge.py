"""The outermost middleware: request ids, CORS, the rate limit, the log line, and the answer 500 to faults of ours."""

import re
import time

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portico.api import errors, health
from portico.api.rate_limit import RateLimit
from portico.core.errors import PorticoError
from portico.core.rate import Allowance
from portico.runtime.ids import new_id

log = structlog.get_logger()
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, \-]{1,4096}")
_METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
_ALLOWED_HEADERS = "Authorization, Content-Type"
_EXPOSED = "Total-Pages, Retry-After, x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset"
_FOR_PAGES_OF_ANY_ORIGIN = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", _EXPOSED.encode()),
]
_PREFLIGHT_AGE_SECS = "86400"
_INVITATION = re.compile(r"/meet/[^/]+/token")
"""The path that makes tokens for the holders of meeting links: limited like the API, because it needs no key."""


class Edge:
    """The middleware. It is plain ASGI, so that WebSockets pass unchanged and answers are not buffered."""

    def __init__(self, app: ASGIApp, rate_limit: RateLimit) -> None:
        self.app = app
        self._rate_limit = rate_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        is_api = scope["path"].startswith("/v2/") or scope["path"] == "/v2"
        is_counted = is_api or _INVITATION.fullmatch(scope["path"]) is not None
        is_for_pages = scope["path"] not in health.PATHS
        allowance = self._rate_limit.look(_address(scope)) if is_counted else None
        exchange = _Exchange(send, request_id, allowance, is_for_pages)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            is_preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
            if is_preflight and is_for_pages:
                await _preflight(headers)(scope, receive, exchange.send)
            else:
                await self._serve(scope, receive, exchange, headers.get("authorization"))
            if is_api:  # links to meetings are secrets and stay out of the log
                exchange.log(scope)

    async def _serve(self, scope: Scope, receive: Receive, exchange: "_Exchange", authorization: str | None) -> None:
        try:
            refusal = None
            if exchange.allowance is not None and scope["method"] != "OPTIONS":
                refusal = await self._count(scope, exchange, authorization)
            await (refusal or self.app)(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = 499  # as proxies log a caller that has disconnected; no answer can be sent
        except Exception:
            log.exception("unexpected error", method=scope["method"])
            if exchange.status:
                raise  # the answer has begun: the server has to cut it off
            await errors.unexpected(Request(scope))(scope, receive, exchange.send)

    async def _count(self, scope: Scope, exchange: "_Exchange", authorization: str | None) -> Response | None:
        """Count the request. Returns the answer that refuses it, if it is too many or the database is away."""
        try:
            allowance = await self._rate_limit.admit(authorization, _address(scope))
        except PorticoError as error:
            return await errors.on_portico_error(Request(scope), error)
        exchange.allowance = allowance
        return errors.too_many_requests(Request(scope), allowance.wait_secs) if allowance.wait_secs else None


class _Exchange:
    """One request and its answer: adds the headers that every answer has, and writes the line of the log."""

    def __init__(self, send: Send, request_id: str, allowance: Allowance | None, is_for_pages: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._began = time.monotonic()
        self._is_for_pages = is_for_pages
        self.allowance = allowance
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            present = {name.lower() for name, _ in message["headers"]}
            shared = _FOR_PAGES_OF_ANY_ORIGIN if self._is_for_pages else []
            ours = [header for header in shared if header[0] not in present]
            ours.append((b"x-request-id", self._request_id.encode("latin-1")))
            message["headers"] = [*message["headers"], *ours, *self._rate_headers()]
        await self._send(message)

    def _rate_headers(self) -> list[tuple[bytes, bytes]]:
        if self.allowance is None:
            return []
        return [
            (b"x-ratelimit-limit", b"%d" % self.allowance.limit),
            (b"x-ratelimit-remaining", b"%d" % self.allowance.remaining),
            (b"x-ratelimit-reset", b"%d" % self.allowance.reset_secs),
        ]

    def log(self, scope: Scope) -> None:
        elapsed = round((time.monotonic() - self._began) * 1000, 1)
        log.info("request", method=scope["method"], path=_path_as_sent(scope), status=self.status, ms=elapsed)


def _address(scope: Scope) -> str:
    """The client's address: the peer of the connection, or the address that a trusted proxy names."""
    return scope["client"][0] if scope.get("client") else ""


def _path_as_sent(scope: Scope) -> str:
    """The path, still percent-encoded: no control character of a caller gets to the operator's terminal."""
    return str(scope["raw_path"].decode("ascii", "backslashreplace"))


def _request_id(given: str | None) -> str:
    return given if given is not None and _REQUEST_ID.fullmatch(given) else new_id()


def _preflight(headers: Headers) -> Response:
    """The answer to a CORS preflight: any origin may send any header, because no cookie identifies a caller."""
    requested = headers.get("access-control-request-headers", "")
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": requested if _HEADER_NAMES.fullmatch(requested) else _ALLOWED_HEADERS,
            "access-control-max-age": _PREFLIGHT_AGE_SECS,
        },
    )
