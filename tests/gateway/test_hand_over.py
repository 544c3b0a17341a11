"""In which groups participants are handed over, and for how long clients look for a server."""

from itertools import pairwise

import pytest

from portico.client.endings import Ending, RejoinPlan, ending_of
from portico.gateway.hand_over import GROUP, LONGEST_SECS, groups, pause
from portico.signaling.effects import CloseCode


def test_a_room_is_in_one_group_and_groups_are_small() -> None:
    rooms = {f"room {number}": number % 7 + 1 for number in range(200)} | {"large": 50}
    found = groups(rooms)
    assert sorted(room for group in found for room in group) == sorted(rooms)
    sizes = [sum(rooms[room] for room in group) for group in found]
    assert all(size <= GROUP for size, group in zip(sizes, found, strict=True) if group != ["large"])
    assert len(found) <= 2 * sum(rooms.values()) / GROUP + 1


def test_however_many_there_are_it_is_over_in_time() -> None:
    assert groups({}) == []
    for number in (1, 10, 1000, 10_000):
        assert number * pause(number) <= LONGEST_SECS


def tries(ending: Ending, try_secs: float, random: float) -> list[float]:
    """When a client tries to rejoin, in seconds after it was handed over, while no server answers."""
    now, found = 0.0, []
    plan: RejoinPlan | None = RejoinPlan(ending, now)
    while plan is not None:
        now += plan.pause(random)
        found.append(now)
        now += try_secs
        plan = plan.failed(Ending("unreachable"), now)
    return found


@pytest.mark.parametrize("try_secs", [0.1, 10.0, 30.0])
@pytest.mark.parametrize("random", [0.0, 1.0])
def test_a_client_tries_at_once_and_for_more_than_ten_minutes(try_secs: float, random: float) -> None:
    found = tries(ending_of(CloseCode.RESTART), try_secs, random)
    assert found[0] <= 0.3 and found[-1] >= 600, found
    assert max(later - earlier for earlier, later in pairwise(found)) <= 18.1 + try_secs
    assert tries(ending_of(1006), try_secs, random)[0] >= 0.8, "a server that was lost is not stormed"


def test_a_try_that_is_handed_over_too_is_followed_by_another_one_at_once_and_by_no_third() -> None:
    restart = ending_of(CloseCode.RESTART)
    plan: RejoinPlan | None = RejoinPlan(restart, 0.0)
    pauses = []
    for now in range(3):
        assert plan is not None
        pauses.append(plan.pause(1.0))
        plan = plan.failed(restart, now)
    assert pauses[:2] == [0.3, 0.3] and pauses[2] > 2
