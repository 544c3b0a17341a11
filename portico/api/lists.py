"""Answers with lists: made off the event loop, bounded, and cancelled when the caller disconnects."""

import asyncio
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from portico.api.call import Call
from portico.core import paging
from portico.core.errors import Fault, Invalid
from portico.core.paging import Page
from portico.db.engine import Transaction
from portico.services.listing import Listed

S = TypeVar("S")
T = TypeVar("T")
ANSWER_BYTES_MAX = 10_000_000
WATCH_AFTER_SECS = 0.05
"""A request that takes longer is cancelled when its caller disconnects; most are answered before."""


async def list_answer(
    call: Call,
    page: Page,
    fetch: Callable[[Transaction], Listed[T]],
    show: Callable[[T], dict[str, Any]],
) -> Response:
    """A list in its envelope, with the Total-Pages header; each item as `show` makes it, in a thread."""

    def write(listed: Listed[T]) -> Response:
        meta = paging.meta(page, listed.total_results)
        content = encode({"data": [show(item) for item in listed.items], "meta": meta})
        return _json(content, {"Total-Pages": str(meta["total_pages"])})

    return await _unless_disconnected(call.request, call.context.db.read_list(call.account_id, fetch, write))


async def item_answer(
    call: Call,
    fetch: Callable[[Transaction], T],
    show: Callable[[T], dict[str, Any]],
) -> Response:
    """The answer with one object, which may embed a list."""

    def write(found: T) -> Response:
        return _json(encode({"data": show(found)}))

    return await _unless_disconnected(call.request, call.context.db.read_list(call.account_id, fetch, write))


def encode(value: dict[str, Any]) -> bytes:
    """JSON, encoded in small steps: one large step would block all other threads. Invalid when it is too large."""
    pieces = []
    size = 0
    for piece in _pieces(value):
        encoded = piece.encode()
        size += len(encoded)
        if size > ANSWER_BYTES_MAX:
            detail = f"The answer would have more than {ANSWER_BYTES_MAX // 10**6} MB: ask for a smaller page."
            raise Invalid(Fault("10033", "Value outside of range", detail, parameter="page[size]"))
        pieces.append(encoded)
    return b"".join(pieces)


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        for number, each in enumerate(value):
            yield "," if number else "["
            yield from _pieces(each)
        yield "]"
    elif isinstance(value, dict) and any(isinstance(each, dict | list) for each in value.values()):
        for number, (name, each) in enumerate(value.items()):
            yield f"{',' if number else '{'}{_json_text(name)}:"
            yield from _pieces(each)
        yield "}"
    else:
        yield _json_text(value)


_json_text = partial(json.dumps, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _json(content: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(content, media_type="application/json", headers=headers)


async def _unless_disconnected(request: Request, answering: "asyncio.Future[T] | Any") -> T:
    """The answer. Raises ClientDisconnect, and cancels it, when the caller disconnects first."""
    task: asyncio.Task[T] = asyncio.ensure_future(answering)
    disconnected: asyncio.Task[None] | None = None
    try:
        await asyncio.wait([task], timeout=WATCH_AFTER_SECS)
        if not task.done():
            disconnected = asyncio.create_task(_disconnected(request))
            await asyncio.wait([task, disconnected], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for each in (task, disconnected):
            if each is not None:
                each.cancel()


async def _disconnected(request: Request) -> None:
    """Return when the caller has closed the connection; the body of the request, if any, is skipped."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
