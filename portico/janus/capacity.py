"""What a Janus of ours has left of UDP ports for media and of file descriptors, read from proc(5)."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

CALL_OF_TWO_PORTS = 8
"""What two participants with cameras need, by `people`: fewer are a shortage before anybody joins."""
JOIN_DESCRIPTORS = 32
"""Measured: 5 for a data channel and a mixer with one address, 13 with five; the rest is for the streams."""


def people(ports: tuple[int, int]) -> int:
    """How many participants with cameras a range carries in one room where everybody sees everybody.

    Of N, each holds a port for the data channel, the mix, the camera and N - 1 subscriptions: N(N + 2) together.
    Measured on two addresses, of IPv4 and IPv6: 3, 8, 15, 24 on each. Addresses do not share ports.
    """
    return math.isqrt(ports[1] - ports[0] + 2) - 1


def join_ports(present: int) -> int:
    """What one more participant with a camera adds to a room in which so many are: (N + 1)(N + 3) - N(N + 2)."""
    return 2 * present + 3


@dataclass(frozen=True, slots=True)
class Capacity:
    """Ports of the media range that are bound on the address where most are, and descriptors that Janus has open."""

    ports_used: int
    ports_total: int
    descriptors_used: int
    descriptors_total: int

    def shortage(self, ports_needed: int | None = None) -> str | None:
        """What a join lacks, as a sentence; None when it lacks nothing. Without a number: what a call of two lacks."""
        ports, descriptors = self.ports_total - self.ports_used, self.descriptors_total - self.descriptors_used
        if ports < (min(CALL_OF_TWO_PORTS, self.ports_total // 2) if ports_needed is None else ports_needed):
            return f"Janus has {ports} of {self.ports_total} media ports left: widen PORTICO_RTP_PORTS."
        if descriptors < JOIN_DESCRIPTORS:
            return f"Janus has {descriptors} of {self.descriptors_total} file descriptors left."
        return None


def look(pid: int, ports: tuple[int, int]) -> Capacity:
    """What the Janus with this process id has. Raises OSError when it is gone, or not ours to look at."""
    process = Path(f"/proc/{pid}")
    bound = [*_bound(process / "net" / "udp", ports), *_bound(process / "net" / "udp6", ports)]
    everywhere = {port for address, port in bound if not address.strip("0")}
    addresses = {address for address, _ in bound}
    used = max((len(everywhere | {port for on, port in bound if on == one}) for one in addresses), default=0)
    limit = re.search(r"^Max open files\s+(\d+)", (process / "limits").read_text(), re.MULTILINE)
    total = int(limit[1]) if limit is not None else 0
    descriptors = sum(1 for _ in (process / "fd").iterdir())
    return Capacity(used, ports[1] - ports[0] + 1, descriptors, total)


def _bound(table: Path, ports: tuple[int, int]) -> list[tuple[str, int]]:
    """(address in hexadecimal, port) of each socket that has one of the ports; none where the kernel has no such
    protocol."""
    try:
        with table.open() as lines:
            next(lines)
            found = [line.split()[1].rpartition(":") for line in lines]
    except (FileNotFoundError, StopIteration):
        return []
    return [(address, int(port, 16)) for address, _, port in found if ports[0] <= int(port, 16) <= ports[1]]
