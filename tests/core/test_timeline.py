"""When a track showed something: intervals in order, never overlapping, the last one open or not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.timeline import INTERVALS_MAX, SHORTEST_GAP_MS, Intervals, plain, switched


@pytest.mark.parametrize(
    ("before", "on", "at", "after"),
    [
        ((), True, 1000, ((1000, None),)),
        ((), False, 1000, ()),
        (((1000, None),), True, 2000, ((1000, None),)),
        (((1000, None),), False, 2000, ((1000, 2000),)),
        (((1000, 2000),), False, 3000, ((1000, 2000),)),
        (((1000, 2000),), True, 3000, ((1000, 2000), (3000, None))),
        (((1000, 2000),), True, 2000 + SHORTEST_GAP_MS, ((1000, 2000), (2000 + SHORTEST_GAP_MS, None))),
        (((1000, 2000),), True, 2000 + SHORTEST_GAP_MS - 1, ((1000, None),)),
        (((1000, None),), False, 500, ((1000, 1000),)),  # the clock was set back
    ],
)
def test_switching(before: Intervals, on: bool, at: int, after: Intervals) -> None:
    assert switched(before, on, at) == after


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10_000)), max_size=60))
def test_intervals_stay_in_order_and_apart_and_end_with_the_last_state(switches: list[tuple[bool, int]]) -> None:
    timeline: Intervals = ()
    now = 1_000_000
    for on, later in switches:
        now += later
        timeline = switched(timeline, on, now)
    for begin, end in timeline[:-1]:
        assert end is not None and begin <= end
    for (_, end), (begin, _) in pairwise(timeline):
        assert end is not None and begin - end >= SHORTEST_GAP_MS
    if switches:
        is_open = bool(timeline) and timeline[-1][1] is None
        assert is_open is switches[-1][0]


def test_wild_switching_is_bounded_and_loses_no_picture() -> None:
    timeline: Intervals = ()
    for number in range(4 * INTERVALS_MAX):
        timeline = switched(timeline, number % 2 == 0, number * 1000)
    assert len(timeline) == INTERVALS_MAX
    assert timeline[-1][0] == (INTERVALS_MAX - 1) * 2000
    assert timeline[-1][1] == (4 * INTERVALS_MAX - 1) * 1000


def test_as_json_has_it() -> None:
    assert plain(((1, 2), (3, None))) == [[1, 2], [3, None]]
