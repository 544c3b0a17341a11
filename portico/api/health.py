"""GET /healthz (the process is alive), /readyz (its parts answer) and /metrics (figures for Prometheus)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from portico.core.client_address import FORWARDED_HEADERS, is_loopback

log = structlog.get_logger()
ReadinessCheck = Callable[[], Awaitable[str | None]]
FindKey = Callable[[str | None, str], Awaitable[object | None]]
"""The API key of an Authorization header, shown by a client of this address."""
CHECK_SECS = 3.0
GOOD_FOR_SECS = 1.0
"""How long the results of the checks are kept: more frequent requests cause no more work."""
PATHS = frozenset(("/healthz", "/readyz", "/metrics"))
"""The paths of this module, which get no CORS headers: pages of other origins may not read them."""
_SENTENCES = {
    "server": "The server is stopping.",
    "database": "The database does not answer.",
    "janus": "The media server is being restarted.",
    "media": "The media server has no ports or file descriptors left for another participant.",
    "storage": "The storage does not answer.",
    "caddy": "The program that ends TLS is being restarted.",
    "haproxy": "The program that ends TLS is being restarted.",
    "coturn": "The relay is being restarted.",
    "descriptors": "No file descriptors are left for more connections.",
}
"""The public sentence of /readyz for each failing check. The reasons are in the log."""
_UNKNOWN = "It does not answer."


def routes(
    checks: Mapping[str, ReadinessCheck],
    metrics: CollectorRegistry,
    versions: Callable[[], Mapping[str, str | None]] = dict,
    *,
    find_key: FindKey,
    are_metrics_public: bool = False,
) -> list[Route]:
    """GET /healthz, /readyz and /metrics. A check returns None when all is well, else a sentence for the log.

    `versions` are those of supervised programs by their names, which are names of checks too: /readyz shows both.
    /metrics answers programs of this machine, callers with an API key, and with `are_metrics_public` every caller.
    """
    readiness = Readiness(checks)

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> Response:
        reasons = {name: _SENTENCES.get(name, _UNKNOWN) for name in await readiness.failures()}
        body: dict[str, Any] = {"status": "not ready", "reasons": reasons} if reasons else {"status": "ready"}
        if children := versions():
            body["children"] = {
                name: {"status": "down" if name in reasons else "up", "version": version}
                for name, version in children.items()
            }
        return JSONResponse(body, status_code=503 if reasons else 200)

    async def figures(request: Request) -> Response:
        allowed = are_metrics_public or _is_local(request)
        address = request.client.host if request.client else ""
        if not allowed and await find_key(request.headers.get("authorization"), address) is None:
            return PlainTextResponse("Ask from the server's own machine, or with an API key.\n", status_code=403)
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", figures)]


_OF_OTHERS = (
    *FORWARDED_HEADERS,
    *(b"via", b"x-real-ip", b"x-forwarded-host", b"x-forwarded-proto", b"cf-connecting-ip"),
    b"origin",
)
"""Headers of proxies and of pages of other origins. A proxy that sets none of them looks like a local program."""


class Readiness:
    """The checks, run at most once in GOOD_FOR_SECS for all requests."""

    def __init__(self, checks: Mapping[str, ReadinessCheck], clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._answer: asyncio.Task[dict[str, str]] | None = None
        self._asked_at = 0.0
        self._logged: dict[str, str] = {}

    async def failures(self) -> dict[str, str]:
        """The names of the checks that fail, each with its reason."""
        answer = self._answer
        if answer is None or (answer.done() and self._clock() - self._asked_at >= GOOD_FOR_SECS):
            self._asked_at = self._clock()
            answer = self._answer = asyncio.create_task(self._ask_all())
        return await asyncio.shield(answer)

    async def _ask_all(self) -> dict[str, str]:
        names = list(self._checks)
        answers = await asyncio.gather(*(_ask(self._checks[name]) for name in names))
        failures = {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}
        if failures != self._logged:
            self._logged = failures
            log.warning("readiness changed", failures=failures) if failures else log.info("ready")
        return failures


async def _ask(check: ReadinessCheck) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECS):
            return await check()
    except Exception as error:  # noqa: BLE001  whatever it is, it is the reason for not being ready
        return str(error) or type(error).__name__


def _is_local(request: Request) -> bool:
    """Whether the caller is a program of this machine: not a proxy, and not a web page by a name of its choice."""
    if request.client is None or not is_loopback(request.client.host):
        return False
    if request.scope.get("http_version") == "1.0":
        return False  # nginx by default; no program that collects figures
    names = {name for name, _ in request.scope["headers"]}
    return names.isdisjoint(_OF_OTHERS) and _is_own_name(request.url.hostname or "")


def _is_own_name(host: str) -> bool:
    """Whether `host` is localhost or an address. A web page may use any other name that resolves to this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
