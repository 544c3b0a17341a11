"""How much work one peer may cause: a bucket of units that refills steadily and may be overdrawn once."""


class Budget:
    """At most `burst` units at once, `per_sec` more each second. Instants are seconds of a monotonic clock."""

    __slots__ = ("_at", "_burst", "_left", "_per_sec")

    def __init__(self, per_sec: float, burst: float, now: float) -> None:
        self._per_sec = per_sec
        self._burst = burst
        self._left = burst
        self._at = now

    def spend(self, units: float, now: float) -> float:
        """Take units, even more than are left. Returns the seconds to wait before the next call; 0 while some are left.

        The work is done already when it is counted, so the bucket goes below zero and the next unit waits for it.
        """
        left = self._left + (now - self._at) * self._per_sec
        self._at = now
        self._left = left = (left if left < self._burst else self._burst) - units
        return 0.0 if left >= 0 else -left / self._per_sec

    def widen(self, per_sec: float, burst: float) -> None:
        """Set a higher rate and a higher burst. The units by which the burst grows may be spent at once."""
        self._left += burst - self._burst
        self._per_sec, self._burst = per_sec, burst
