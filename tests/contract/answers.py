"""Every answer is checked against both documents: the official specification, and the one that we publish."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portico.api.app import document
from tests.contract.schemas import Contract, official

ANSWERS_WITHIN_SECS = 30.0
"""When to give up: no answer is promised within that time."""


_FOR_OPERATORS = {"/healthz", "/readyz", "/metrics"}
"""Not for pages of other origins."""


@cache
def contracts() -> tuple[Contract, Contract]:
    """Of the two documents; statuses that the official one does not foresee have its body of errors."""
    return Contract(official(), prefix="/v2", undeclared="video_Errors"), Contract(document())


def check(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Both documents describe the answer, and the headers that every answer has are there."""
    for contract in contracts():
        contract.check(method, path, status, headers.get("content-type"), body)
    assert headers["x-request-id"]
    assert headers.get("access-control-allow-origin") == (None if path in _FOR_OPERATORS else "*")
    if path == "/v2" or path.startswith("/v2/"):
        limit, remaining, reset = (int(headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))
        assert 0 <= remaining <= limit and reset >= 1
        if status >= 400:
            assert b'"errors":[{"code":"' in body


class _Client(httpx.Client):
    """Closed when forgotten, as the SDK's own client is."""

    def __del__(self) -> None:
        if not self.is_closed:
            self.close()


def checking_client(**options: Any) -> httpx.Client:
    """An HTTP client whose answers are checked; for the official SDK, or by itself."""

    def check_response(response: httpx.Response) -> None:
        request = response.request
        check(request.method, request.url.path, response.status_code, response.headers, response.read())

    return _Client(event_hooks={"response": [check_response]}, timeout=ANSWERS_WITHIN_SECS, **options)


class Checked:
    """An application whose answers are checked on their way to the client; `faults` says what was wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.faults: list[str] = []
        self.answers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {}
        body = bytearray()

        async def send_and_check(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._check(scope, start, bytes(body))
            await send(message)

        await self.app(scope, receive, send_and_check)

    def _check(self, scope: Scope, start: Message, body: bytes) -> None:
        self.answers += 1
        try:
            check(scope["method"], scope["path"], start["status"], Headers(raw=start["headers"]), body)
        except (AssertionError, KeyError, ValueError) as fault:
            self.faults.append(f"{scope['method']} {scope['path']} {start['status']}: {fault!r}")
