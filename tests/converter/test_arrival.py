"""The receiver's clock is recovered from arrivals: drift and stops are followed, delays are ignored."""

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.converter.arrival import LONGEST_DELAY_MS, Arrivals
from tests.converter.mjr_files import SenderClock

Delay = Callable[[float], float]


def worst_ms(
    clock: SenderClock, delay: Delay, *, length_ms: float = 600_000, skip: Sequence[tuple[float, float]] = ()
) -> float:
    """The largest error of the recovered time of any packet of 20 ms, `skip` left out."""
    own = np.arange(0, length_ms, 20.0)
    true = clock.true_ms(own)
    latest = 0.0
    packets: list[tuple[int, int, float]] = []
    for own_ms, true_ms in zip(own.tolist(), true.tolist(), strict=True):
        latest = max(latest, true_ms + delay(true_ms))
        packets.append((int(latest), round(own_ms * 48), true_ms))
    arrivals = Arrivals(48)
    for arrived_ms, ticks, _ in packets:
        arrivals.add(arrived_ms, ticks)
    media_clock = arrivals.clock()
    return max(
        abs(media_clock.time_of(arrived_ms, ticks) - true_ms)
        for arrived_ms, ticks, true_ms in packets
        if not any(begin <= true_ms < end for begin, end in skip)
    )


def jitter(mean_ms: float, seed: int = 1) -> Delay:
    chance = random.Random(seed)
    return lambda _: chance.expovariate(1 / mean_ms)


@pytest.mark.parametrize("ppm", [0, 300, -300, 2000, -2000])
def test_drift_vanishes(ppm: float) -> None:
    assert worst_ms(SenderClock(ppm), lambda _: 0.0) <= 2 + abs(ppm) * 3e-3
    assert worst_ms(SenderClock(ppm), jitter(15)) <= 15


def test_a_clock_that_stops_now_and_then_is_followed_at_once() -> None:
    clock = SenderClock(100, ((20_000, 120), (21_000, 80), (300_000, 250), (597_500, 1000)))
    assert worst_ms(clock, lambda _: 0.0, skip=[(597_000, 600_000)]) <= 4
    assert worst_ms(clock, jitter(10), skip=[(597_000, 600_000)]) <= 15


def test_delays_are_not_taken_for_the_clock() -> None:
    def stalled(at_ms: float) -> float:
        return max(
            (begin + 4000 - at_ms for begin in range(15_000, 600_000, 40_000) if begin <= at_ms < begin + 4000),
            default=0.0,
        )

    assert worst_ms(SenderClock(300), stalled) <= 5


def test_a_queue_that_fills_for_ten_seconds_is_a_delay() -> None:
    assert worst_ms(SenderClock(-300), lambda at_ms: 180.0 if 100_000 <= at_ms < 110_000 else 0.0) <= 10


def test_delays_at_the_ends_are_forgotten_as_well() -> None:
    assert worst_ms(SenderClock(), lambda at_ms: 400.0 if at_ms < 2000 or at_ms > 598_000 else 0.0) <= 2


def test_a_clock_that_jumps_ahead_is_followed_at_once() -> None:
    arrivals = Arrivals(48)
    packets = [(at, at * 48 + (96_000 if at >= 60_000 else 0)) for at in range(0, 120_000, 20)]
    for packet in packets:
        arrivals.add(*packet)
    clock = arrivals.clock()
    assert max(abs(clock.time_of(*packet) - packet[0]) for packet in packets) < 1


def test_a_track_of_one_packet_has_its_time() -> None:
    arrivals = Arrivals(90)
    arrivals.add(5, 123_456)
    assert arrivals.clock().time_of(5, 123_456) == 5


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(-(1 << 40), 1 << 40)), min_size=1, max_size=60))
def test_no_time_is_later_than_the_arrival_or_much_earlier(given_: list[tuple[int, int]]) -> None:
    packets, at = [], 0
    for step, ticks in given_:
        at += step
        packets.append((at, ticks))
    arrivals = Arrivals(90)
    for packet in packets:
        arrivals.add(*packet)
    clock = arrivals.clock()
    for arrived_ms, ticks in packets:
        assert arrived_ms - LONGEST_DELAY_MS <= clock.time_of(arrived_ms, ticks) <= arrived_ms
