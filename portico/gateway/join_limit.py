"""Limits the joins of one token, and of one address into one room: each join writes rows that are kept for long."""

import time
from collections.abc import Callable

from portico.core.addresses import network
from portico.core.rate import Buckets, Limit

JOINS = Limit(600, 3600)
"""600 in an hour: the 50 participants of a room may share one token and one address, and join 12 times each."""
KEPT = 10_000
"""Tokens, and pairs of room and address, that are counted. The one without a join for longest is forgotten."""


class JoinLimit:
    """Counts the joins through this process."""

    def __init__(self, limit: Limit = JOINS, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        # Two counts, so that joins from many addresses do not displace the count of a token.
        self._tokens = Buckets(limit, KEPT)
        self._addresses = Buckets(limit, KEPT)

    def take(self, room_id: str, grant_id: str, address: str) -> int:
        """Count a join; returns the seconds that it has to wait instead, 0 if it may be tried.

        It is counted before it is tried, as many may be tried at the same time. An empty address is not counted.
        """
        now = self._clock()
        wait = self._addresses.wait_secs(_room_network(room_id, address), now) if address else 0
        wait = wait or self._tokens.take(grant_id, now).wait_secs
        if address and not wait:
            self._addresses.take(_room_network(room_id, address), now)
        return wait

    def give_back(self, room_id: str, grant_id: str, address: str) -> None:
        """Take back the count of a join that was refused, and so has written nothing."""
        self._tokens.give_back(grant_id)
        if address:
            self._addresses.give_back(_room_network(room_id, address))


def _room_network(room_id: str, address: str) -> str:
    return f"{room_id} {network(address)}"
