"""The opening handshake of a WebSocket (RFC 6455, section 4.2), server side: request, ASGI scope and answers. Pure."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

Header = tuple[bytes, bytes]
VERSION = (b"sec-websocket-version", b"13")
"""The header that a refusal of another version contains."""
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def refusal(method: str, headers: dict[bytes, bytes]) -> int | None:
    """The HTTP status that refuses a request which is no handshake (section 4.2.1); None for a handshake."""
    if headers.get(VERSION[0]) != VERSION[1]:
        return 426
    try:
        key = base64.b64decode(headers.get(b"sec-websocket-key", b"").strip(), validate=True)
    except binascii.Error:
        return 400
    return None if method == "GET" and len(key) == 16 else 400


def accept_key(headers: dict[bytes, bytes]) -> bytes:
    """The value of `Sec-WebSocket-Accept` for the client's key (section 4.2.2)."""
    digest = hashlib.sha1(headers[b"sec-websocket-key"].strip() + _ACCEPT_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest)


def websocket_scope(scope: MutableMapping[str, Any], url: bytes) -> dict[str, Any]:
    """The members of an ASGI WebSocket scope that differ from those of the HTTP request's scope."""
    raw_path, _, query = url.partition(b"?")
    offered = b",".join(value for name, value in scope["headers"] if name == b"sec-websocket-protocol")
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": "ws",
        "path": unquote(raw_path.decode("latin-1")),
        "raw_path": raw_path,
        "query_string": query,
        "subprotocols": [each.strip() for each in offered.decode("latin-1").split(",") if each.strip()],
        "extensions": {**scope["extensions"], "websocket.http.response": {}},
    }


def accepting_answer(accept: bytes, subprotocol: str | None, headers: Iterable[Header]) -> bytes:
    """The answer that opens the WebSocket: status 101."""
    head = [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"]
    head.append(b"sec-websocket-accept: %s\r\n" % accept)
    if subprotocol:
        head.append(b"sec-websocket-protocol: %s\r\n" % subprotocol.encode())
    head += [b"%s: %s\r\n" % header for header in headers]
    return b"".join([*head, b"\r\n"])


def refusing_answer(status: int, headers: Iterable[Header], body: bytes) -> bytes:
    """The HTTP answer that refuses the handshake; the connection closes after it."""
    own = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode())]
    lines += [b"%s: %s\r\n" % header for header in [*own, *headers]]
    return b"".join([*lines, b"\r\n", body])
