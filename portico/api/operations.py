"""What operators and their machines ask: alive, ready, and figures for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], Awaitable[str | None]]
CHECK_SECS = 3.0


def router(checks: Mapping[str, Check], metrics: CollectorRegistry) -> APIRouter:
    """GET /healthz, /readyz and /metrics. A check returns None when all is well, else a sentence."""
    operations = APIRouter(include_in_schema=False)

    @operations.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @operations.get("/readyz")
    async def readyz() -> Response:
        names = list(checks)
        answers = await asyncio.gather(*(_ask(checks[name]) for name in names))
        reasons = {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}
        body: dict[str, Any] = {"status": "not ready", "reasons": reasons} if reasons else {"status": "ready"}
        return JSONResponse(body, status_code=503 if reasons else 200)

    @operations.get("/metrics")
    async def figures() -> Response:
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    return operations


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECS):
            return await check()
    except Exception as error:  # noqa: BLE001  whatever it is, it is the reason for not being ready
        return str(error) or type(error).__name__
