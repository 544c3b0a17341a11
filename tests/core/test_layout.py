"""Layout: the published tables, every worked example of the contract, and what must hold for any session."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portico.core.layout import Placement, VideoSource, cells, grid, plan
from portico.core.model import Region

VECTORS: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "data/layout_vectors.json").read_text())
T0 = 1_700_000_000_000
FULL = (1280, 720)

Seat = tuple[str, float, float, int, int, int, int]
"""Who, from and until in seconds, and the cell."""


def region(
    x: int = 0,
    y: int = 0,
    width: int = 1280,
    height: int = 720,
    *,
    name: str = "main",
    z: int = 0,
    rows: int | None = None,
    columns: int | None = None,
    sources: tuple[str, ...] = ("*",),
) -> Region:
    return Region(name, x, y, z, width, height, columns, rows, sources)


def source(name: str, *shown: tuple[float, float], whole: tuple[float, float] | None = None) -> VideoSource:
    """A source that is shown in the given seconds, and lasts for all of them if `whole` says nothing else."""
    begin, end = whole or (shown[0][0], shown[-1][1])
    return VideoSource(name, _ms(begin), _ms(end), tuple((_ms(a), _ms(b)) for a, b in shown))


def placements(regions: list[Region], *sources: VideoSource, placeholders: bool = False) -> tuple[Placement, ...]:
    started_ms = min(each.started_ms for each in sources)
    ended_ms = max(each.ended_ms for each in sources)
    return plan(regions, sources, *FULL, started_ms, ended_ms, placeholders)


def seats(regions: list[Region], *sources: VideoSource, placeholders: bool = False) -> list[Seat]:
    return [
        (each.recording_id, each.from_ms / 1000, each.until_ms / 1000, each.x, each.y, each.width, each.height)
        for each in placements(regions, *sources, placeholders=placeholders)
    ]


def at_once(count: int) -> list[VideoSource]:
    return [source(f"s{number:02}", (0, 60)) for number in range(count)]


def _ms(secs: float) -> int:
    return T0 + round(secs * 1000)


def _cell(placement: Placement) -> tuple[int, int, int, int]:
    return placement.x, placement.y, placement.width, placement.height


@pytest.mark.parametrize("row", VECTORS["grids"], ids=lambda row: f"{row['n']}-{row['max_rows']}-{row['max_columns']}")
def test_the_grid_is_that_of_the_published_tables(row: dict[str, Any]) -> None:
    assert grid(row["n"], row["max_rows"], row["max_columns"]) == (row["rows"], row["columns"])


@pytest.mark.parametrize("row", VECTORS["cells"], ids=lambda row: f"{row['n']}-in-{row['region']}")
def test_the_cells_are_those_of_the_vectors(row: dict[str, Any]) -> None:
    made = cells(region(*row["region"]), row["rows"], row["columns"])
    assert [list(cell) for cell in made[: row["n"]]] == row["cells"]


def test_the_vectors_were_found() -> None:
    assert (len(VECTORS["grids"]), len(VECTORS["cells"])) == (48, 9)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [(0, 0, 1280, 720)]),
        (2, [(0, 0, 640, 720), (640, 0, 640, 720)]),
        (3, [(0, 0, 640, 360), (640, 0, 640, 360), (0, 360, 640, 360)]),
        (
            5,
            [(0, 0, 426, 360), (426, 0, 427, 360), (853, 0, 427, 360), (0, 360, 426, 360), (426, 360, 427, 360)],
        ),
    ],
)
def test_a_full_picture_is_divided_by_how_many_there_are(count: int, expected: list[tuple[int, int, int, int]]) -> None:
    assert [_cell(each) for each in placements([region()], *at_once(count))] == expected


def test_seven_make_three_rows_of_240_and_ten_make_cells_of_320_by_240() -> None:
    assert {(each.y, each.height) for each in placements([region()], *at_once(7))} == {(0, 240), (240, 240), (480, 240)}
    assert {(each.width, each.height) for each in placements([region()], *at_once(10))} == {(320, 240)}


def test_without_regions_one_of_every_video_fills_the_picture() -> None:
    assert placements([], *at_once(3)) == placements([region()], *at_once(3))


def test_a_region_inside_the_picture_has_its_own_grid() -> None:
    inner = region(100, 100, 480, 360, rows=3, columns=3)
    assert [_cell(each) for each in placements([inner], *at_once(3))] == [
        (100, 100, 240, 180),
        (340, 100, 240, 180),
        (100, 280, 240, 180),
    ]


def test_a_strip_of_one_column_stacks_its_cells() -> None:
    strip = region(960, 0, 320, 720, columns=1)
    assert [_cell(each) for each in placements([strip], *at_once(4))] == [
        (960, y, 320, 180) for y in (0, 180, 360, 540)
    ]


def test_a_picture_in_the_picture_is_on_top() -> None:
    pip = region(936, 516, 320, 180, name="pip", z=1, sources=("b",))
    main = region(sources=("a",))
    for order in ([main, pip], [pip, main]):
        below, above = placements(order, source("a", (0, 9)), source("b", (0, 9)))
        assert (below.recording_id, _cell(below)) == ("a", (0, 0, 1280, 720))
        assert (above.recording_id, _cell(above)) == ("b", (936, 516, 320, 180))
        assert above.z > below.z


def test_of_two_regions_with_one_z_the_later_member_is_on_top() -> None:
    one, two = region(name="one", sources=("a",)), region(name="two", sources=("b",))
    sources = source("a", (0, 9)), source("b", (0, 9))
    assert [each.recording_id for each in placements([one, two], *sources)] == ["a", "b"]
    assert [each.recording_id for each in placements([two, one], *sources)] == ["b", "a"]
    assert len({each.z for each in placements([one, two], *sources)}) == 2


def test_two_halves_stand_side_by_side() -> None:
    left = region(0, 0, 640, 720, name="left", sources=("a",))
    right = region(640, 0, 640, 720, name="right", sources=("b",))
    assert [_cell(each) for each in placements([left, right], source("a", (0, 9)), source("b", (0, 9)))] == [
        (0, 0, 640, 720),
        (640, 0, 640, 720),
    ]


def test_a_late_joiner_moves_no_participant() -> None:
    assert seats([region()], source("A", (0, 60)), source("B", (20, 40))) == [
        ("A", 0, 60, 0, 0, 640, 720),
        ("B", 20, 40, 640, 0, 640, 720),
    ]


def test_a_cell_is_used_again() -> None:
    assert seats([region()], source("A", (0, 10)), source("B", (20, 30))) == [
        ("A", 0, 10, 0, 0, 1280, 720),
        ("B", 20, 30, 0, 0, 1280, 720),
    ]


def test_a_joiner_takes_the_cell_of_one_who_leaves_then() -> None:
    assert seats([region()], source("A", (0, 10)), source("B", (10, 20))) == [
        ("A", 0, 10, 0, 0, 1280, 720),
        ("B", 10, 20, 0, 0, 1280, 720),
    ]


def test_who_finds_no_cell_waits_for_one() -> None:
    narrow = region(rows=1, columns=2)
    assert seats([narrow], source("A", (0, 30)), source("B", (0, 10)), source("D", (5, 30))) == [
        ("A", 0, 30, 0, 0, 640, 720),
        ("B", 0, 10, 640, 0, 640, 720),
        ("D", 10, 30, 640, 0, 640, 720),
    ]


def test_the_longest_standing_of_those_who_wait_is_next_and_who_leaves_meanwhile_is_never_seen() -> None:
    single = region(rows=1, columns=1)
    sources = [source("A", (0, 10)), source("B", (3, 30)), source("C", (2, 30)), source("D", (1, 9))]
    assert [seat[:3] for seat in seats([single], *sources)] == [("A", 0, 10), ("C", 10, 30)]


def test_ties_are_decided_by_id_for_all_and_by_order_for_some() -> None:
    sources = [source("b", (0, 9)), source("a", (0, 9)), source("c", (0, 9))]
    assert [seat[0] for seat in seats([region(columns=1)], *sources)] == ["a", "b", "c"]
    assert [seat[0] for seat in seats([region(columns=1, sources=("c", "a", "c", "unknown"))], *sources)] == ["c", "a"]
    assert [seat[0] for seat in seats([region(columns=1, sources=("c", "*"))], *sources)] == ["a", "b", "c"]


def test_a_source_may_sit_in_both_regions() -> None:
    left, right = region(0, 0, 640, 720, name="left"), region(640, 0, 640, 720, name="right", sources=("a",))
    assert [(each.recording_id, each.x) for each in placements([left, right], source("a", (0, 9)))] == [
        ("a", 0),
        ("a", 640),
    ]


def test_a_camera_that_is_off_takes_no_cell() -> None:
    assert seats([region()], source("A", (0, 10), (30, 60)), source("B", (15, 25), whole=(5, 60))) == [
        ("A", 0, 10, 0, 0, 1280, 720),
        ("B", 15, 25, 0, 0, 1280, 720),
        ("A", 30, 60, 0, 0, 1280, 720),
    ]


def test_a_camera_that_is_on_again_takes_the_lowest_free_cell() -> None:
    narrow = region(rows=1, columns=2)
    sources = [source("A", (0, 10), (20, 60)), source("B", (1, 40)), source("C", (5, 60))]
    assert [(*seat[:3], seat[3]) for seat in seats([narrow], *sources)] == [
        ("A", 0, 10, 0),
        ("B", 1, 40, 640),
        ("C", 10, 60, 0),
        ("A", 40, 60, 640),
    ]


def test_a_camera_that_is_on_again_goes_before_those_that_joined_later() -> None:
    single = region(rows=1, columns=1)
    sources = [source("A", (0, 5), (12, 60)), source("B", (1, 20)), source("C", (2, 60))]
    assert [seat[:3] for seat in seats([single], *sources)] == [("A", 0, 5), ("B", 5, 20), ("A", 20, 60)]


def test_a_camera_that_is_never_on_is_not_counted() -> None:
    never = VideoSource("B", T0, _ms(60), ())
    assert seats([region()], source("A", (0, 60)), never) == [("A", 0, 60, 0, 0, 1280, 720)]
    assert seats([region()], never) == []


def test_with_placeholders_a_participant_keeps_a_cell_and_shows_a_name_when_off() -> None:
    made = placements(
        [region()], source("A", (10, 20), whole=(0, 30)), VideoSource("B", _ms(5), _ms(30), ()), placeholders=True
    )
    assert [(each.recording_id, each.from_ms, each.until_ms, each.x, each.placeholder) for each in made] == [
        ("A", 0, 10_000, 0, True),
        ("B", 5_000, 30_000, 640, True),
        ("A", 10_000, 20_000, 0, False),
        ("A", 20_000, 30_000, 0, True),
    ]


def test_what_is_shown_outside_of_a_recording_does_not_count_and_pieces_that_touch_are_one() -> None:
    ragged = VideoSource(
        "A", _ms(10), _ms(20), ((_ms(13), _ms(15)), (_ms(0), _ms(13)), (_ms(14), _ms(14)), (_ms(19), _ms(90)))
    )
    assert [seat[:3] for seat in seats([region()], ragged)] == [("A", 0, 5), ("A", 9, 10)]


def test_the_composition_may_begin_before_the_pictures_and_end_before_them() -> None:
    made = plan([region()], [source("A", (10, 60))], *FULL, _ms(4), _ms(50), False)
    assert [(each.from_ms, each.until_ms) for each in made] == [(6_000, 46_000)]
    assert plan([region()], [source("A", (10, 60))], *FULL, _ms(0), _ms(10), False) == ()


def test_a_camera_that_is_switched_a_thousand_times_takes_no_time() -> None:
    seconds = [(at * 1000, at * 1000 + 500) for at in range(1000)]
    regions = [Region(f"{number}", 0, 0, number, 1280, 720, None, None, ("*",)) for number in range(16)]
    restless = VideoSource("a", 0, 1_000_000, tuple(seconds))
    begun = time.process_time()
    assert len(plan(regions, [restless], 1280, 720, 0, 1_000_000)) == 16_000
    assert time.process_time() - begun < 4, "what should grow with the number of intervals grows with its square"


def test_no_source_is_an_empty_picture() -> None:
    assert plan([region()], [], *FULL, T0, _ms(5), True) == ()


SPAN = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair)))
BOUND = st.none() | st.integers(1, 4)


@st.composite
def sessions(draw: st.DrawFn) -> list[VideoSource]:
    sources = []
    for number in range(draw(st.integers(1, 7))):
        begin, end = draw(SPAN)
        shown = draw(st.lists(SPAN, max_size=4))
        sources.append(VideoSource(f"s{number}", T0 + begin, T0 + end, tuple((T0 + a, T0 + b) for a, b in shown)))
    return sources


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(sessions(), BOUND, BOUND, st.booleans())
def test_at_every_instant_as_many_are_seen_as_cells_allow(
    sources: list[VideoSource], rows: int | None, columns: int | None, placeholders: bool
) -> None:
    made = plan([region(rows=rows, columns=columns)], sources, *FULL, T0, T0 + 40, placeholders)
    wanting = {now: _wanting(sources, T0 + now, placeholders) for now in range(40)}
    most = max(len(here) for here in wanting.values())
    places = 0 if most == 0 else grid(most, rows, columns)[0] * grid(most, rows, columns)[1]
    for now, here in wanting.items():
        seen = [each for each in made if each.from_ms <= now < each.until_ms]
        assert len(seen) == min(len(here), places)
        assert {each.recording_id for each in seen} <= set(here)
        assert len({_cell(each) for each in seen}) == len(seen)
        for each in seen:
            assert each.placeholder == (not _is_shown(here[each.recording_id], T0 + now))


@settings(deadline=None)
@given(sessions(), st.booleans())
def test_no_source_changes_cells_while_shown(sources: list[VideoSource], placeholders: bool) -> None:
    made = plan([region(columns=2, rows=2)], sources, *FULL, T0, T0 + 40, placeholders)
    for one in made:
        for other in made:
            if one.recording_id == other.recording_id and one.until_ms == other.from_ms:
                assert _cell(one) == _cell(other)


@given(st.integers(1, 200), st.none() | st.integers(1, 1000), st.none() | st.integers(1, 1000))
def test_a_grid_holds_all_or_as_many_as_its_bounds_allow(n: int, rows: int | None, columns: int | None) -> None:
    made_rows, made_columns = grid(n, rows, columns)
    assert 1 <= made_rows <= (rows or n) and 1 <= made_columns <= (columns or n)
    assert made_rows * made_columns >= min(n, (rows or n) * (columns or n))


def _wanting(sources: list[VideoSource], now: int, placeholders: bool) -> dict[str, VideoSource]:
    return {
        each.recording_id: each
        for each in sources
        if each.started_ms <= now < each.ended_ms and (placeholders or _is_shown(each, now))
    }


def _is_shown(source: VideoSource, now: int) -> bool:
    return any(a <= now < b for a, b in source.shown)


def _screen(recording_id: str, *shown: tuple[int, int], until: int = 40) -> VideoSource:
    return VideoSource(recording_id, _ms(0), _ms(until), tuple((_ms(a), _ms(b)) for a, b in shown), screen=True)


@given(st.integers(1, 60))
def test_beside_a_screen_every_camera_has_a_cell_of_its_own(count: int) -> None:
    sources = [VideoSource(f"p{number:02}", _ms(0), _ms(40), ((_ms(0), _ms(40)),)) for number in range(count)]
    made = plan([], [*sources, _screen("s", (10, 20))], *FULL, _ms(0), _ms(40))
    during = [each for each in made if each.from_ms == 10_000]
    assert {each.recording_id for each in during} == {"s", *(each.recording_id for each in sources)}
    cells = [(each.x, each.y, each.width, each.height) for each in during]
    for number, (x, y, width, height) in enumerate(cells):
        assert x + width <= FULL[0] and y + height <= FULL[1] and width > 0 and height > 0
        for a, b, c, d in cells[:number]:
            assert x >= a + c or a >= x + width or y >= b + d or b >= y + height
    (screen,) = [each for each in during if each.recording_id == "s"]
    assert screen.width * 6 >= FULL[0] * 5 and screen.height == FULL[1]


def test_a_screen_that_is_away_for_a_moment_keeps_its_cell() -> None:
    person = VideoSource("a", _ms(0), _ms(40), ((_ms(0), _ms(40)),))
    made = plan([], [person, _screen("s", (10, 14), (15, 20), (30, 35))], *FULL, _ms(0), _ms(40))
    assert [(each.recording_id, each.from_ms // 1000, each.until_ms // 1000, each.width) for each in made] == [
        ("a", 0, 10, 1280),
        ("s", 10, 14, 1067),
        ("a", 10, 20, 213),
        ("s", 15, 20, 1067),
        ("a", 20, 30, 1280),
        ("s", 30, 35, 1067),
        ("a", 30, 35, 213),
        ("a", 35, 40, 1280),
    ]


def test_two_screens_at_once_share_the_large_cell() -> None:
    person = VideoSource("a", _ms(0), _ms(40), ((_ms(0), _ms(40)),))
    made = plan([], [person, _screen("s", (10, 20)), _screen("t", (15, 20))], *FULL, _ms(0), _ms(40))
    assert {(each.recording_id, each.x, each.width) for each in made if each.recording_id != "a"} == {
        ("s", 0, 533),
        ("t", 533, 534),
    }
