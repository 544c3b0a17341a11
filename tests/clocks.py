"""Clocks that tests give to the program: time passes only when a test says so."""

from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class Clock(Generic[T]):
    """Shows `now`, a date or a number of nanoseconds, until a test changes it."""

    def __init__(self, now: T) -> None:
        self.now = now

    def __call__(self) -> T:
        return self.now


class TickingClock(Clock[datetime]):
    """Advances by a millisecond at each look, so that what is made later is later."""

    def __init__(self) -> None:
        super().__init__(datetime(2026, 3, 26, 12, 0, 0, 123456, UTC))
        self._tick = timedelta(milliseconds=1)

    def __call__(self) -> datetime:
        self.now += self._tick
        return self.now

    def stop_at(self, instant: datetime) -> None:
        """Show this instant from now on, at every look."""
        self.now, self._tick = instant, timedelta(0)

    def advance(self, **passed: float) -> None:
        """Let time pass; the arguments are those of timedelta."""
        self.now += timedelta(**passed)
