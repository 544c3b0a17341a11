"""RTP packets put into the order in which they were sent: numbers unwrapped, duplicates gone, gaps counted."""

import heapq
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from portico.converter.mjr import Packet

PATIENCE_MS = 2000
"""How long a missing packet is waited for. Janus asks the sender for it again; later it would not come."""
MOST_WAITING = 2048
"""How many packets wait for a missing one at most."""
_LATEST = 3000
"""Further behind than this is no late packet but a sender that began to count anew (RFC 3550 appendix A.1)."""
_RESTART = 10_000
"""A jump ahead beyond this is a sender that began to count anew, not a loss."""


class Sent(NamedTuple):
    """A packet with numbers that do not wrap."""

    seq: int
    ticks: int
    """RTP timestamp in units of the codec's clock."""
    arrived_ms: int
    marker: bool
    payload: bytes


@dataclass
class Tally:
    """How many packets came, and how many never did."""

    packets: int = 0
    lost: int = 0
    from_seq: int | None = None
    """What was sent before is not counted."""

    def count(self, seq: int, due: int | None) -> None:
        """Takes note of a packet, and of those that should have come before it."""
        due = seq if due is None else due
        if self.from_seq is not None:
            if seq < self.from_seq:
                return
            due = max(due, self.from_seq)
        self.packets += 1
        if seq - due < _RESTART:
            self.lost += seq - due


def unwrapped(packets: Iterable[Packet]) -> Iterator[Sent]:
    """The same packets in the same order; every number is taken as near as can be to that of the newest packet."""
    newest: Sent | None = None
    for arrived_ms, seq16, timestamp, marker, payload in packets:
        if newest is None:
            newest = Sent(seq16, timestamp, arrived_ms, marker, payload)
            yield newest
            continue
        seq = newest.seq + ((seq16 - newest.seq + 0x8000) & 0xFFFF) - 0x8000
        if seq < newest.seq - _LATEST:
            seq += 0x10000
        ticks = newest.ticks + ((timestamp - newest.ticks + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        sent = Sent(seq, ticks, arrived_ms, marker, payload)
        if seq > newest.seq:
            newest = sent
        yield sent


def in_order(packets: Iterable[Sent], tally: Tally) -> Iterator[Sent]:
    """Each packet once, in order of `seq`; holds back a bounded number of them."""
    waiting: list[Sent] = []
    due: int | None = None  # None until the first packet went out
    for packet in packets:
        if due is not None and packet.seq < due:
            continue
        heapq.heappush(waiting, packet)
        while waiting and _may_go(waiting, due, packet.arrived_ms):
            due = yield from _next(waiting, due, tally)
    while waiting:
        due = yield from _next(waiting, due, tally)


def _may_go(waiting: list[Sent], due: int | None, now_ms: int) -> bool:
    first = waiting[0]
    return (
        (due is not None and first.seq <= due) or now_ms - first.arrived_ms > PATIENCE_MS or len(waiting) > MOST_WAITING
    )


def _next(waiting: list[Sent], due: int | None, tally: Tally) -> Generator[Sent, None, int]:
    """Gives the first packet that waits, if it is no duplicate; returns the number that is due then."""
    packet = heapq.heappop(waiting)
    if due is not None and packet.seq < due:
        return due
    tally.count(packet.seq, due)
    yield packet
    return packet.seq + 1
