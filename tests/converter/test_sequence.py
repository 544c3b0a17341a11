"""Packets in the order in which they were sent, each once."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from portico.converter.mjr import Packet
from portico.converter.sequence import PATIENCE_MS, Tally, in_order, unwrapped


def packet(number: int, arrived_ms: int | None = None) -> Packet:
    """The packet with this number and a timestamp that wraps every five numbers."""
    arrived = 20 * number if arrived_ms is None else arrived_ms
    return Packet(arrived, number & 0xFFFF, number * (1 << 30) & 0xFFFFFFFF, False, str(number).encode())


def ordered(packets: list[Packet], tally: Tally | None = None) -> list[int]:
    return [int(each.payload) for each in in_order(unwrapped(packets), tally or Tally())]


def test_numbers_and_timestamps_go_on_where_they_wrap() -> None:
    found = list(unwrapped([packet(number) for number in range(65_000, 200_000)]))
    assert [each.seq for each in found] == list(range(65_000, 200_000))
    assert {later.ticks - earlier.ticks for earlier, later in itertools.pairwise(found)} == {1 << 30}


def test_late_packets_find_their_place_and_duplicates_go() -> None:
    chance = random.Random(4)
    numbers = sorted(range(65_400, 66_400), key=lambda number: number + chance.uniform(0, 40))
    twice = [number for number in numbers for _ in range(chance.choice((1, 2)))]
    tally = Tally()
    assert ordered([packet(number, 20 * at) for at, number in enumerate(twice)], tally) == list(range(65_400, 66_400))
    assert (tally.packets, tally.lost) == (1000, 0)


def test_even_the_first_packet_may_be_late() -> None:
    assert ordered([packet(number, at) for at, number in enumerate((7, 5, 6, 8))]) == [5, 6, 7, 8]


def test_what_never_comes_is_waited_for_and_counted() -> None:
    tally = Tally()
    present = [number for number in range(300) if number not in {100, 101, 150}]
    assert ordered([packet(number) for number in present], tally) == present
    assert (tally.packets, tally.lost) == (297, 3)


def test_what_comes_too_late_is_left_out() -> None:
    late = [packet(number) for number in range(300) if number != 10]
    late.insert(200, packet(10, late[199].arrived_ms))
    assert late[199].arrived_ms > 200 + PATIENCE_MS
    assert ordered(late) == [number for number in range(300) if number != 10]


def test_only_what_was_sent_after_the_beginning_is_counted() -> None:
    tally = Tally(from_seq=50)
    ordered([packet(number) for number in range(100) if number not in {20, 49, 50, 70}], tally)
    assert (tally.packets, tally.lost) == (48, 2)


def test_a_sender_that_counts_anew_goes_on() -> None:
    again = [packet(number) for number in range(1000, 1100)]
    again += [packet(number, 30_000 + number) for number in range(31_000, 31_100)]
    again += [packet(number, 70_000 + number) for number in range(100)]
    tally = Tally()
    assert len(ordered(again, tally)) == 300
    assert tally.lost == 0


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 3000)), max_size=80))
def test_whatever_comes_goes_out_once_at_most_and_in_order(given_: list[tuple[int, int, int]]) -> None:
    arrivals = itertools.accumulate(step for _, _, step in given_)
    packets = [Packet(at, seq, ticks, False, b"") for at, (seq, ticks, _) in zip(arrivals, given_, strict=True)]
    tally = Tally()
    found = [each.seq for each in in_order(unwrapped(packets), tally)]
    assert found == sorted(set(found))
    assert tally.packets == len(found) <= len(packets)
