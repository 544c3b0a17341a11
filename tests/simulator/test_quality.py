"""Counts of pictures and audio frames, and the limits from which on they are bad."""

import pytest

from portico.simulator.quality import Delays, Own, Record, Seen, Sound


def watched(numbers: dict[int, float], *, whole_every: int = 10, until: float, secs: float = 0.1) -> Seen:
    """Receive pictures with these numbers, 10 a second from 0 s on, each delayed by so much."""
    seen = Seen("Ada", 0.0)
    for number, delay in numbers.items():
        sent = number * secs
        seen.take(number, sent, sent + delay, whole=number % whole_every == 0)
    seen.close(until)
    return seen


def problems(seen: Seen) -> list[str]:
    return Record("Ben", publishes=False, joins=1, seen=[seen]).problems()


def test_good_pictures() -> None:
    seen = watched(dict.fromkeys(range(100), 0.02), until=10.0)
    assert (seen.frames, seen.lost, seen.freezes, seen.first_frame_secs) == (100, 0, 0, 0.02)
    assert seen.delays.quantile(0.5) == pytest.approx(0.02, abs=0.0051)
    assert problems(seen) == []


def test_what_can_be_shown_waits_for_a_whole_picture() -> None:
    seen = watched(dict.fromkeys(range(5, 100), 0.02), until=10.0)
    assert seen.first_frame_secs == pytest.approx(1.02)
    assert seen.lost == 0


def test_a_lost_picture_freezes_until_the_next_whole_one() -> None:
    seen = watched(dict.fromkeys([*range(22), *range(23, 100)], 0.02), until=10.0)
    assert (seen.lost, seen.freezes) == (1, 1)
    assert seen.frozen_secs == pytest.approx(0.9)
    assert problems(seen) == ["sees Ada frozen for 0.9 of 10 s"]


def test_pictures_that_stop_are_a_freeze_to_the_end() -> None:
    seen = watched(dict.fromkeys(range(50), 0.02), until=10.0)
    assert seen.frozen_secs == pytest.approx(5.08)


def test_many_lost_pictures() -> None:
    seen = watched(dict.fromkeys([one for one in range(200) if one % 10], 0.0) | {200: 0.0}, until=20.0)
    assert seen.lost == 19  # the first one was never expected
    assert "misses 10% of the pictures of Ada" in problems(seen)[0]


def test_late_pictures() -> None:
    assert problems(watched(dict.fromkeys(range(100), 1.5), until=11.4)) == ["sees Ada 1.5 s late"]


def test_no_picture_is_a_problem_after_a_while() -> None:
    assert problems(watched({}, until=4.0)) == []
    assert problems(watched({}, until=6.0)) == ["sees nothing of Ada"]


def test_a_bad_network_on_purpose_does_not_count() -> None:
    seen = Seen("Ada", 0.0)
    for number in [*range(20), *range(20, 60, 7), *range(60, 100)]:
        if 20 <= number < 60:
            seen.skip(number)
        else:
            seen.take(number, number * 0.1, number * 0.1, whole=number % 10 == 0)
    seen.close(10.0)
    assert (seen.frames, seen.lost, seen.freezes) == (66, 4, 0)  # four at its end


def test_repeated_pictures_count_once() -> None:
    seen = watched(dict.fromkeys(range(10), 0.0), until=1.0)
    seen.take(3, 0.3, 1.0, whole=False)
    assert (seen.frames, seen.lost) == (10, 0)


def test_sound_is_missing_when_lost_or_late() -> None:
    sound = Sound()
    for index in [*range(10), *range(12, 20)]:
        sound.take(index * 0.02, 5.0 + index * 0.02 + (0.15 if index == 15 else 0.0))
    assert (sound.frames, sound.missing) == (18, 3)
    assert sound.gaps == pytest.approx(3 / 21)
    sound.begin()
    sound.take(99.0, 6.0)
    assert sound.missing == 3


def test_a_speaker_is_missed_only_after_some_looks() -> None:
    sound = Sound()
    for is_there in (False, False):
        sound.look("Ada", is_there=is_there)
    assert sound.missed == []
    sound.look("Ada", is_there=True)
    assert sound.missed == ["Ada"]
    for _ in range(3):
        sound.look("Ada", is_there=True)
    assert sound.missed == []


def test_the_problems_of_a_participant() -> None:
    assert Record("Ben", publishes=False).problems() == ["did not join"]
    assert Record("Ben", publishes=False, failures=["cannot join: full"]).problems() == ["cannot join: full"]
    sound = Sound()
    for index in range(0, 100, 2):
        sound.take(index * 0.02, index * 0.02)
        sound.look("Ada", is_there=False)
    record = Record("Ben", publishes=False, joins=1, sound=sound, messages_missing=2)
    assert record.problems() == ["does not receive the sound of Ada", "misses 49% of the sound", "misses 2 messages"]


def test_delays_are_bounded() -> None:
    delays = Delays()
    assert delays.quantile(0.5) is None
    for secs in (-1.0, 0.001, 100.0):
        delays.add(secs)
    assert (delays.quantile(0.5), delays.quantile(1.0)) == (0.005, 5.005)


@pytest.mark.parametrize(
    ("own", "capacity", "sentence"),
    [
        (Own(0.35, 0.01, 20), 40, None),
        (Own(0.001, 0.0, 2), None, None),
        (Own(0.95, 0.3, 50), 36, "The simulator used 0.95 cores, of one that it can use"),
        (Own(0.35, 0.3, 20), 40, "The simulator was 300 ms late although it used only 0.35 cores"),
    ],
)
def test_its_own_limit(own: Own, capacity: int | None, sentence: str | None) -> None:
    assert own.capacity == capacity
    assert (own.limit or "").startswith(sentence or "")
    assert (own.limit is None) is (sentence is None)
