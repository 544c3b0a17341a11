"""The waits of tests: each asks until a condition holds, and fails at a deadline."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from tests.pace import Pace

T = TypeVar("T")

WITHIN_SECS = 60.0
"""How long a test waits for what must happen and is not promised within any time."""
_PAUSE_SECS = 0.01
"""The first pauses between two answers."""
_PAUSE_MAX_SECS = 0.1


@overload
async def until(condition: Callable[[], Awaitable[T | None]], within: float = ..., what: str = ...) -> T: ...
@overload
async def until(condition: Callable[[], T | None], within: float = ..., what: str = ...) -> T: ...
async def until(condition: Callable[[], Any], within: float = WITHIN_SECS, what: str = "the condition") -> Any:
    """Return the first answer that is true; the condition may be a coroutine function.

    Fails when an answer that was asked for after the deadline is still false, however long the answers take.
    """
    start = asked = time.monotonic()
    while True:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert asked - start < within, f"{what} does not hold after {within} s"
        await asyncio.sleep(_pause_secs(asked - start))
        asked = time.monotonic()


async def until_in_thread(condition: Callable[[], T], within: float = WITHIN_SECS, what: str = "the condition") -> T:
    """As `until`, for a condition that blocks, such as a request over REST."""
    return await until(lambda: asyncio.to_thread(condition), within, what)


async def until_at_pace(condition: Callable[[], object], within: float) -> None:
    """As `until`, counting only the seconds for which the machine let this process run: for what has to be fast."""
    async with Pace() as pace:
        while not condition():
            await asyncio.sleep(_PAUSE_SECS)
            assert pace.secs < within, f"the condition does not hold after {within} s"


def wait_until(condition: Callable[[], object], within: float = WITHIN_SECS) -> None:
    """As `until`, where no event loop runs."""
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        assert waited < within, f"the condition does not hold after {within} s"
        time.sleep(_pause_secs(waited))


def _pause_secs(waited: float) -> float:
    """Longer after a longer wait: questions cost computing time, of which the thing that is waited for needs some."""
    return min(max(_PAUSE_SECS, waited / 20), _PAUSE_MAX_SECS)
