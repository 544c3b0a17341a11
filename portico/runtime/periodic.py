"""A loop that repeats a step until it is stopped, and goes on after a step that fails."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from typing import Any


class Periodic:
    """Awaits `step` again and again, with a pause after each round. `start` and `stop` belong to one event loop.

    `step` returns the seconds of the next pause, or None for `pause_secs`. `guard` makes a context manager for each
    round, which logs and suppresses what the round raises; after a failure the pause is `pause_secs`. `wake` ends a
    pause early. With `pauses_first` the first round comes after a pause.
    """

    def __init__(
        self,
        step: Callable[[], Awaitable[float | None]],
        pause_secs: float,
        guard: Callable[[], AbstractContextManager[object, bool | None]],
        *,
        wake: asyncio.Event | None = None,
        pauses_first: bool = False,
    ) -> None:
        self._step = step
        self._pause_secs = pause_secs
        self._guard = guard
        self._wake = wake or asyncio.Event()
        self._pauses_first = pauses_first
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the loop in a task of its own. It can be started once."""
        assert self._task is None
        self._task = asyncio.create_task(self.run())

    async def stop(self) -> None:
        """Cancel the loop, also within a step, and return when it has ended. Nothing happens if it was not started."""
        if self._task is not None:
            await cancel(self._task)

    async def run(self) -> None:
        """Run the loop in the calling task until it is cancelled, for example on another event loop."""
        pause = self._pause_secs if self._pauses_first else 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()
            next_pause = None
            with self._guard():
                next_pause = await self._step()
            pause = self._pause_secs if next_pause is None else next_pause


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait until they have ended, whatever they raise."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
