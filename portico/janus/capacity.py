"""What a Janus of ours has left of UDP ports for media and of file descriptors, read from proc(5)."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

JOIN_PORTS = 8
"""A participant with a camera holds a port for each of three PeerConnections and each address that Janus offers."""
CALL_OF_TWO_PORTS = 8
"""What two participants with cameras need, by `people`."""
JOIN_DESCRIPTORS = 32
"""Measured: 5 for a data channel and a mixer with one address, 13 with five; the rest is for the streams."""


def people(ports: tuple[int, int]) -> int:
    """How many participants with cameras a range carries in one room where everybody sees everybody.

    Of N, each holds a port for the data channel, the mix, the camera and N - 1 subscriptions: N(N + 2) together.
    """
    return math.isqrt(ports[1] - ports[0] + 2) - 1


@dataclass(frozen=True, slots=True)
class Capacity:
    """Ports of the media range that are bound, by whomever, and descriptors that Janus has open."""

    ports_used: int
    ports_total: int
    descriptors_used: int
    descriptors_total: int

    @property
    def shortage(self) -> str | None:
        """What the next join lacks, as a sentence; None when it lacks nothing."""
        ports, descriptors = self.ports_total - self.ports_used, self.descriptors_total - self.descriptors_used
        if ports < min(JOIN_PORTS, self.ports_total // 2):
            return f"Janus has {ports} of {self.ports_total} media ports left: widen PORTICO_RTP_PORTS."
        if descriptors < JOIN_DESCRIPTORS:
            return f"Janus has {descriptors} of {self.descriptors_total} file descriptors left."
        return None


def look(pid: int, ports: tuple[int, int]) -> Capacity:
    """What the Janus with this process id has. Raises OSError when it is gone, or not ours to look at."""
    process = Path(f"/proc/{pid}")
    bound = _bound(process / "net" / "udp") | _bound(process / "net" / "udp6")
    used = sum(ports[0] <= port <= ports[1] for port in bound)
    limit = re.search(r"^Max open files\s+(\d+)", (process / "limits").read_text(), re.MULTILINE)
    total = int(limit[1]) if limit is not None else 0
    descriptors = sum(1 for _ in (process / "fd").iterdir())
    return Capacity(used, ports[1] - ports[0] + 1, descriptors, total)


def _bound(table: Path) -> set[int]:
    """Local ports of a table of sockets; none where the kernel has no such protocol."""
    try:
        with table.open() as lines:
            next(lines)
            return {int(line.split()[1].rpartition(":")[2], 16) for line in lines}
    except (FileNotFoundError, StopIteration):
        return set()
