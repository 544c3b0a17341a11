"""Plans of what simulated participants do, and when. The same seed gives the same plan. Pure.

A plan is a list of steps in the order of time. Participants are numbered from 0; the first `publish` of them publish.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """What one participant does."""

    JOIN = "join"
    LEAVE = "leave"
    PUBLISH = "publish"
    MUTE = "mute"
    UNMUTE = "unmute"
    SHARE = "share"
    UNSHARE = "unshare"
    CHAT = "chat"
    LOSE = "lose"
    """Begin to lose packets; `value` is the lost part, 0 to 1."""
    RECOVER = "recover"
    DISCONNECT = "disconnect"
    """Lose the signaling connection, which the client makes again."""


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One action of one participant, `at` seconds after the begin."""

    at: float
    who: int
    action: Action
    value: float = 0.0


SHORTEST_SECS = 2.0
"""A stay, a shared screen or a loss of packets that would be shorter is left out of the plan."""
LATEST_JOIN, LATEST_JOIN_SECS = 0.1, 5.0
"""Participants who are present from the begin on join within this part of the run, and within so many seconds."""


@dataclass
class _Writer:
    """Collects the steps of a plan."""

    participants: int
    publish: int
    secs: float
    random: random.Random
    steps: list[Step] = field(default_factory=list)

    @property
    def numbers(self) -> range:
        return range(self.participants)

    @property
    def publishers(self) -> range:
        return range(self.publish)

    @property
    def audience(self) -> range:
        return range(self.publish, self.participants)

    @property
    def settled(self) -> float:
        """The seconds after which all participants who are present from the begin on have joined."""
        return min(LATEST_JOIN * self.secs, LATEST_JOIN_SECS)

    def add(self, at: float, who: int, action: Action, value: float = 0.0) -> None:
        self.steps.append(Step(round(at, 3), who, action, round(value, 3)))

    def enter(self, at: float, who: int) -> None:
        """Add the join of a participant, and its publication if it publishes."""
        self.add(at, who, Action.JOIN)
        if who < self.publish:
            self.add(at, who, Action.PUBLISH)

    def enter_all(self) -> None:
        """Add the joins of all participants, one after another."""
        for who in self.numbers:
            self.enter(self.settled * who / self.participants, who)

    def between(self, first: float, last: float) -> float:
        """A random instant between two parts (0 to 1) of the time after `settled`."""
        return self.settled + self.random.uniform(first, last) * (self.secs - self.settled)

    def during(self, who: int, first: float, last: float, actions: tuple[Action, Action], value: float = 0.0) -> None:
        """Add an action and its end, at these parts of the time after `settled`; neither if that is too short."""
        begin, end = (self.settled + part * (self.secs - self.settled) for part in (first, last))
        if end - begin >= SHORTEST_SECS:
            self.add(begin, who, actions[0], value)
            self.add(end, who, actions[1])


_SHARE = (Action.SHARE, Action.UNSHARE)
_SPEAK = (Action.UNMUTE, Action.MUTE)
_LOSS = (Action.LOSE, Action.RECOVER)


def _steady(plan: _Writer) -> None:
    """All join at the begin and stay; the publishers speak all the time."""
    plan.enter_all()


def _stand_up(plan: _Writer) -> None:
    """The publishers speak in turn and are muted otherwise; one shares a screen; a few participants write messages."""
    plan.enter_all()
    for who in plan.publishers:
        plan.add(plan.settled, who, Action.MUTE)
    order = list(plan.publishers)
    plan.random.shuffle(order)
    for turn, who in enumerate(order):
        plan.during(who, turn / len(order), (turn + 0.9) / len(order), _SPEAK)
    if order:
        plan.during(order[0], 0.3, 0.6, _SHARE)
    for who in plan.numbers:
        if plan.random.random() < 0.3:
            plan.add(plan.between(0.1, 0.8), who, Action.CHAT)


def _webinar(plan: _Writer) -> None:
    """The audience joins one by one, writes messages, and partly leaves early; one presenter shares a screen."""
    for who in plan.publishers:
        plan.enter(plan.settled * who / max(1, plan.publish), who)
    for who in plan.audience:
        joins = plan.between(0.0, 0.3)
        plan.enter(joins, who)
        if plan.random.random() < 0.5:
            plan.add(plan.between(0.4, 0.6), who, Action.CHAT)
        if plan.random.random() < 0.2:
            plan.add(plan.between(0.7, 0.9), who, Action.LEAVE)
    if plan.publish:
        plan.during(0, 0.2, 0.8, _SHARE)


def _classroom(plan: _Writer) -> None:
    """The first participant shares a screen; the other publishers speak briefly, in turn; all answer in the chat."""
    plan.enter_all()
    pupils = plan.publishers[1:]
    for who in pupils:
        plan.add(plan.settled, who, Action.MUTE)
    for turn, who in enumerate(pupils):
        plan.during(who, turn / len(pupils), (turn + 0.5) / len(pupils), _SPEAK)
    if plan.publish:
        plan.during(0, 0.1, 0.9, _SHARE)
    question = plan.between(0.4, 0.5)
    for who in plan.numbers[1:]:
        plan.add(min(plan.secs, question + plan.random.uniform(0.2, 2.0)), who, Action.CHAT)
    if len(pupils):
        plan.during(pupils[-1], 0.6, 0.75, _LOSS, 0.1)


def _churn(plan: _Writer) -> None:
    """All participants but the first join and leave all the time."""
    plan.enter(0.0, 0)
    stay = max(SHORTEST_SECS, plan.secs / 8)
    for who in plan.numbers[1:]:
        at = plan.random.uniform(0.0, stay)
        while at + SHORTEST_SECS <= plan.secs:
            plan.enter(at, who)
            at += stay * plan.random.uniform(1.0, 3.0)
            if at > plan.secs - 0.5:
                break
            plan.add(at, who, Action.LEAVE)
            at += stay * plan.random.uniform(0.5, 1.0)


def _storm(plan: _Writer) -> None:
    """All join in one instant, leave together and join again; then some lose packets, and some their connection."""
    waves = 2 if plan.secs >= 8 * SHORTEST_SECS else 1
    wave = plan.secs / (2 * waves)
    for number in range(waves):
        for who in plan.numbers:
            plan.enter(number * wave, who)
            if number < waves - 1:
                plan.add(number * wave + wave * 0.8, who, Action.LEAVE)
    last = plan.secs / 2 if waves == 1 else (waves - 1) * wave
    calm = plan.secs - last
    for who in plan.numbers:
        kind = plan.random.random()
        if kind < 0.3 and calm * 0.3 >= SHORTEST_SECS:
            begins = last + calm * plan.random.uniform(0.2, 0.4)
            plan.add(begins, who, Action.LOSE, plan.random.uniform(0.05, 0.3))
            plan.add(begins + calm * 0.3, who, Action.RECOVER)
        elif kind < 0.5:
            plan.add(last + calm * plan.random.uniform(0.2, 0.5), who, Action.DISCONNECT)


_PATTERNS: dict[str, Callable[[_Writer], None]] = {
    "steady": _steady,
    "stand-up": _stand_up,
    "webinar": _webinar,
    "classroom": _classroom,
    "churn": _churn,
    "storm": _storm,
}
PATTERNS: dict[str, str] = {name: (write.__doc__ or "").strip() for name, write in _PATTERNS.items()}
"""A sentence about each pattern, for the help of the command."""


def make_plan(pattern: str, *, participants: int, publish: int, secs: float, seed: int) -> list[Step]:
    """The steps of a pattern of PATTERNS. The leaves at the end of the run are no steps."""
    writer = _Writer(participants, publish, secs, random.Random(f"{pattern} {seed}"))
    _PATTERNS[pattern](writer)
    return sorted(writer.steps, key=lambda step: step.at)  # steps of one instant stay in the order of their making
