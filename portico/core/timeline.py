"""When a track was enabled: intervals of Unix milliseconds, the last one open while the track is enabled."""

from collections.abc import Sequence

Interval = tuple[int, int | None]
Intervals = tuple[Interval, ...]

SHORTEST_GAP_MS = 40
"""A shorter interruption is ignored: it is less than a frame of a composition."""
INTERVALS_MAX = 1000
"""After so many intervals the last one stays open, however often the browser switches the track."""


def switched(timeline: Intervals, on: bool, at_ms: int) -> Intervals:
    """The timeline after the track was enabled or disabled at this instant; unchanged if it was so already."""
    last = timeline[-1] if timeline else None
    if not on:
        if last is None or last[1] is not None:
            return timeline
        return (*timeline[:-1], (last[0], max(at_ms, last[0])))
    if last is None:
        return ((at_ms, None),)
    if last[1] is None:
        return timeline
    if at_ms - last[1] < SHORTEST_GAP_MS or len(timeline) >= INTERVALS_MAX:
        return (*timeline[:-1], (last[0], None))
    return (*timeline, (at_ms, None))


def plain(timeline: Intervals) -> Sequence[Sequence[int | None]]:
    """The intervals as lists, for JSON."""
    return [list(interval) for interval in timeline]
