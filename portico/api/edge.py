"""The outermost layer of HTTP requests: request ids, CORS, the log line, and an answer even to faults of ours."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portico.api import errors

log = structlog.get_logger()
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, \-]{1,4096}")
_METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
_ALLOWED_HEADERS = "Authorization, Content-Type"
_EXPOSED = "Total-Pages, x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset"
_PREFLIGHT_AGE_SECS = "86400"


class Edge:
    """Plain ASGI, so that WebSockets pass untouched and streams stay streams."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(send, request_id)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                await _preflight(headers)(scope, receive, exchange.send)
            else:
                await self._serve(scope, receive, exchange)
            if scope["path"].startswith("/v2/"):  # links to meetings are secrets and stay out of the log
                exchange.log(scope)

    async def _serve(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        try:
            await self.app(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = 499  # as proxies log a caller who hung up; nobody is left to answer
        except Exception:
            log.exception("unexpected error", method=scope["method"])
            if exchange.status:
                raise  # the answer has begun: the server has to cut it off
            await errors.unexpected(Request(scope))(scope, receive, exchange.send)


class _Exchange:
    """One request and its answer, whose headers get completed."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._began = time.monotonic()
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._request_id
            headers.setdefault("access-control-allow-origin", "*")
            headers.setdefault("access-control-expose-headers", _EXPOSED)
        await self._send(message)

    def log(self, scope: Scope) -> None:
        elapsed = round((time.monotonic() - self._began) * 1000, 1)
        log.info("request", method=scope["method"], path=_path_as_sent(scope), status=self.status, ms=elapsed)


def _path_as_sent(scope: Scope) -> str:
    """Still percent-encoded, so that nobody writes control characters to the operator's terminal."""
    return str(scope["raw_path"].decode("ascii", "backslashreplace"))


def _request_id(given: str | None) -> str:
    return given if given is not None and _REQUEST_ID.fullmatch(given) else str(uuid4())


def _preflight(headers: Headers) -> Response:
    """Any origin may call with any header: the key is in the request, never in a cookie."""
    wanted = headers.get("access-control-request-headers", "")
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": _METHODS,
            "access-control-allow-headers": wanted if _HEADER_NAMES.fullmatch(wanted) else _ALLOWED_HEADERS,
            "access-control-max-age": _PREFLIGHT_AGE_SECS,
        },
    )
