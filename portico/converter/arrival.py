"""Converts a sender's RTP timestamps to the receiver's clock, by the times at which the packets arrived.

For each packet, `offset = arrival time - media time` is the difference between the two clocks plus the time that the
packet was on its way. A delay only ever raises the offset, and ends; a drift or a step of the sender's clock lasts. So
the clock difference is the offset without its short peaks: the morphological opening of the signal, with a window
of WINDOW_MS. At each moment it is the highest level that the offset keeps for a whole window around that moment. It
follows slopes and lasting steps at once, and ignores each delay shorter than the window. A linear fit would follow a
drift as well, but spread a step over the whole track: a sender's clock stands still now and then.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence

WINDOW_MS = 20_000
"""A delay that lasts longer counts as a change of the sender's clock.

So a queue on the way that fills for 10 s is still a delay, with room to spare (tests/converter/test_arrival.py).
"""
EDGE_MS = 3_000
"""How much of a window must lie within the track: at the ends of a track, delays shorter than this are recognised.

A whole window cannot be asked for there: nothing is known of the time before the first and after the last packet.
"""
LONGEST_DELAY_MS = 10_000
"""The longest delay that is believed: a hostile or broken timestamp moves media by at most this."""
_SLICE_MS = 20
"""The resolution: the length of a usual Opus packet. An hour has 180,000 slices, which take 3 MB."""


class Arrivals:
    """Collects when packets arrived. Memory grows with the time that they span, not with their number."""

    def __init__(self, ticks_per_ms: int) -> None:
        self._ticks_per_ms = ticks_per_ms
        self._slices = array("l")  # arrival in units of _SLICE_MS, ascending
        self._lowest = array("d")  # the lowest offset of each slice, ms

    def add(self, arrived_ms: int, ticks: int) -> None:
        """Note one packet. `arrived_ms` must not be less than that of the packet before."""
        offset = arrived_ms - ticks / self._ticks_per_ms
        slice_ = arrived_ms // _SLICE_MS
        if self._slices and self._slices[-1] == slice_:
            self._lowest[-1] = min(self._lowest[-1], offset)
        else:
            self._slices.append(slice_)
            self._lowest.append(offset)

    def clock(self) -> "MediaClock":
        """The clock that these packets show."""
        opened = _opened(self._slices, self._lowest, WINDOW_MS // _SLICE_MS)
        return MediaClock(self._ticks_per_ms, self._slices, opened)


class MediaClock:
    """Translates the RTP timestamps of one sender to milliseconds since the first packet of the mjr file arrived."""

    def __init__(self, ticks_per_ms: int, slices: Sequence[int], offsets: Sequence[float]) -> None:
        self._ticks_per_ms = ticks_per_ms
        self._slices = slices
        self._offsets = offsets

    def time_of(self, arrived_ms: int, ticks: int) -> float:
        """When this media was sent: never after its arrival, never more than LONGEST_DELAY_MS before it."""
        index = max(0, bisect_right(self._slices, arrived_ms // _SLICE_MS) - 1)
        time_ms = ticks / self._ticks_per_ms + self._offsets[index]
        return min(max(time_ms, arrived_ms - LONGEST_DELAY_MS), arrived_ms)


def _opened(slices: Sequence[int], levels: Sequence[float], window: int) -> "array[float]":
    """The morphological opening of a signal: peaks narrower than `window` (in slices) are cut off.

    `levels` has one value for each of the ascending `slices`. A window may reach beyond the ends of the signal, but
    EDGE_MS of it must lie within. Takes linear time: each index enters and leaves a queue once.
    """
    edge = EDGE_MS // _SLICE_MS
    floors = _floors(slices, levels, window, edge)
    opened = array("d")
    best: deque[int] = deque()  # where the windows that contain this slice begin, their floors falling
    for index, slice_ in enumerate(slices):
        while best and floors[best[-1]] <= floors[index]:
            best.pop()
        best.append(index)
        while slices[best[0]] < slice_ - window:
            best.popleft()
        opened.append(floors[best[0]])
    if slices:
        _open_beginning(slices, levels, opened, window, edge)
    return opened


def _floors(slices: Sequence[int], levels: Sequence[float], window: int, edge: int) -> "array[float]":
    """For each slice, the lowest level of the window that begins with it."""
    floors = array("d", bytes(8 * len(slices)))
    lowest: deque[int] = deque()  # indices in the window, their levels falling from left to right
    for index in range(len(slices) - 1, -1, -1):
        while lowest and levels[lowest[0]] >= levels[index]:
            lowest.popleft()
        lowest.appendleft(index)
        while slices[lowest[-1]] > slices[index] + window:
            lowest.pop()
        floors[index] = levels[lowest[-1]]
    if slices:
        last = bisect_left(slices, slices[-1] - edge)
        ending = min(levels[last:])
        for index in range(last, len(slices)):
            floors[index] = ending
    return floors


def _open_beginning(
    slices: Sequence[int], levels: Sequence[float], opened: "array[float]", window: int, edge: int
) -> None:
    """Raise `opened` by the windows that begin before the first slice."""
    first = bisect_right(slices, slices[0] + edge)
    floor = min(levels[:first])
    for index in range(bisect_right(slices, slices[0] + window)):
        floor = min(floor, levels[index])
        opened[index] = max(opened[index], floor)
