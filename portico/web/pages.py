"""Serves the built pages (front, meeting, console, check), their assets and connect.js, with their headers."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from portico import __version__

ASSETS = Path(__file__).parent / "assets"

NOT_BUILT = "The pages are not built yet: run script/setup, then reload this page."

# What the build names by content: `meet-CsS3heF4.js`. Everything else in the folder has an address of its own.
_HASHED_NAME = re.compile(r"[a-z_]+-[A-Za-z0-9_-]{8}\.(?:js|css|svg)")
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")

_COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_VARIES = {"Vary": "Accept"}
_PERMISSIONS = "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=(), usb=()"
_CHECK = "camera=(self), microphone=(self), display-capture=(), geolocation=(), payment=(), usb=()"
_NO_PERMISSIONS = "camera=(), microphone=(), display-capture=(), geolocation=(), payment=(), usb=()"


def routes(assets: Path = ASSETS, base_url: str = "") -> list[Route]:
    """The pages out of `assets`, the folder that the frontend's build fills; it may be filled later.

    `base_url` is where browsers reach this server.
    """

    def front(request: Request) -> Response:
        # A client of the API that asks for the base of its URLs reads JSON, a browser the page.
        accepted = request.headers.get("accept", "")
        if "application/json" in accepted and "text/html" not in accepted:
            return JSONResponse(_front_members(base_url), headers=_COMMON | _VARIES)
        return _page(assets / "front.html", _front_policy(), _NO_PERMISSIONS, _VARIES)

    def meeting(request: Request) -> Response:
        # The same page for every room: only its script has the invitation, which is in the fragment, and can ask
        # for the room.
        return _page(assets / "meet.html", _call_policy(request.headers.get("host", "")), _PERMISSIONS)

    def console(request: Request) -> Response:
        # The console's page has no secrets: its script reads over REST, with the API key that the user types.
        return _page(assets / "console.html", _console_policy(), _NO_PERMISSIONS)

    def check(request: Request) -> Response:
        # Open to anonymous clients: the invitation of a meeting, if there is one, is in the fragment.
        return _page(assets / "check.html", _call_policy(request.headers.get("host", "")), _CHECK)

    def asset(request: Request) -> Response:
        name = request.path_params["name"]
        path = assets / name
        if not _HASHED_NAME.fullmatch(name) or not path.is_file():
            return PlainTextResponse("There is no such file.", status_code=404, headers=_COMMON)
        # The name changes with the content, so a copy is good for ever.
        return FileResponse(path, headers=_COMMON | {"Cache-Control": "public, max-age=31536000, immutable"})

    def connect_script(request: Request) -> Response:
        script = _read(assets / "connect.js")
        if script is None:
            return _not_built()
        return _connect_script(script, request.headers.get("if-none-match", ""))

    return [
        Route("/", front),
        Route("/meet/{room_id}", meeting),
        Route("/console", console),
        Route("/check", check),
        Route("/assets/{name}", asset),
        Route("/connect.js", connect_script),
    ]


def _connect_script(script: bytes, known: str) -> Response:
    etag = f'"{hashlib.sha256(script).hexdigest()[:32]}"'
    headers = _COMMON | {
        "ETag": etag,
        "Cache-Control": "public, max-age=300",
        # Pages of any origin load it: that is what it is for.
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    # Weak comparison, RFC 9110 section 13.1.2.
    if known.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(script, media_type="text/javascript; charset=utf-8", headers=headers)


def _front_members(base_url: str) -> dict[str, object]:
    """The front page as JSON, for programs: the addresses of API, document and pages."""
    links = {"api": "v2", "reference": "docs", "openapi": "openapi.json", "console": "console", "check": "check"}
    return {
        "data": {
            "name": "Portico",
            "version": __version__,
            "links": {name: f"{base_url}/{path}" for name, path in links.items()},
        }
    }


def _page(path: Path, policy: str, permissions: str, others: Mapping[str, str] = MappingProxyType({})) -> Response:
    html = _read(path)
    if html is None:
        return _not_built()
    headers = _COMMON | {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Permissions-Policy": permissions,
        "Cross-Origin-Opener-Policy": "same-origin",
        **others,
    }
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


def _call_policy(host: str) -> str:
    # In older browsers 'self' does not cover WebSockets of the same host, so that they are named as well.
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return _content_security_policy(media="'self' blob: mediastream:", connect=f"'self'{sockets}")


def _front_policy() -> str:
    return _content_security_policy(media="'none'", connect="'none'")


def _console_policy() -> str:
    # Recordings are played from wherever the store is: a bucket, or this server under the name that links give it.
    return _content_security_policy(media="http: https:", connect="'self'")


def _content_security_policy(*, media: str, connect: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            f"media-src {media}",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _not_built() -> Response:
    return PlainTextResponse(NOT_BUILT, status_code=503, headers=_COMMON | {"Cache-Control": "no-store"})
