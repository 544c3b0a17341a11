"""Which IP addresses are internal, so that no webhook may be sent there, and which belong to one network."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# https://www.iana.org/assignments/iana-ipv4-special-registry, less what is ordinary anycast, and the last one.
_INSIDE_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host; Linux connects 0.0.0.0 to itself
        "10.0.0.0/8",  # private, as 172.16.0.0/12 and 192.168.0.0/16
        "100.64.0.0/10",  # carrier-grade NAT; one cloud's metadata is in it
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; one cloud's metadata
        "192.0.2.0/24",  # documentation, as 198.51.100.0/24 and 203.0.113.0/24
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "168.63.129.16/32",  # a public address on which one cloud talks to its machines
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
"""The only part of IPv6 that is given out to hosts. Beyond it are loopback, link-local, unique local, multicast,
and NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), behind which any IPv4 address may stand."""
_INSIDE_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation, as 3fff::/20
        "2002::/16",  # 6to4: an IPv4 address is inside
        "3fff::/20",
    )
)

_NEVER_V4 = tuple(
    IPv4Network(network)
    for network in (
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "100.100.100.200/32",  # metadata of clouds that use no link-local address for it
        "192.0.0.192/32",
        "168.63.129.16/32",
    )
)
_NEVER_V6 = tuple(
    IPv6Network(network)
    for network in (
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # metadata of clouds, as fd20:ce::254
        "fd20:ce::/32",
        "fd00:42::42/128",  # as above
    )
)
_V4_IN_LAST_BITS = tuple(
    IPv6Network(network)
    for network in (
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64, as 64:ff9b:1::/48
        "64:ff9b:1::/48",
    )
)
_6TO4 = IPv6Network("2002::/16")


def is_metadata(address: str | Address) -> bool:
    """Whether the address is link-local or where a cloud's machines ask for their credentials, in whatever form.

    Webhooks are never sent there. False for text that is not an address.
    """
    if isinstance(address, str):
        try:
            address = ip_address(address)
        except ValueError:
            return False
    if isinstance(address, IPv4Address):
        return any(address in network for network in _NEVER_V4)
    bare = IPv6Address(address.packed)  # without its zone
    return any(bare in network for network in _NEVER_V6) or any(map(is_metadata, _embedded(bare)))


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 address that a translator or tunnel would reach under this one."""
    if any(address in network for network in _V4_IN_LAST_BITS):
        yield IPv4Address(address.packed[12:])
    if address in _6TO4:
        yield IPv4Address(address.packed[2:6])


def is_internal(address: str | Address) -> bool:
    """Whether a machine on the internet would not be reached under this address.

    Text that is not an address in the usual form counts as internal: the caller is about to connect, and another
    program might read it as an address. A zone (`fe80::1%eth0`) changes nothing. What cannot be known here: an
    operator's own NAT64 prefix, and which public addresses are this machine's.
    """
    if isinstance(address, str):
        try:
            address = ip_address(address)
        except ValueError:
            return True
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return address not in _GLOBAL_V6 or any(address in network for network in _INSIDE_V6)
        address = address.ipv4_mapped
    return any(address in network for network in _INSIDE_V4)


def network(address: str) -> str:
    """The network that an address is counted for: the address itself, or the first 64 bits of an IPv6 address in hex.

    A customer usually has 64 bits of IPv6 addresses, which therefore count as one.
    """
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.packed[:8].hex()
