"""The limit of the request rate: a bucket for each account, and one for each address without a valid key."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from portico.core import rate
from portico.core.addresses import network
from portico.core.rate import Allowance, Limit

BUCKETS_MAX = 10_000
"""Accounts, and likewise addresses, that are remembered; the one whose last request is oldest is forgotten."""
AccountOf = Callable[[str | None, str], Awaitable[str | None]]


class RateLimit:
    """Counts the requests of each caller of this process. Without a limit every request is admitted."""

    def __init__(
        self, limit: Limit | None, account_of: AccountOf, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._limit = limit
        self._account_of = account_of
        self._clock = clock
        # Apart, so that requests from many addresses do not make us forget what accounts have used up.
        self._accounts: OrderedDict[str, int] = OrderedDict()
        self._addresses: OrderedDict[str, int] = OrderedDict()

    async def admit(self, authorization: str | None, address: str) -> Allowance:
        """Count one request: for the account that the header's key opens, else for the address."""
        if self._limit is None:
            return rate.UNLIMITED
        account_id = await self._account_of(authorization, address)
        if account_id is None:
            return self._take(self._limit, self._addresses, network(address), 1)
        return self._take(self._limit, self._accounts, account_id, 1)

    def look(self, address: str) -> Allowance:
        """The allowance of an address, without counting a request."""
        if self._limit is None:
            return rate.UNLIMITED
        return self._take(self._limit, self._addresses, network(address), 0)

    def _take(self, limit: Limit, buckets: OrderedDict[str, int], caller: str, requests: int) -> Allowance:
        full_at, allowance = rate.take(limit, buckets.get(caller, 0), self._clock(), requests)
        if requests:
            buckets[caller] = full_at
            buckets.move_to_end(caller)
            if len(buckets) > BUCKETS_MAX:
                buckets.popitem(last=False)
        return allowance
