"""The STUN and TURN servers that browsers receive, with short-lived credentials in the form of the TURN REST API.

A user name is `EXPIRY:HOLDER` (seconds since 1970, and who it was issued for); its password is the base64 of HMAC-SHA1
over it with a secret that the TURN server shares. https://datatracker.ietf.org/doc/html/draft-uberti-behave-turn-rest
"""

import base64
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

LIFETIME = timedelta(hours=1)
"""How long issued credentials admit to a relay. One that was opened with them lives on without them."""
RENEWED_AFTER = LIFETIME / 2
"""The age at which a call's credentials are replaced, so that connections it makes later are admitted to a relay."""

_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):((?P<user>[^:@/?]+):(?P<password>[^@/?]+)@)?"
    r"(?P<host>[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
    r"(?P<query>\?transport=(udp|tcp))?"
)


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server; `username` and `credential` are set where they are fixed."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    @property
    def relays(self) -> bool:
        """Whether it is a TURN server, which requires credentials."""
        return self.urls[0].startswith("turn")


@dataclass(frozen=True, slots=True)
class IceServers:
    """The servers of this installation, and the secret of those without fixed credentials."""

    servers: tuple[IceServer, ...] = ()
    secret: str | None = field(default=None, repr=False)

    def issue(self, holder: str, now: datetime, lifetime: timedelta = LIFETIME) -> list[dict[str, Any]]:
        """The servers as browsers take them (RTCIceServer), with credentials for `holder` from `now` on."""
        return [self._issued(server, holder, now + lifetime) for server in self.servers]

    def addresses(self) -> list[dict[str, Any]]:
        """The servers without credentials. A relay refuses a request without them, which shows that it answers."""
        return [{"urls": list(server.urls)} for server in self.servers]

    def _issued(self, server: IceServer, holder: str, until: datetime) -> dict[str, Any]:
        shown: dict[str, Any] = {"urls": list(server.urls)}
        if not server.relays:
            return shown
        if server.username is not None and server.credential is not None:
            return {**shown, "username": server.username, "credential": server.credential}
        if self.secret is None:
            return shown
        username, password = credentials(self.secret, holder, until)
        return {**shown, "username": username, "credential": password}


def credentials(secret: str, holder: str, until: datetime) -> tuple[str, str]:
    """(user name, password) that admit to a relay until this instant. `holder` has no colon."""
    username = f"{int(until.timestamp())}:{holder}"
    return username, base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()


def relay(host: str, port: int, tls: tuple[str, int] | None) -> IceServer:
    """Our own TURN server by UDP, TCP and TLS, in the order in which browsers prefer them.

    `tls` is the host and port of TURN over TLS; None where it has no certificate.
    """
    urls = [f"turn:{_bracketed(host)}:{port}?transport={kind}" for kind in ("udp", "tcp")]
    if tls is not None:
        urls.append(f"turns:{_bracketed(tls[0])}:{tls[1]}?transport=tcp")
    return IceServer(tuple(urls))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def parse(text: str) -> tuple[IceServer, ...]:
    """Servers as `stun:HOST:PORT, turn:USER:PASSWORD@HOST:PORT?transport=tcp`. Raises ValueError for others.

    Signs of a user or password that have a meaning in the list are written as in a URL (%40 for @).
    """
    return tuple(_server(url) for url in re.split(r"[\s,]+", text.strip()) if url)


def _server(url: str) -> IceServer:
    found = _URL.fullmatch(url)
    shown = re.sub(r":[^@]*@", ":...@", url)
    if found is None:
        raise ValueError(
            f"{shown} should be stun:HOST:PORT or turn:HOST:PORT, turn:USER:PASSWORD@HOST:PORT, turns: for TLS, "
            "and may end with ?transport=udp or ?transport=tcp"
        )
    port = found["port"]
    if port is not None and not 1 <= int(port) <= 65535:
        raise ValueError(f"{shown} has a port that does not exist")
    is_stun = found["scheme"].startswith("stun")
    if is_stun and (found["user"] or found["query"]):
        raise ValueError(f"{shown} is a STUN server, which has no user and no transport")
    if found["scheme"] == "turns" and found["query"] == "?transport=udp":
        raise ValueError(f"{shown} should be with transport=tcp: browsers know TLS over TCP only")
    bare = f"{found['scheme']}:{found['host']}{f':{port}' if port else ''}{found['query'] or ''}"
    if not found["user"]:
        return IceServer((bare,))
    return IceServer((bare,), unquote(found["user"]), unquote(found["password"]))
