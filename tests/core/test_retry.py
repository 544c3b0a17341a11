"""Retries: the contract's three rounds to the second, a day of growing pauses, and what receivers requested."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.retry import FIRST_ROUNDS, JITTER, LATER_ROUNDS, RETRY_AFTER_MAX, next_due, parse_retry_after

START = datetime(2026, 2, 2, 22, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NEVER = timedelta(0)

jitters = st.floats(-1, 1)
spans = st.timedeltas(timedelta(0), timedelta(days=3))


def rounds(retry_for: timedelta, *, jitter: float = 0, each_takes: timedelta = NEVER) -> Iterator[timedelta]:
    """When each round begins, counted from the first, for a receiver that never answers well."""
    now, done = START, 0
    due: datetime | None = START
    while due is not None:
        yield due - START
        now, done = due + each_takes, done + 1
        due = next_due(rounds_done=done, first_at=START, now=now, jitter=jitter, retry_for=retry_for)


def secs(*counts: float) -> list[timedelta]:
    return [timedelta(seconds=count) for count in counts]


def test_the_original_is_three_rounds() -> None:
    assert list(rounds(NEVER)) == secs(0, 5, 30)
    assert list(FIRST_ROUNDS) == secs(0, 5, 25)


@pytest.mark.parametrize(("jitter", "begins"), [(-1, (0, 4, 24)), (1, (0, 6, 36)), (0.5, (0, 5.5, 33))])
def test_jitter_is_a_fifth_at_most(jitter: float, begins: tuple[float, ...]) -> None:
    assert list(rounds(NEVER, jitter=jitter)) == secs(*begins)


def test_pauses_count_from_the_end_of_a_round() -> None:
    assert list(rounds(NEVER, each_takes=timedelta(seconds=4))) == secs(0, 9, 38)


def test_a_day_of_rounds() -> None:
    begins = list(rounds(DAY))
    minutes = [0, 0, 0, 1, 3, 8, 18, 38, 68, 128]
    assert [begin // timedelta(minutes=1) for begin in begins[:10]] == minutes
    assert begins[2:5] == secs(30, 90, 210)
    assert all(later - begin == timedelta(hours=1) for begin, later in pairwise(begins[9:-1]))
    assert begins[-1] == DAY
    assert len(begins) == 32


@pytest.mark.parametrize(
    ("retry_for", "begins"),
    [
        (timedelta(seconds=1), (0, 5, 30)),  # the contract's rounds are not cut
        (timedelta(seconds=30), (0, 5, 30)),
        (timedelta(seconds=31), (0, 5, 30, 31)),
        (timedelta(seconds=90), (0, 5, 30, 90)),
        (timedelta(minutes=3), (0, 5, 30, 90, 180)),
    ],
)
def test_the_last_round_falls_on_the_end(retry_for: timedelta, begins: tuple[float, ...]) -> None:
    assert list(rounds(retry_for)) == secs(*begins)


def due_after(
    rounds_done: int, requested: timedelta | None, *, retry_for: timedelta = DAY, at: timedelta = NEVER
) -> timedelta | None:
    now = START + at
    due = next_due(
        rounds_done=rounds_done, first_at=START, now=now, jitter=0, retry_for=retry_for, retry_after=requested
    )
    return None if due is None else due - now


@pytest.mark.parametrize(
    ("rounds_done", "requested", "pause"),
    [
        (1, None, 5),
        (1, 0, 5),
        (1, 4, 5),  # never shortened
        (1, 6, 6),
        (1, 600, 600),
        (2, 24, 25),
        (3, 61, 61),
        (4, 119, 120),
        (1, 10**9, 3600),
        (30, 10**9, 3600),
    ],
)
def test_retry_after_lengthens_a_pause(rounds_done: int, requested: int | None, pause: int) -> None:
    assert due_after(rounds_done, None if requested is None else timedelta(seconds=requested)) == timedelta(
        seconds=pause
    )


def test_retry_after_does_not_reach_beyond_the_end() -> None:
    requested = timedelta(minutes=50)
    assert due_after(5, requested, retry_for=timedelta(minutes=30), at=timedelta(minutes=10)) == timedelta(minutes=20)
    assert due_after(1, requested, retry_for=timedelta(minutes=30)) == timedelta(minutes=30)


def test_the_hosted_service_ignores_retry_after() -> None:
    assert due_after(1, timedelta(minutes=5), retry_for=NEVER) == timedelta(seconds=5)
    assert due_after(2, timedelta(minutes=5), retry_for=NEVER, at=timedelta(seconds=5)) == timedelta(seconds=25)
    assert due_after(3, timedelta(minutes=5), retry_for=NEVER, at=timedelta(seconds=30)) is None


@given(retry_for=spans, jitter=jitters, each_takes=st.timedeltas(NEVER, timedelta(minutes=1)))
def test_rounds_end_and_are_never_less_than_three(retry_for: timedelta, jitter: float, each_takes: timedelta) -> None:
    begins = list(rounds(retry_for, jitter=jitter, each_takes=each_takes))
    assert 3 <= len(begins) <= 3 + len(LATER_ROUNDS) + retry_for / (timedelta(hours=1) * (1 - JITTER)) + 1
    assert begins == sorted(begins)
    assert all(begin <= retry_for for begin in begins[3:])


@given(done=st.integers(1, 60), jitter=jitters, retry_for=spans, age=spans, requested=st.none() | spans)
def test_a_pause_is_bounded(
    done: int, jitter: float, retry_for: timedelta, age: timedelta, requested: timedelta | None
) -> None:
    now = START + age
    due = next_due(rounds_done=done, first_at=START, now=now, jitter=jitter, retry_for=retry_for, retry_after=requested)
    if due is None:
        assert done >= 3 and age >= retry_for
        return
    assert now < due <= now + RETRY_AFTER_MAX * (1 + JITTER)
    assert done < 3 or due <= START + retry_for


@pytest.mark.parametrize(
    ("value", "requested"),
    [
        ("0", 0),
        ("1", 1),
        (" 120\t", 120),
        ("007", 7),
        ("3599", 3599),
        ("3600", 3600),
        ("3601", 3600),
        ("999999999999999999999999", 3600),
        ("9" * 100_000, 3600),
        ("0" * 100_000, 0),
        ("0" * 100_000 + "5", 5),
        ("Mon, 02 Feb 2026 22:01:30 GMT", 90),
        ("Monday, 02-Feb-26 22:01:30 GMT", 90),
        ("Mon Feb  2 22:01:30 2026", 90),
        ("Mon, 02 Feb 2026 22:01:30 +0000", 90),
        ("Tue, 03 Feb 2026 00:01:30 +0200", 90),
        ("Mon, 02 Feb 2026 22:00:00 GMT", 0),
        ("Mon, 02 Feb 2026 21:59:59 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
    ],
)
def test_what_retry_after_may_say(value: str, requested: int) -> None:
    assert parse_retry_after(value, now=START) == timedelta(seconds=requested)
    assert parse_retry_after(value, now=START.astimezone(timezone(timedelta(hours=5)))) == timedelta(seconds=requested)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0x10",
        "1_000",
        "١٢",
        "²",
        "soon",
        "1, 2",
        "Mon, 30 Feb 2026 22:01:30 GMT",
        "Mon, 02 Feb 2026 22:01:60 GMT",
        "Mon, 02 Feb 2026",
        "Mon, 02 Feb 99999 22:01:30 GMT",
        "Mon, 02 Feb 2026 22:01:30 +9999999999999",
        "2026-02-02T22:01:30Z",
        "\0",
    ],
)
def test_what_retry_after_may_not_say(value: str | None) -> None:
    assert parse_retry_after(value, now=START) is None


@given(st.text() | st.text("0123456789") | st.from_regex(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d (GMT|[-+]\d{4,20})"))
def test_garbage_never_raises(value: str) -> None:
    requested = parse_retry_after(value, now=START)
    assert requested is None or NEVER <= requested <= RETRY_AFTER_MAX
