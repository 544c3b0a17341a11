"""How much of a composition is made, as a fraction: each part counts by what it costs."""

from collections.abc import Callable

from portico.composer.plan import FRAME_MS, CompositionPlan

SOUND_COST, JOIN_COST = 0.1, 0.05
"""The CPU time of a second of sound, and of joining a second, relative to that of a second of picture."""


class ProgressMeter:
    """Adds up the parts of one composition and reports the fraction from 0 to 1, which never falls."""

    def __init__(self, plan: CompositionPlan, report: Callable[[float], None]) -> None:
        self._report = report
        self._whole = plan.frames * FRAME_MS * 1000 * (1 + JOIN_COST + plan.sound * SOUND_COST)
        self._done = 0.0
        self._reported = -1.0

    def advance(self, out_us: int, cost: float) -> None:
        """Report that `out_us` microseconds of the current part are made."""
        fraction = min(1.0, (self._done + out_us * cost) / self._whole)
        if fraction > self._reported:
            self._reported = fraction
            self._report(fraction)

    def repeat(self) -> None:
        """Report the same fraction again: work goes on that is not part of the composition itself."""
        self._reported = max(self._reported, 0.0)
        self._report(self._reported)

    def finish_part(self, length_us: int, cost: float) -> None:
        """Report that the current part, of `length_us` microseconds, is made."""
        self._done += length_us * cost
        self.advance(0, cost)
