"""Which address a connection is counted for: its peer's, or the client's that a trusted proxy names in a header."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
FORWARDED_HEADERS = (b"x-forwarded-for", b"forwarded")
_HOPS_MAX = 32
"""Addresses that are read of a chain of proxies, from its end."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks of `127.0.0.1, 10.0.0.0/8`; ValueError with a sentence for anything else."""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(
            "should be addresses or networks with commas between them, like 127.0.0.1, 10.0.0.0/8"
        ) from None


def is_loopback(address: str) -> bool:
    """Whether the address is this machine's own, in whatever spelling."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped  # Python 3.11 does not unwrap them by itself
    return parsed.is_loopback


def is_trusted(address: str, proxies: Sequence[Network]) -> bool:
    """Whether the address is that of a proxy whose headers count."""
    if not proxies:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in proxy for proxy in proxies)


def client_of(peer: str, headers: Iterable[tuple[bytes, bytes]], proxies: Sequence[Network]) -> str:
    """The address of the client that is connected by `peer`: `peer` itself unless it is a trusted proxy.

    A proxy appends the address that it sees to X-Forwarded-For or Forwarded (RFC 7239), so the last address that is
    no trusted proxy is the client; the client may have invented what stands before it. A proxy sets one of the two
    headers and passes the other on as the client sent it: where they disagree, neither counts.
    """
    if not is_trusted(peer, proxies):
        return peer
    chains: dict[bytes, list[str]] = {}
    for name, value in headers:
        if name in FORWARDED_HEADERS:
            chains.setdefault(name, []).extend(value.decode("latin-1").split(","))
    found = {_last_untrusted(peer, [_hop(name, part) for part in parts], proxies) for name, parts in chains.items()}
    return found.pop() if len(found) == 1 else peer


def _last_untrusted(peer: str, hops: list[str], proxies: Sequence[Network]) -> str:
    address = peer
    for hop in reversed(hops[-_HOPS_MAX:]):
        try:
            address = str(ip_address(hop))
        except ValueError:
            return address  # unknown, hidden or malformed: the address after it counts
        if not is_trusted(address, proxies):
            return address
    return address


def _hop(header: bytes, part: str) -> str:
    """The bare address in one element of the header; without port and brackets."""
    text = part.strip()
    if header == b"forwarded":
        pairs = (pair.strip().partition("=") for pair in text.split(";"))
        text = next((value for name, _, value in pairs if name.lower() == "for"), "").strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
