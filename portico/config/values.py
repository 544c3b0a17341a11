"""Checks of single setting values: each returns the value to use, or raises ValueError with what is wrong."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from portico.core import client_address, ice, rate
from portico.core.rate import Limit

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?")
_OWN_PATH = re.compile(r"assets|check|connect\.js|console|docs|files|healthz|meet|metrics|openapi\.json|readyz|v2")
"""First parts of the server's own paths. PUBLIC_URL may not begin with one: `/meet/meet/ID` would be ambiguous."""
_HEADER_TEXT = re.compile(r"[\x20-\x7e]+")


def without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """The values without blanks at their ends; one that is blank is unset, as compose's `${NAME:-}` means it."""
    stripped = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
    return {name: value for name, value in stripped.items() if value != ""}


def port(value: object) -> object:
    """A port in digits. Kubernetes gives every pod PORTICO_PORT=tcp://... when a Service is named portico."""
    if isinstance(value, str) and value.startswith(("tcp://", "udp://")):
        raise ValueError(
            "should be a number; Kubernetes sets this one for a Service that is named portico: "
            "give the Service another name, or the pod `enableServiceLinks: false`"
        )
    return value


def port_range(value: object) -> object:
    """Two ports as `20000-40000`."""
    if not isinstance(value, str):
        return value
    low, _, high = value.partition("-")
    if not (low.isdigit() and high.isdigit()) or not 1024 <= int(low) < int(high) <= 65535:
        raise ValueError("should be two ports like 20000-40000")
    return int(low), int(high)


def host_name(value: str | None) -> str | None:
    """A host name in lower case, one of other scripts as `xn--...`; no address."""
    if value is None:
        return None
    try:
        name = value.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise ValueError("should be a host name, like video.example.com, without https:// and port")
    return name


def rate_limit(value: object) -> Limit | object:
    """A limit as `20/s`."""
    return rate.parse(value) if isinstance(value, str) else value


def networks(value: object) -> object:
    """Addresses and networks as `127.0.0.1, 10.0.0.0/8`."""
    return client_address.parse_networks(value) if isinstance(value, str) else value


def ice_servers(value: str | None) -> str | None:
    """STUN and TURN servers as `stun:HOST:PORT, turn:HOST:PORT`."""
    ice.parse(value or "")
    return value


def api_key(value: str | None) -> str | None:
    """A key that fits into a header."""
    if value is not None and not _HEADER_TEXT.fullmatch(value):
        raise ValueError("should have letters, digits and signs of ASCII only: others cannot be sent in a header")
    return value


def url(*schemes: str) -> Callable[[str | None], str | None]:
    """A check for an address with a host and at most a path, without a slash at its end."""
    begins = " or ".join(f"{scheme}://" for scheme in schemes)

    def check(value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"should begin with {begins}")
        _host_and_port(value)
        return value.rstrip("/")

    return check


def proxy_url(value: str | None) -> str | None:
    """The address of an HTTP proxy, maybe with a user and a password."""
    if value is None:
        return None
    if not value.startswith("http://"):
        raise ValueError("should be http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")
    if _host_and_port(re.sub("//[^/@]*@", "//", value)).path not in ("", "/"):
        raise ValueError("should have no path")
    return value.rstrip("/")


def public_url(value: str | None) -> str | None:
    """The address of the server as browsers write it: scheme, host, and maybe a port and a path."""
    checked = url("http", "https")(value)
    if checked is not None and not _PATH.fullmatch(urlsplit(checked).path):
        raise ValueError("has a path with other signs than letters, digits, . _ ~ - and /")
    if checked is not None and (first := urlsplit(checked).path.split("/")[1:2]) and _OWN_PATH.fullmatch(first[0]):
        raise ValueError(f"has a path that begins with one of the server's own, /{first[0]}: choose another, as /video")
    return checked


def database_url(value: str | None) -> str | None:
    """A URL of one of the two databases."""
    if value is not None and not value.startswith(("postgresql://", "sqlite:////")):
        raise ValueError("should be postgresql://USER:PASSWORD@HOST/NAME, or sqlite:////FILE")
    return value


def storage_url(value: str | None) -> str | None:
    """A bucket, and maybe a prefix in it."""
    if value is not None and not re.match("s3://[^/]", value):
        raise ValueError("should be s3://BUCKET or s3://BUCKET/PREFIX")
    return value


def _host_and_port(value: str) -> SplitResult:
    if re.search(r"[\s\x00-\x1f\\]", value):
        raise ValueError("has a blank or a backslash in it")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"is not an address: {error}") from None
    if not host or not _HOST.fullmatch(host):
        raise ValueError("should name a host, as in https://video.example.com")
    if parts.username is not None:
        raise ValueError("should be without a user name")
    if parts.query or parts.fragment or value.endswith(("?", "#")):
        raise ValueError("should end with the host, the port or a path, without ? and #")
    return parts
