"""Limits the joins of one token, and of one address into one room: each join writes rows that are kept for long."""

import time
from collections.abc import Callable

from portico.core.addresses import network
from portico.core.rate import Limit
from portico.db.engine import Database
from portico.services.shared_buckets import SharedBuckets

JOINS = Limit(600, 3600)
"""600 in an hour: the 50 participants of a room may share one token and one address, and join 12 times each."""
KEPT = 10_000
"""Tokens, and pairs of room and address, that are counted. The one without a join for longest is forgotten."""


class JoinLimit:
    """Counts the joins through all processes of the database."""

    def __init__(
        self, limit: Limit = JOINS, clock: Callable[[], int] = time.monotonic_ns, db: Database | None = None
    ) -> None:
        # Two counts, so that joins from many addresses do not displace the count of a token.
        self._tokens = SharedBuckets(limit, KEPT, "token", db, clock)
        self._addresses = SharedBuckets(limit, KEPT, "join", db, clock)

    async def take(self, room_id: str, grant_id: str, address: str) -> int:
        """Count a join; returns the seconds that it has to wait instead, 0 if it may be tried.

        It is counted before it is tried, as many may be tried at the same time. An empty address is not counted.
        """
        if wait := (await self._tokens.take(grant_id)).wait_secs:
            return wait
        if address and (wait := (await self._addresses.take(_room_network(room_id, address))).wait_secs):
            self._tokens.give_back(grant_id)
            return wait
        return 0

    def give_back(self, room_id: str, grant_id: str, address: str) -> None:
        """Take back the count of a join that was refused, and so has written nothing."""
        self._tokens.give_back(grant_id)
        if address:
            self._addresses.give_back(_room_network(room_id, address))


def _room_network(room_id: str, address: str) -> str:
    return f"{room_id} {network(address)}"
