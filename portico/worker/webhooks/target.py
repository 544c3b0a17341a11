"""Makes the HTTP client send the URL of a webhook unchanged: the request line holds it byte for byte."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import quote

from yarl import URL

_PARTS = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE | re.DOTALL)
_NOT_ON_THE_WIRE = re.compile(r"[^\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of a request. `url` has no user; its path contains path and query as they were given."""

    url: URL
    headers: dict[str, str]
    """The header with the credentials of the URL; empty without any."""


def parse(url: str) -> Target:
    """Parse a webhook's URL. Only blanks and non-ASCII characters are encoded. Raises ValueError with a sentence.

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
