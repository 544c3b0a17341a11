"""Limits of requests: what they are written as, and what the bucket gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.rate import REQUESTS_MAX, SECOND_NS, UNLIMITED, Allowance, Limit, parse, take

limits = st.builds(Limit, st.integers(1, 1000), st.sampled_from([1, 60, 3600]))


@pytest.mark.parametrize(
    ("text", "limit"),
    [("20/s", Limit(20, 1)), (" 600/m ", Limit(600, 60)), ("1/h", Limit(1, 3600)), ("1000000/s", Limit(10**6, 1))],
)
def test_what_a_limit_is_written_as(text: str, limit: Limit) -> None:
    assert parse(text) == limit


@pytest.mark.parametrize("text", ["", "20", "0/s", "-1/s", "1.5/s", "20/d", "1000001/s", "20 / s", "20/s\n2", "²/s"])
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(ValueError, match="like 20/s, 600/m or 10000/h"):
        parse(text)


def test_a_bucket_gives_what_is_in_it_and_then_what_flows_in() -> None:
    limit, full_at, allowances = Limit(2, 1), 0, []
    for now in (0, 0, 0, 499_999_999, 500_000_000, 500_000_000, 5_000_000_000):
        full_at, allowance = take(limit, full_at, now)
        allowances.append(allowance)
    assert allowances == [
        Allowance(2, 1, 1),
        Allowance(2, 0, 1),
        Allowance(2, 0, 1, wait_secs=1),
        Allowance(2, 0, 1, wait_secs=1),
        Allowance(2, 0, 1),
        Allowance(2, 0, 1, wait_secs=1),
        Allowance(2, 1, 1),
    ]


def test_seconds_are_rounded_up() -> None:
    full_at, allowance = take(Limit(2, 3600), 0, 7)
    assert (allowance.remaining, allowance.reset_secs) == (1, 1800)
    full_at, _ = take(Limit(2, 3600), full_at, 8)
    _, allowance = take(Limit(2, 3600), full_at, 9)
    assert (allowance.remaining, allowance.reset_secs, allowance.wait_secs) == (0, 3600, 1800)


def test_looking_takes_nothing() -> None:
    limit = Limit(3, 60)
    full_at, after_one = take(limit, 0, 1)
    assert take(limit, full_at, 1, requests=0) == (full_at, after_one)
    assert take(limit, 0, 5, requests=0)[1] == Allowance(3, 3, 1)


def test_whatever_a_client_does_with_the_numbers_of_no_limit_it_goes_on() -> None:
    assert UNLIMITED.remaining == UNLIMITED.limit < 2**31
    assert UNLIMITED.reset_secs / UNLIMITED.remaining < 0.001
    assert UNLIMITED.wait_secs == 0


@given(limits, st.lists(st.integers(0, 3 * SECOND_NS), max_size=200))
def test_no_more_than_the_limit_and_what_flowed_in(limit: Limit, pauses: list[int]) -> None:
    now = full_at = admitted = 0
    for pause in pauses:
        now += pause
        full_at, allowance = take(limit, full_at, now)
        admitted += allowance.wait_secs == 0
        assert 0 <= allowance.remaining <= limit.requests - (allowance.wait_secs == 0)
        assert 1 <= allowance.reset_secs <= limit.per_secs
    assert admitted <= limit.requests + now // limit.interval_ns + 1


@given(limits, st.lists(st.integers(0, SECOND_NS), min_size=1, max_size=100))
def test_a_caller_that_waits_for_wait_secs_is_admitted(limit: Limit, pauses: list[int]) -> None:
    now = full_at = 0
    for pause in pauses:
        now += pause
        full_at, allowance = take(limit, full_at, now)
        if allowance.wait_secs:
            again, later = take(limit, full_at, now + allowance.wait_secs * SECOND_NS)
            assert later.wait_secs == 0 and again > full_at


@given(limits, st.integers(0, 2**62))
def test_who_was_silent_may_do_everything(limit: Limit, now: int) -> None:
    full_at = 0
    for left in reversed(range(limit.requests)):
        full_at, allowance = take(limit, full_at, now)
        assert (allowance.remaining, allowance.wait_secs) == (left, 0)
    assert take(limit, full_at, now)[1].wait_secs > 0


@given(limits)
def test_the_largest_limits_still_have_a_pause(limit: Limit) -> None:
    assert Limit(REQUESTS_MAX, 1).interval_ns > 0
    assert limit.whole_ns <= limit.per_secs * SECOND_NS
