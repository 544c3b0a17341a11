"""The deadlines of one connection: timers that end it, or that call its dialect back."""

import asyncio
from collections.abc import Callable

from portico.signaling.effects import ExpectMedia, ScheduleDue


class Deadlines:
    """Timers of four kinds. Each kind has one timer (the last two: one for each handle), which a new one replaces."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.TimerHandle | None = None
        self._join: asyncio.TimerHandle | None = None
        self._of_handle: dict[tuple[type, int], asyncio.TimerHandle] = {}
        self._end_is_fixed = False

    def end_in(self, secs: float, end: Callable[[], None]) -> None:
        """Call `end` in `secs` seconds, unless a kick has fixed the end."""
        if self._end_is_fixed:
            return  # a kicked browser may show another token before it leaves, which must not keep it here
        if self._end is not None:
            self._end.cancel()
        self._end = self._loop.call_later(secs, end)

    def fix_end_in(self, secs: float, end: Callable[[], None]) -> None:
        """Call `end` in `secs` seconds; no later `end_in` changes that."""
        self.end_in(secs, end)
        self._end_is_fixed = True

    def join_within(self, secs: float, end: Callable[[], None]) -> None:
        """Call `end` in `secs` seconds. An earlier deadline stays: a browser cannot prolong it."""
        if self._join is not None:
            if self._join.when() <= self._loop.time() + secs:
                return
            self._join.cancel()
        self._join = self._loop.call_later(secs, end)

    def call_in(self, effect: ScheduleDue | ExpectMedia, call: Callable[[int], None]) -> None:
        """Call `call` with the effect's handle when the effect's time is over."""
        key = type(effect), effect.handle

        def due() -> None:
            del self._of_handle[key]
            call(effect.handle)

        if (earlier := self._of_handle.get(key)) is not None:
            earlier.cancel()
        self._of_handle[key] = self._loop.call_later(effect.secs, due)

    def cancel(self) -> None:
        """Stop all timers."""
        for timer in (self._end, self._join, *self._of_handle.values()):
            if timer is not None:
                timer.cancel()
