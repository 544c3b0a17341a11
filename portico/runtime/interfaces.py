"""The addresses of this machine's network interfaces, as the kernel lists them."""

import fcntl
import socket
import struct
from array import array
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

_SIOCGIFCONF = 0x8912
_ENTRIES_MAX = 1024
_ENTRY = struct.Struct("16s H 2s 4s 16x" if struct.calcsize("P") == 8 else "16s H 2s 4s 8x")
"""struct ifreq with a struct sockaddr_in: name, family, port, address. See netdevice(7)."""
_LINK_LOCAL, _NOT_USABLE = 0x20, 0x08 | 0x40
"""Scope and flags of /proc/net/if_inet6: an address in use elsewhere, or still being checked."""


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address, and the name of the interface that has it."""

    interface: str
    address: IPv4Address | IPv6Address


def interface_addresses() -> list[InterfaceAddress]:
    """The addresses of all interfaces that are up, IPv4 first, without link-local ones of IPv6."""
    return [*_ipv4(), *_ipv6()]


def _ipv4() -> list[InterfaceAddress]:
    buffer = array("B", bytes(_ENTRY.size * _ENTRIES_MAX))
    address, size = buffer.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking.fileno(), _SIOCGIFCONF, struct.pack("iP", size, address))
    length, _ = struct.unpack("iP", answer)
    return [
        InterfaceAddress(name.rstrip(b"\0").decode(errors="replace"), IPv4Address(packed))
        for name, family, _, packed in _ENTRY.iter_unpack(buffer[:length].tobytes())
        if family == socket.AF_INET
    ]


def _ipv6() -> list[InterfaceAddress]:
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return []  # the kernel has no IPv6
    found = []
    for line in lines:
        address, _, _, scope, flags, name = line.split()
        if int(scope, 16) != _LINK_LOCAL and not int(flags, 16) & _NOT_USABLE:
            found.append(InterfaceAddress(name, IPv6Address(bytes.fromhex(address))))
    return found
