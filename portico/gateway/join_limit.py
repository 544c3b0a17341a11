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

    def take(self, room_id: str, family: str, address: str) -> int:
        """Count a join, unless it has to wait: so many seconds then, 0 otherwise. An empty address is not counted.

        It is counted before it is tried: many may be tried at the same time.
        """
        now = self._clock()
        wait = self._addresses.wait_secs(_place(room_id, address), now) if address else 0
        wait = wait or self._tokens.take(family, now).wait_secs
        if address and not wait:
            self._addresses.take(_place(room_id, address), now)
        return wait

    def give_back(self, room_id: str, family: str, address: str) -> None:
        """A join that was counted is refused: it writes nothing and does not count."""
        self._tokens.give_back(family)
        if address:
            self._addresses.give_back(_place(room_id, address))


def _place(room_id: str, address: str) -> str:
    return f"{room_id} {network(address)}"
