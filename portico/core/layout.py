"""Which cell of a composition's picture every video recording has, and when."""

import heapq
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import ceil, isqrt

from portico.core.model import Region

EVERY_VIDEO = "*"
SIDE_SHARE = 6
"""Beside a shared screen, cameras have this fraction (1/6) of the picture's width."""
SCREEN_GAP_MS = 2000
"""A shared screen that is not shown for at most this long keeps its large cell."""


@dataclass(frozen=True, slots=True)
class VideoSource:
    """A video recording. Instants are Unix milliseconds; intervals are half-open."""

    recording_id: str
    started_ms: int
    ended_ms: int
    shown: tuple[tuple[int, int], ...]
    """Intervals in which the camera was on. What lies outside of started_ms to ended_ms is ignored."""
    screen: bool = False
    """Whether it is a shared screen instead of a camera."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One recording in one cell, from `from_ms` up to but not including `until_ms` after the composition's beginning.

    The cell is in pixels; the picture is fitted into it, centred, on black. Cells of one z never overlap, and of two
    that do, the higher z covers the lower. A placeholder shows a name instead of the picture.
    """

    recording_id: str
    from_ms: int
    until_ms: int
    x: int
    y: int
    width: int
    height: int
    z: int
    placeholder: bool = False


@dataclass(frozen=True, slots=True)
class _Stay:
    """An interval in which a source needs a cell, and when its picture is shown. The lowest `rank` is served first."""

    rank: int
    recording_id: str
    from_ms: int
    until_ms: int
    pictures: tuple[tuple[int, int], ...]


Cell = tuple[int, int, int, int]
"""Left, top, width, height."""


def plan(
    regions: Sequence[Region],
    sources: Sequence[VideoSource],
    width: int,
    height: int,
    started_ms: int,
    ended_ms: int,
    placeholders: bool = False,
) -> tuple[Placement, ...]:
    """The placements of all sources between the two instants (Unix milliseconds), lowest z first.

    The member order of the layout is the order of `regions`; without any, one region of every video fills the picture.
    A source takes part only while it is shown, or from its start to its end with `placeholders`.
    """
    everywhere = Region("grid", 0, 0, 0, width, height, None, None, (EVERY_VIDEO,))
    if _is_default(regions, everywhere) and any(source.screen and _shown(source) for source in sources):
        return _with_screens(everywhere, sources, started_ms, ended_ms, placeholders)
    placements: list[Placement] = []
    # A stable sort: of two regions with one z_pos, the later member is on top.
    for z, region in enumerate(sorted(regions or (everywhere,), key=lambda region: region.z_pos)):
        for stay, cell, from_ms in _in_cells(region, sources, placeholders):
            whole = Placement(stay.recording_id, from_ms, stay.until_ms, *cell, z)
            placements += _pieces(whole, stay.pictures, started_ms, ended_ms)
    return tuple(sorted(placements, key=lambda one: (one.z, one.from_ms, one.y, one.x)))


def _is_default(regions: Sequence[Region], everywhere: Region) -> bool:
    """Whether one region without bounds shows every video over the whole picture."""
    if not regions:
        return True
    first = replace(regions[0], name=everywhere.name, z_pos=everywhere.z_pos)
    shows_all = EVERY_VIDEO in first.video_sources
    return len(regions) == 1 and shows_all and replace(first, video_sources=(EVERY_VIDEO,)) == everywhere


def _with_screens(
    everywhere: Region, sources: Sequence[VideoSource], started_ms: int, ended_ms: int, placeholders: bool
) -> tuple[Placement, ...]:
    """The default layout of a session with shared screens: while one is shown it is large, cameras are beside it."""
    screens = [source for source in sources if source.screen]
    cameras = [source for source in sources if not source.screen]
    shared = _shared(screens, started_ms, ended_ms)
    side = everywhere.width // SIDE_SHARE
    large = replace(everywhere, width=everywhere.width - side)
    beside = replace(everywhere, x_pos=large.width, width=side)

    def placed(of: Sequence[VideoSource], cells_for: Callable[[int], tuple[Cell, ...]]) -> list[Placement]:
        stays = _stays(_wanted(everywhere, of), placeholders and of is cameras)
        most = _most_at_once(stays)
        seats = _assigned(stays, len(cells_for(most))) if most else []
        wholes = [
            (stay, Placement(stay.recording_id, a, stay.until_ms, *cells_for(most)[at], 0)) for stay, at, a in seats
        ]
        return [piece for stay, whole in wholes for piece in _pieces(whole, stay.pictures, started_ms, ended_ms)]

    usual = placed(cameras, lambda n: cells(everywhere, *grid(n, None, None)))
    aside = placed(cameras, lambda n: _column(beside, n))
    great = placed(screens, lambda n: cells(large, *grid(n, None, None)))
    ends = [0, *(instant for interval in shared for instant in interval), ended_ms - started_ms]
    alone = list(zip(ends[::2], ends[1::2], strict=True))
    found = [*_within(usual, alone), *_within(aside, shared), *_within(great, shared)]
    return tuple(sorted(found, key=lambda one: (one.z, one.from_ms, one.y, one.x)))


def _shared(screens: Sequence[VideoSource], started_ms: int, ended_ms: int) -> list[tuple[int, int]]:
    """When a screen is shown, from the composition's beginning; short gaps count as shown."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(interval for screen in screens for interval in _shown(screen)):
        a, b = max(begin, started_ms) - started_ms, min(end, ended_ms) - started_ms
        if a >= b:
            continue
        if joined and a <= joined[-1][1] + SCREEN_GAP_MS:
            joined[-1] = (joined[-1][0], max(joined[-1][1], b))
        else:
            joined.append((a, b))
    return joined


def _column(region: Region, n: int) -> tuple[Cell, ...]:
    """Cells of 16:9, from the top, in as few columns as hold `n`."""
    columns = 1
    while columns * _rows(region, columns) < n and region.width // (columns + 1) > 0:
        columns += 1
    return cells(region, _rows(region, columns), columns)


def _rows(region: Region, columns: int) -> int:
    return max(1, round(region.height * 16 * columns / (9 * max(1, region.width))))


def _within(placements: Sequence[Placement], intervals: Sequence[tuple[int, int]]) -> list[Placement]:
    """The parts of the placements within the intervals, which are in order and do not touch."""
    ends = [end for _, end in intervals]
    pieces = []
    for placement in placements:
        for begin, end in intervals[bisect_right(ends, placement.from_ms) :]:
            if begin >= placement.until_ms:
                break
            a, b = max(begin, placement.from_ms), min(end, placement.until_ms)
            if a < b:
                pieces.append(replace(placement, from_ms=a, until_ms=b))
    return pieces


def grid(n: int, max_rows: int | None, max_columns: int | None) -> tuple[int, int]:
    """Rows and columns for `n` (at least 1) pictures at once, as square as the bounds allow; they may hold fewer."""
    rows_bound, columns_bound = max_rows or n, max_columns or n
    best_columns = isqrt(n - 1) + 1  # the root, rounded up
    rows = min(ceil(n / best_columns), rows_bound)
    columns = min(columns_bound, ceil(n / rows))
    if rows * columns < n:
        rows = min(rows_bound, ceil(n / columns))
    return rows, columns


def cells(region: Region, rows: int, columns: int) -> tuple[Cell, ...]:
    """The cells of a grid over the region, left to right, then top to bottom; together they cover it exactly."""
    lefts = [region.x_pos + column * region.width // columns for column in range(columns + 1)]
    tops = [region.y_pos + row * region.height // rows for row in range(rows + 1)]
    return tuple(
        (lefts[column], tops[row], lefts[column + 1] - lefts[column], tops[row + 1] - tops[row])
        for row in range(rows)
        for column in range(columns)
    )


def _in_cells(region: Region, sources: Sequence[VideoSource], placeholders: bool) -> list[tuple[_Stay, Cell, int]]:
    """Each stay that gets a cell of the region, its cell, and from when: late where no cell was free."""
    stays = _stays(_wanted(region, sources), placeholders)
    most = _most_at_once(stays)
    if most == 0:
        return []
    available = cells(region, *grid(most, region.max_rows, region.max_columns))
    return [(stay, available[index], from_ms) for stay, index, from_ms in _assigned(stays, len(available))]


def _wanted(region: Region, sources: Sequence[VideoSource]) -> list[VideoSource]:
    """The region's sources in the order in which they get cells: by start, then as the region lists them."""
    if EVERY_VIDEO in region.video_sources:
        chosen = sorted(sources, key=lambda source: source.recording_id)
    else:
        known = {source.recording_id: source for source in sources}
        chosen = [known[each] for each in dict.fromkeys(region.video_sources) if each in known]
    return sorted(chosen, key=lambda source: source.started_ms)


def _stays(sources: Sequence[VideoSource], placeholders: bool) -> list[_Stay]:
    stays = []
    for rank, source in enumerate(sources):
        pictures = _shown(source)
        if not placeholders:
            stays += [_Stay(rank, source.recording_id, *picture, (picture,)) for picture in pictures]
        elif source.started_ms < source.ended_ms:
            stays.append(_Stay(rank, source.recording_id, source.started_ms, source.ended_ms, tuple(pictures)))
    return stays


def _shown(source: VideoSource) -> list[tuple[int, int]]:
    """When the source is shown: in order, within its own time, without overlaps and touching intervals made one."""
    merged: list[tuple[int, int]] = []
    for from_ms, until_ms in sorted(source.shown):
        begin, end = max(from_ms, source.started_ms), min(until_ms, source.ended_ms)
        if begin >= end:
            continue
        if merged and begin <= merged[-1][1]:
            begin, end = merged[-1][0], max(end, merged[-1][1])
            merged.pop()
        merged.append((begin, end))
    return merged


def _most_at_once(stays: Sequence[_Stay]) -> int:
    # Ends sort before starts of the same instant: a cell that becomes free is free for a stay that begins then.
    steps = sorted([(stay.from_ms, 1) for stay in stays] + [(stay.until_ms, -1) for stay in stays])
    most = here = 0
    for _, step in steps:
        here += step
        most = max(most, here)
    return most


def _assigned(stays: Sequence[_Stay], cell_count: int) -> list[tuple[_Stay, int, int]]:
    """Each stay that gets a cell, the index of its cell, and from when: the lowest free index, the lowest rank first.

    A stay keeps its cell to its end. A source that is shown again has its rank, but not always the same cell.
    """
    free = list(range(cell_count))
    used: list[tuple[int, int]] = []  # until when, index
    waiting: list[tuple[int, int, _Stay]] = []
    coming = sorted(stays, key=lambda stay: (stay.from_ms, stay.rank), reverse=True)
    result, tie = [], count()
    for now in sorted({stay.from_ms for stay in stays} | {stay.until_ms for stay in stays}):
        while used and used[0][0] <= now:
            heapq.heappush(free, heapq.heappop(used)[1])
        while coming and coming[-1].from_ms <= now:
            stay = coming.pop()
            heapq.heappush(waiting, (stay.rank, next(tie), stay))
        while free and waiting:
            stay = heapq.heappop(waiting)[2]
            if stay.until_ms > now:
                index = heapq.heappop(free)
                heapq.heappush(used, (stay.until_ms, index))
                result.append((stay, index, now))
    return result


def _pieces(whole: Placement, shown: Sequence[tuple[int, int]], started_ms: int, ended_ms: int) -> list[Placement]:
    """The placement within the composition, from its beginning on, split where picture and placeholder alternate."""
    begin, end = max(whole.from_ms, started_ms), min(whole.until_ms, ended_ms)
    pictures = [(max(a, begin), min(b, end)) for a, b in shown if max(a, begin) < min(b, end)]
    pieces, at = [], begin
    for from_ms, until_ms in [*pictures, (end, end)]:
        pieces += [(at, from_ms, True), (from_ms, until_ms, False)]
        at = until_ms
    return [
        replace(whole, from_ms=a - started_ms, until_ms=b - started_ms, placeholder=placeholder)
        for a, b, placeholder in pieces
        if a < b
    ]
