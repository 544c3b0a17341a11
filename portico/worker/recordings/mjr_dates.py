"""How far the clock that dates mjr files, of the machine that Janus runs on, is ahead of the program's clock.

Rows are dated by the database's clock. Recordings are placed, and cut, by the dates of their mjr files.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

LEAST = timedelta(seconds=0.25)
"""Smaller changes of the difference are left alone: tracks of a session are dated by one clock, to the millisecond."""
FILES_MAX = 10_000
"""mjr files that are remembered; beyond it, the oldest is taken to be dated as a new one is."""


def wall_clock() -> datetime:
    """The time by the clock of this machine."""
    return datetime.fromtimestamp(time.time(), UTC)


class MjrDates:
    """Remembers the difference at which each mjr file was begun: Janus dates a file once, and a step may follow.

    A process that is started again knows the present difference only. `wall` is the clock of this machine.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        wall: Callable[[], datetime] = wall_clock,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._present = timedelta(0)
        self._of_files: dict[str, timedelta] = {}

    def note(self, names: Iterable[str]) -> None:
        """Note that these mjr files, by their final names, are being written. Called about once a second."""
        present = self._look()
        for name in names:
            self._of_files.setdefault(name, present)
        while len(self._of_files) > FILES_MAX:
            del self._of_files[next(iter(self._of_files))]

    def ahead(self, name: str) -> timedelta:
        """How far the date of this mjr file is ahead of the dates of rows."""
        return self._of_files[name] if name in self._of_files else self._look()

    def forget(self, name: str) -> None:
        """Note that the mjr file is not needed any more."""
        self._of_files.pop(name, None)

    def _look(self) -> timedelta:
        measured = self._wall() - self._clock()
        if abs(measured - self._present) >= LEAST:
            self._present = measured
        return self._present
