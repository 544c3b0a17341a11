"""Reads which UDP ports are bound from the kernel's tables."""

from pathlib import Path


def bound(table: Path, ports: tuple[int, int]) -> list[tuple[str, int]]:
    """(Address in hexadecimal, port) of each socket of a table such as /proc/net/udp that has one of the ports.

    Empty if the kernel has no such table: no IPv6.
    """
    try:
        with table.open() as lines:
            next(lines)
            found = [line.split()[1].rpartition(":") for line in lines]
    except (FileNotFoundError, StopIteration):
        return []
    return [(address, int(port, 16)) for address, _, port in found if ports[0] <= int(port, 16) <= ports[1]]
