"""Serves finished files that are kept on this machine to holders of a signed link."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from portico.core import links, object_keys
from portico.core.errors import Forbidden, NotFound
from portico.core.ranges import NotSatisfiable, asked_range
from portico.db.engine import Database
from portico.services import files
from portico.services.files import Kept, LinkKeys
from portico.storage.store import Store

CHUNK_BYTES = 256 * 1024
"""Bytes read at once, in a thread, so that a large file does not delay the calls."""

# Players on pages of any origin may use it: the link alone gives the right.
_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
_COMMON = _ANY_ORIGIN | {
    "Accept-Ranges": "bytes",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag",
    # Caches ask before each use: a file that was deleted must not be shown from a copy.
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PREFLIGHT = _ANY_ORIGIN | {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Range, If-Range, If-None-Match",
    "Access-Control-Max-Age": "86400",
}


def routes(db: Database, store: Store, keys: LinkKeys, clock: Callable[[], datetime]) -> list[Route]:
    """GET and HEAD /files/{key}, for links that one of `keys` signed. Raises Forbidden and NotFound."""

    async def download(request: Request) -> Response:
        """The file, or the part of it that Range asks for; 404 from the moment on that its row is gone."""
        key = request.path_params["key"]
        try:
            filename = links.verify_any(keys.accepted, key, request.query_params, now=clock())
        except links.LinkRefused as refused:
            raise Forbidden(str(refused)) from None
        kept = await db.read(partial(files.kept, object_key=key))
        path = store.local_path(key) if kept is not None else None
        if kept is None or path is None:
            raise NotFound
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError:
            raise NotFound from None
        headers = _headers(kept, key, filename)
        return _answer(request, file, kept, headers)

    async def preflight(request: Request) -> Response:
        return Response(status_code=204, headers=_PREFLIGHT)

    path = "/files/{key:path}"
    return [Route(path, download), Route(path, preflight, methods=["OPTIONS"])]


def _headers(kept: Kept, key: str, filename: str) -> dict[str, str]:
    return _COMMON | {
        "Content-Type": object_keys.content_type(key),
        "Content-Disposition": links.content_disposition(filename),
        "ETag": f'"{kept.sha256}"',
    }


def _answer(request: Request, file: BinaryIO, kept: Kept, headers: dict[str, str]) -> Response:
    """The answer, which closes `file`. Conditions are evaluated in the order of RFC 9110 section 13.2.2."""
    size, etag = kept.size_bytes, headers["ETag"]
    if _names(request.headers.get("if-none-match", ""), etag):
        file.close()
        return Response(
            status_code=304, headers={name: text for name, text in headers.items() if name != "Content-Type"}
        )
    # Range is defined for GET alone; and it counts only for the file that the client has a part of already.
    is_asked = request.method == "GET" and request.headers.get("if-range", etag) == etag
    try:
        part = asked_range(request.headers.get("range"), size) if is_asked else None
    except NotSatisfiable:
        file.close()
        refused = _COMMON | {"Content-Range": f"bytes */{size}"}
        return PlainTextResponse(f"The file has {size} bytes.", status_code=416, headers=refused)
    start, end = part or (0, size)
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        file.close()
        return Response(headers=headers)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return _Part(file, start, end, 206 if part else 200, headers)


# Starlette's FileResponse was tried: it takes 103 ms of CPU for 64 MB where this takes 35, sends the head before it
# opens the file (so that a deleted one is a broken 200 instead of a 404), takes the size from the file instead of the
# row (so that a truncated one looks whole), has no 304, and answers 400 to units of ranges that a server may ignore.
class _Part(StreamingResponse):
    """Sends bytes `start` to `end` of an open file, which stays readable when it is deleted meanwhile."""

    def __init__(self, file: BinaryIO, start: int, end: int, status: int, headers: dict[str, str]) -> None:
        super().__init__(_chunks(file, start, end), status, headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with closing(self._file):
            await super().__call__(scope, receive, send)


async def _chunks(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    file.seek(start)
    while start < end:
        chunk = await asyncio.to_thread(file.read, min(CHUNK_BYTES, end - start))
        if not chunk:
            raise RuntimeError("a kept file is shorter than its row says")  # the connection breaks, as it must
        start += len(chunk)
        yield chunk


def _names(header: str, etag: str) -> bool:
    """Whether an If-None-Match header names this entity tag, by weak comparison (RFC 9110 section 13.1.2)."""
    return header.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in header.split(","))
