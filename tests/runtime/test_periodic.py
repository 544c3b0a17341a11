"""A loop goes on after failures, chooses its pauses, is woken, and ends within a round."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from portico.runtime.periodic import Periodic

LONG_SECS = 3600.0
WITHIN_SECS = 20.0


class Rounds:
    """Counts rounds; what each does is chosen beforehand: a pause to return, or an error to raise."""

    def __init__(self, *outcomes: float | Exception | None) -> None:
        self._outcomes = list(outcomes)
        self.faults: list[Exception] = []
        self.count = 0
        self._changed = asyncio.Condition()

    async def step(self) -> float | None:
        async with self._changed:
            self.count += 1
            self._changed.notify_all()
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @contextmanager
    def guard(self) -> Iterator[None]:
        try:
            yield
        except ValueError as fault:
            self.faults.append(fault)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WITHIN_SECS), self._changed:
            await self._changed.wait_for(lambda: self.count >= count)


async def test_rounds_go_on_after_a_failure() -> None:
    failure = ValueError("of the first round")
    rounds = Rounds(failure)
    loop = Periodic(rounds.step, 0.0, rounds.guard)
    loop.start()
    await rounds.until(3)
    await loop.stop()
    assert rounds.faults == [failure]
    count = rounds.count
    await asyncio.sleep(0)
    assert rounds.count == count, "it was stopped"


async def test_a_round_chooses_the_pause_after_it() -> None:
    rounds = Rounds(0.0, 0.0, None)
    loop = Periodic(rounds.step, LONG_SECS, rounds.guard)
    loop.start()
    await rounds.until(3)
    await loop.stop()
    assert rounds.count == 3


async def test_a_pause_ends_when_the_loop_is_woken() -> None:
    wake, rounds = asyncio.Event(), Rounds()
    loop = Periodic(rounds.step, LONG_SECS, rounds.guard, wake=wake, pauses_first=True)
    loop.start()
    await asyncio.sleep(0)
    assert rounds.count == 0
    for count in (1, 2):
        wake.set()
        await rounds.until(count)
    await loop.stop()


async def test_it_stops_within_a_round_and_without_a_start() -> None:
    begun = asyncio.Event()

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    loop = Periodic(endless, 0.0, Rounds().guard)
    await loop.stop()
    loop.start()
    async with asyncio.timeout(WITHIN_SECS):
        await begun.wait()
        await loop.stop()
