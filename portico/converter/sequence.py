"""Puts RTP packets into the order in which they were sent: unwraps numbers, drops duplicates, counts losses."""

import heapq
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from portico.converter.mjr import Packet

PATIENCE_MS = 2000
"""How long a missing packet is waited for. Janus requests it again (NACK); after this time it does not come."""
MOST_WAITING = 2048
"""How many packets may be held while a missing one is awaited: about 3 MB of video."""
_LATEST = 3000
"""A packet that is more sequence numbers behind is not late: the sender has restarted (RFC 3550 appendix A.1)."""
_RESTART = 10_000
"""A jump ahead by more sequence numbers is not a loss: the sender has restarted."""


class Sent(NamedTuple):
    """A packet whose sequence number and timestamp do not wrap around."""

    seq: int
    ticks: int
    """RTP timestamp, in units of the codec's clock: 48 kHz for Opus, 90 kHz for video."""
    arrived_ms: int
    marker: bool
    payload: bytes


@dataclass
class Tally:
    """How many packets arrived, and how many are lost."""

    packets: int = 0
    lost: int = 0
    from_seq: int | None = None
    """Packets with a lower sequence number are not counted."""

    def count(self, seq: int, due: int | None) -> None:
        """Count one packet, and as lost those from `due`, the next expected sequence number, up to it."""
        due = seq if due is None else due
        if self.from_seq is not None:
            if seq < self.from_seq:
                return
            due = max(due, self.from_seq)
        self.packets += 1
        if seq - due < _RESTART:
            self.lost += seq - due


def unwrapped(packets: Iterable[Packet]) -> Iterator[Sent]:
    """The same packets in the same order, each number unwrapped to the value nearest to that of the newest packet."""
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
    """Each packet once, in order of `seq`; holds back at most MOST_WAITING of them, for at most PATIENCE_MS."""
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
    """Yield the first packet that waits, unless it is a duplicate; return the sequence number that is due next."""
    packet = heapq.heappop(waiting)
    if due is not None and packet.seq < due:
        return due
    tally.count(packet.seq, due)
    yield packet
    return packet.seq + 1
