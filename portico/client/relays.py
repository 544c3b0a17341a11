"""Chooses the STUN and TURN addresses of a media connection: aiortc takes one of each. Pure."""

from typing import Any

WAYS = ("udp", "tcp", "tls")
"""The ways to a relay, in the order in which they are tried."""

IceServers = list[dict[str, Any]]


class Relays:
    """The present way to the relay: the application's choice, or the first that works."""

    def __init__(self, only: str | None = None) -> None:
        """`only` is one of WAYS: media take this way to the relay and no other."""
        if only is not None and only not in WAYS:
            raise ValueError(f"relay must be one of {', '.join(WAYS)}, not {only!r}")
        self.only = only
        self._tried = 0
        self._offered: list[str] = []

    def choose(self, ice_servers: IceServers) -> IceServers:
        """The server's ICE servers, with the STUN addresses and the TURN addresses of the present way alone."""
        self._offered = [way for way in WAYS if any(way_of(url) == way for one in ice_servers for url in _urls(one))]
        way = self.way
        kept = [{**one, "urls": [url for url in _urls(one) if way_of(url) in (way, "stun")]} for one in ice_servers]
        return [one for one in kept if one["urls"]]

    @property
    def way(self) -> str | None:
        """The present way; None where the server offers no relay."""
        return self.only or (self._offered[self._tried % len(self._offered)] if self._offered else None)

    @property
    def is_last(self) -> bool:
        """Whether there is no other way to try."""
        return self.only is not None or self._tried + 1 >= len(self._offered)

    def next(self, failed: str | None) -> bool:
        """Go to the next way after this one, unless another connection went on before; False when there is no other."""
        if failed != self.way:
            return True
        if self.is_last:
            return False
        self._tried += 1
        return True


def way_of(url: str) -> str:
    """ "stun", or the way of a TURN address: "udp", "tcp" or "tls"; "" for an address that aiortc cannot use."""
    scheme, _, rest = url.partition(":")
    transport = rest.partition("?transport=")[2]
    if scheme == "stun":
        return "stun"
    if scheme == "turns":
        return "tls" if transport in ("", "tcp") else ""
    return transport or "udp" if scheme == "turn" else ""


def _urls(server: dict[str, Any]) -> list[str]:
    urls = server["urls"]
    return urls if isinstance(urls, list) else [urls]
