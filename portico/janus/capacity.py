"""How many UDP ports for media and file descriptors a child Janus has left, read from proc(5)."""

import math
import re
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from portico.runtime.udp_ports import bound

CALL_OF_TWO_PORTS = 8
"""The ports of two participants with cameras, by `cameras_in_one_room`: fewer are a shortage before any join."""
JOIN_DESCRIPTORS = 32
"""File descriptors for one more participant.

Measured: 5 for a data channel and a mixer with one address, 13 with five; the rest is for the streams.
"""
CAPACITY_GOOD_FOR_SECS = 1.0
"""How long a reading is used again: a reading takes some milliseconds."""
SHORTAGE_LOGGED_SECS = 60.0

log = structlog.get_logger(__name__)


def cameras_in_one_room(ports: tuple[int, int]) -> int:
    """How many participants with cameras a range of ports carries in one room where each sees all others.

    Of N participants, each holds a port for the data channel, the mix, the camera and N - 1 subscriptions: N(N + 2)
    together.
    Measured on two addresses, of IPv4 and IPv6: 3, 8, 15, 24 on each. Addresses do not share ports.
    """
    return math.isqrt(ports[1] - ports[0] + 2) - 1


def join_ports(present: int) -> int:
    """The ports that one more participant with a camera needs in a room of `present`: (N + 1)(N + 3) - N(N + 2)."""
    return 2 * present + 3


@dataclass(frozen=True, slots=True)
class Capacity:
    """The bound ports of the media range, on the address with most of them, and the open file descriptors."""

    ports_used: int
    ports_total: int
    descriptors_used: int
    descriptors_total: int

    def shortage(self, ports_needed: int | None = None) -> str | None:
        """What a join lacks that needs so many ports, as a sentence; None: nothing. Without a number: a call of two."""
        if ports := self.shortage_of_ports(ports_needed):
            return ports
        descriptors = self.descriptors_total - self.descriptors_used
        if descriptors < JOIN_DESCRIPTORS:
            return f"Janus has {descriptors} of {self.descriptors_total} file descriptors left."
        return None

    def shortage_of_ports(self, needed: int | None = None) -> str | None:
        """The same for ports alone."""
        ports = self.ports_total - self.ports_used
        if ports < (min(CALL_OF_TWO_PORTS, self.ports_total // 2) if needed is None else needed):
            return f"Janus has {ports} of {self.ports_total} media ports left: widen PORTICO_RTP_PORTS."
        return None


class CapacityMeter:
    """Reads the capacity of a child Janus, at most once in CAPACITY_GOOD_FOR_SECS, and logs a shortage."""

    def __init__(self, ports: tuple[int, int]) -> None:
        self._ports = ports
        self._capacity: Capacity | None = None
        self._read_at: float | None = None  # monotonic seconds
        self._logged_at: float | None = None

    def read(self, pid: int | None) -> Capacity | None:
        """The capacity of the Janus with this process id; None without one, or when it has ended."""
        now = time.monotonic()
        if self._read_at is None or now - self._read_at >= CAPACITY_GOOD_FOR_SECS:
            self._read_at, self._capacity = now, self._look(pid)
        return self._capacity

    def shortage(self, pid: int | None, present: int | None) -> str | None:
        """See JanusNode.shortage."""
        capacity = self.read(pid)
        if capacity is None:
            return None
        shortage = capacity.shortage(None if present is None else join_ports(present))
        now = time.monotonic()
        if shortage and (self._logged_at is None or now - self._logged_at >= SHORTAGE_LOGGED_SECS):
            self._logged_at = now
            log.warning("janus.full", reason=shortage)
        return shortage

    def _look(self, pid: int | None) -> Capacity | None:
        try:
            return None if pid is None else look(pid, self._ports)
        except OSError:
            return None


def look(pid: int, ports: tuple[int, int]) -> Capacity:
    """The capacity of the Janus with this process id. Raises OSError when it has ended or belongs to another user."""
    process = Path(f"/proc/{pid}")
    taken = [*bound(process / "net" / "udp", ports), *bound(process / "net" / "udp6", ports)]
    everywhere = {port for address, port in taken if not address.strip("0")}
    addresses = {address for address, _ in taken}
    used = max((len(everywhere | {port for on, port in taken if on == one}) for one in addresses), default=0)
    limit = re.search(r"^Max open files\s+(\d+)", (process / "limits").read_text(), re.MULTILINE)
    total = int(limit[1]) if limit is not None else 0
    descriptors = sum(1 for _ in (process / "fd").iterdir())
    return Capacity(used, ports[1] - ports[0] + 1, descriptors, total)
