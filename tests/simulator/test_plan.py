"""Plans of every pattern, in all small sizes and some large ones, can be performed, and a seed repeats them."""

import itertools
from collections.abc import Iterator

import pytest

from portico.simulator.plan import PATTERNS, Action, Step, make_plan

SIZES = [
    *((participants, publish) for participants in range(1, 9) for publish in range(participants + 1)),
    (20, 5),
    (50, 0),
    (50, 10),
    (50, 50),
]
DURATIONS = (1.0, 5.0, 20.0, 60.0, 3600.0)


def plans(pattern: str) -> Iterator[tuple[int, int, float, list[Step]]]:
    for (participants, publish), secs, seed in itertools.product(SIZES, DURATIONS, (1, 2)):
        if participants * secs < 50 * 3600 or seed == 1:
            plan = make_plan(pattern, participants=participants, publish=publish, secs=secs, seed=seed)
            yield participants, publish, secs, plan


class Stay:
    """The state of one participant: `do` fails for a step that cannot be done."""

    def __init__(self, publishes: bool) -> None:
        self.publishes = publishes
        self.joins = 0
        self.is_present = self.is_published = self.is_muted = self.is_shared = self.is_losing = False

    def do(self, step: Step) -> None:
        assert self.is_present is (step.action is not Action.JOIN), step
        match step.action:
            case Action.JOIN:
                self.joins += 1
                self.is_present = True
                self.is_published = self.is_muted = self.is_shared = self.is_losing = False
            case Action.LEAVE:
                assert not self.is_losing and not self.is_shared
                self.is_present = False
            case Action.PUBLISH:
                assert self.publishes and not self.is_published
                self.is_published = True
            case Action.MUTE | Action.UNMUTE:
                assert self.is_published
                assert self.is_muted is (step.action is Action.UNMUTE)
                self.is_muted = not self.is_muted
            case Action.SHARE | Action.UNSHARE:
                assert self.is_published
                assert self.is_shared is (step.action is Action.UNSHARE)
                self.is_shared = not self.is_shared
            case Action.LOSE | Action.RECOVER:
                assert self.is_losing is (step.action is Action.RECOVER)
                assert (0 < step.value <= 0.3) is (step.action is Action.LOSE)
                self.is_losing = not self.is_losing
            case Action.CHAT | Action.DISCONNECT:
                pass


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_step_can_be_done_in_its_time(pattern: str) -> None:
    for participants, publish, secs, plan in plans(pattern):
        stays = [Stay(who < publish) for who in range(participants)]
        last = 0.0
        for step in plan:
            assert last <= step.at <= secs, (step, secs)
            last = step.at
            stays[step.who].do(step)
        for who, stay in enumerate(stays):
            assert stay.joins >= 1 or (pattern == "churn" and secs < 5), (pattern, who, secs)
            assert not stay.is_shared or stay.is_present
            assert not stay.is_losing, (pattern, who, secs)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_stay_of_a_publisher_publishes_at_once(pattern: str) -> None:
    for _, publish, _, plan in plans(pattern):
        for who in range(publish):
            own = [step for step in plan if step.who == who]
            for step, after in itertools.pairwise(own):
                if step.action is Action.JOIN:
                    assert (after.action, after.at) == (Action.PUBLISH, step.at)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_seed_repeats_a_plan(pattern: str) -> None:
    def made(seed: int) -> list[Step]:
        return make_plan(pattern, participants=20, publish=5, secs=60.0, seed=seed)

    assert made(3) == made(3)
    differs = any(made(3) != made(seed) for seed in range(4, 9))
    assert differs is (pattern != "steady")


ACTIONS = {
    "steady": {Action.JOIN, Action.PUBLISH},
    "stand-up": {Action.MUTE, Action.UNMUTE, Action.SHARE, Action.UNSHARE, Action.CHAT},
    "webinar": {Action.LEAVE, Action.SHARE, Action.UNSHARE, Action.CHAT},
    "classroom": {Action.MUTE, Action.UNMUTE, Action.SHARE, Action.UNSHARE, Action.CHAT, Action.LOSE, Action.RECOVER},
    "churn": {Action.LEAVE},
    "storm": {Action.LEAVE, Action.LOSE, Action.RECOVER, Action.DISCONNECT},
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_does_what_it_is_for(pattern: str) -> None:
    plan = make_plan(pattern, participants=20, publish=5, secs=60.0, seed=1)
    basic = {Action.JOIN, Action.PUBLISH}
    assert {step.action for step in plan} == ACTIONS[pattern] | basic
    assert PATTERNS[pattern].endswith(".")


def test_in_a_stand_up_one_speaks_at_a_time() -> None:
    speaking: set[int] = set()
    for step in make_plan("stand-up", participants=8, publish=5, secs=60.0, seed=1):
        if step.action is Action.UNMUTE:
            speaking.add(step.who)
        if step.action is Action.MUTE:
            speaking.discard(step.who)
        assert len(speaking) <= 1


def test_in_a_storm_all_join_in_one_instant() -> None:
    plan = make_plan("storm", participants=20, publish=5, secs=60.0, seed=1)
    assert [step.at for step in plan if step.action is Action.JOIN] == [0.0] * 20 + [15.0] * 20


def test_churn_brings_each_back() -> None:
    plan = make_plan("churn", participants=10, publish=3, secs=300.0, seed=1)
    joins = [sum(step.who == who and step.action is Action.JOIN for step in plan) for who in range(10)]
    assert joins[0] == 1
    assert min(joins[1:]) > 1
