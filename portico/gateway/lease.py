"""Observes which other gateways, or media nodes, are dead."""

from collections.abc import Iterable
from datetime import datetime

LEASE_SECS = 15.0
"""A gateway whose row has not changed for this long is dead."""
BEAT_SECS = 2.0
"""How often a gateway changes its row."""
GAP_SECS = 5.0
"""After a gap of this length between two reads, ours or the database's, every gateway gets a full lease again."""


class ObservedLeases:
    """Remembers since when each row has not changed, in seconds of this process's monotonic clock.

    The rows are those of gateways, or of media nodes, which change them for as long as they live.

    Instants of different machines are compared for equality only, so their clocks may differ by any amount.
    """

    def __init__(self, lease_secs: float = LEASE_SECS) -> None:
        self._lease_secs = lease_secs
        self._looked_at: float | None = None
        self._since: dict[str, tuple[datetime, float]] = {}

    def dead(self, rows: Iterable[tuple[str, datetime]], now: float) -> dict[str, datetime]:
        """The dead gateways by id, each with the last seen_at of its row.

        `rows` are the id and seen_at of all gateways but ours as the database has them at `now`.
        """
        was_away = self._looked_at is None or now - self._looked_at > GAP_SECS
        known = {} if was_away else self._since
        self._looked_at = now
        self._since = {}
        for gateway_id, seen_at in rows:
            before = known.get(gateway_id)
            self._since[gateway_id] = before if before is not None and before[0] == seen_at else (seen_at, now)
        return {
            gateway_id: seen_at
            for gateway_id, (seen_at, since) in self._since.items()
            if now - since >= self._lease_secs
        }
