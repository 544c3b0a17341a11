"""From a sender's RTP clock to our own wall clock, by the moments at which the packets arrived.

`offset = arrival - media time` of a packet is the offset of the two clocks plus the delay on the way. A delay can only
lengthen it, and passes; what lasts is the clock: a drift, or a step where the sender's clock stood still. So the clock
is the offset with all peaks cut off that are narrower than a window: the morphological opening of a signal, the
highest level that some window around the moment never falls below. It follows slopes and lasting steps at
once, and forgets every delay shorter than the window.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence

WINDOW_MS = 20_000
"""A delay that lasts longer is taken for the sender's clock."""
EDGE_MS = 3_000
"""The same at the ends of a track, where what came before or after cannot be known."""
LONGEST_DELAY_MS = 10_000
"""No packet is thought to have been on its way for longer, whatever its timestamp says."""
_SLICE_MS = 20


class Arrivals:
    """Collects when packets arrived; memory grows with the time they span, not with their number."""

    def __init__(self, ticks_per_ms: int) -> None:
        self._ticks_per_ms = ticks_per_ms
        self._slices = array("l")  # arrival in units of _SLICE_MS
        self._lowest = array("d")  # the lowest offset of each, ms

    def add(self, arrived_ms: int, ticks: int) -> None:
        """Notes a packet; arrival must not run backwards."""
        offset = arrived_ms - ticks / self._ticks_per_ms
        slice_ = arrived_ms // _SLICE_MS
        if self._slices and self._slices[-1] == slice_:
            self._lowest[-1] = min(self._lowest[-1], offset)
        else:
            self._slices.append(slice_)
            self._lowest.append(offset)

    def clock(self) -> "MediaClock":
        opened = _opened(self._slices, self._lowest, WINDOW_MS // _SLICE_MS)
        return MediaClock(self._ticks_per_ms, self._slices, opened)


class MediaClock:
    """Translates the RTP timestamps of one sender to milliseconds since the first packet of the mjr file arrived."""

    def __init__(self, ticks_per_ms: int, slices: Sequence[int], offsets: Sequence[float]) -> None:
        self._ticks_per_ms = ticks_per_ms
        self._slices = slices
        self._offsets = offsets

    def time_of(self, arrived_ms: int, ticks: int) -> float:
        """Never after the arrival, never more than LONGEST_DELAY_MS before it."""
        at = max(0, bisect_right(self._slices, arrived_ms // _SLICE_MS) - 1)
        time_ms = ticks / self._ticks_per_ms + self._offsets[at]
        return min(max(time_ms, arrived_ms - LONGEST_DELAY_MS), arrived_ms)


def _opened(places: Sequence[int], levels: Sequence[float], window: int) -> "array[float]":
    """The opening of a signal by a window: peaks narrower than it are cut off.

    A window may reach beyond the ends, but no less than EDGE_MS of it must lie within.
    """
    edge = EDGE_MS // _SLICE_MS
    floors = _floors(places, levels, window, edge)
    opened = array("d")
    best: deque[int] = deque()  # indices of windows that contain the place, their floors falling
    for here, place in enumerate(places):
        while best and floors[best[-1]] <= floors[here]:
            best.pop()
        best.append(here)
        while places[best[0]] < place - window:
            best.popleft()
        opened.append(floors[best[0]])
    if places:
        _open_beginning(places, levels, opened, window, edge)
    return opened


def _floors(places: Sequence[int], levels: Sequence[float], window: int, edge: int) -> "array[float]":
    """For each place the lowest level of the window that begins there."""
    floors = array("d", bytes(8 * len(places)))
    lowest: deque[int] = deque()  # indices in the window, their levels falling from left to right
    for here in range(len(places) - 1, -1, -1):
        while lowest and levels[lowest[0]] >= levels[here]:
            lowest.popleft()
        lowest.appendleft(here)
        while places[lowest[-1]] > places[here] + window:
            lowest.pop()
        floors[here] = levels[lowest[-1]]
    if places:
        last = bisect_left(places, places[-1] - edge)
        ending = min(levels[last:])
        for here in range(last, len(places)):
            floors[here] = ending
    return floors


def _open_beginning(
    places: Sequence[int], levels: Sequence[float], opened: "array[float]", window: int, edge: int
) -> None:
    """Adds the windows that begin before the first place."""
    first = bisect_right(places, places[0] + edge)
    floor = min(levels[:first])
    for here in range(bisect_right(places, places[0] + window)):
        floor = min(floor, levels[here])
        opened[here] = max(opened[here], floor)
