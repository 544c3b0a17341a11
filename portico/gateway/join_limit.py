"""Joins of one token, and of one address into one room: each writes rows that are kept for long."""

import time
from collections.abc import Callable

from portico.core.addresses import network
from portico.core.rate import Buckets, Limit

JOINS = Limit(600, 3600)
"""Everybody in a room of fifty may share one token and one address, and come back twelve times within an hour."""
KEPT = 10_000
"""Tokens, and likewise pairs of room and address, that are remembered; those longest silent are forgotten."""


class JoinLimit:
    """Counts the joins of this process."""

    def __init__(self, limit: Limit = JOINS, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        # Apart, so that many addresses cannot make us forget what a token has used up.
        self._tokens = Buckets(limit, KEPT)
        self._addresses = Buckets(limit, KEPT)

    def wait_secs(self, room_id: str, family: str, address: str) -> int:
        """How long one more join has to wait; 0 when it need not. An empty address is not counted."""
        now = self._clock()
        of_address = self._addresses.wait_secs(_place(room_id, address), now) if address else 0
        return max(self._tokens.wait_secs(family, now), of_address)

    def count(self, room_id: str, family: str, address: str) -> None:
        """A participant was admitted. Refused joins write nothing and do not count."""
        now = self._clock()
        self._tokens.take(family, now)
        if address:
            self._addresses.take(_place(room_id, address), now)


def _place(room_id: str, address: str) -> str:
    return f"{room_id} {network(address)}"
