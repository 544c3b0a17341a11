"""Chooses which of the installation's TURN servers a connection check tries by UDP, by TCP and by TLS."""

from collections.abc import Iterable, Mapping
from typing import Any

RELAY_PATHS = ("udp", "tcp", "tls")


def by_path(servers: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The first TURN URL of each path, as an RTCIceServer with the credentials that its server has."""
    found: dict[str, dict[str, Any]] = {}
    for server in servers:
        for url in server["urls"]:
            if (path := _path_of(url)) is not None and path not in found:
                found[path] = {**server, "urls": [url]}
    return found


def _path_of(url: str) -> str | None:
    """How a browser reaches the server of this URL (RFC 7065); None for a STUN server."""
    if url.startswith("turns:"):
        return "tls"
    if url.startswith("turn:"):
        return "tcp" if url.endswith("?transport=tcp") else "udp"
    return None
