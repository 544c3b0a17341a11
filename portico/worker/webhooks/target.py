"""The URL of a webhook as the HTTP client takes it: the request line holds what was given, byte for byte."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import quote

from yarl import URL

_PARTS = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE | re.DOTALL)
_NOT_ON_THE_WIRE = re.compile(r"[^\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `url` has no user; path and query are in its path, as they were given."""

    url: URL
    headers: dict[str, str]
    """The credentials of a URL that has some."""


def parse(url: str) -> Target:
    """Raises ValueError with a sentence. Only blanks and what is not ASCII get percent-encoded: HTTP has no other way.

    The client's own parsing would decode %28 to a bracket and %40 to an @, and receivers that sign their URLs refuse.
    """
    parts = _PARTS.fullmatch(url.partition("#")[0])
    if parts is None:
        raise ValueError("it must begin with http:// or https:// and name a host")
    scheme, authority, rest = parts.groups()
    base = URL(f"{scheme.lower()}://{authority}/")
    if not base.host:
        raise ValueError("it must begin with http:// or https:// and name a host")
    headers = {}
    if base.user is not None:
        credentials = base64.b64encode(f"{base.user}:{base.password or ''}".encode()).decode()
        headers["authorization"] = f"Basic {credentials}"
    rest = _NOT_ON_THE_WIRE.sub(lambda found: quote(found[0]), rest)
    path = rest if rest.startswith("/") else f"/{rest}"
    return Target(base.with_user(None).with_path(path, encoded=True), headers)
