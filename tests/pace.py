"""How long something took, without the time for which the machine did not let this process run."""

import asyncio
import time
from types import TracebackType
from typing import Self

_STEP_SECS = 0.02
_LATE_SECS = 0.02
"""A busy event loop wakes us so much too late, and that counts."""


class Pace:
    """Within its context it counts the seconds that the event loop had, in which what it runs could get on.

    Of a stretch in which the loop did not come round, only what this process computed counts: a machine that stops, or
    that has others first, is not the fault of what is measured. Never more than a clock on the wall would say.
    """

    secs = 0.0

    async def __aenter__(self) -> Self:
        self._looked_at, self._computed = time.monotonic(), time.process_time()
        self._counting = asyncio.create_task(self._count())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._counting.cancel()
        await asyncio.gather(self._counting, return_exceptions=True)
        self._look()

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(_STEP_SECS)
            self._look()

    def _look(self) -> None:
        now, computed = time.monotonic(), time.process_time()
        self.secs += min(now - self._looked_at, max(_STEP_SECS + _LATE_SECS, computed - self._computed))
        self._looked_at, self._computed = now, computed
