"""The limit of the request rate: a bucket for each account, and one for each address without a valid key."""

import time
from collections.abc import Awaitable, Callable

from portico.core import rate
from portico.core.addresses import network
from portico.core.rate import Allowance, Limit
from portico.db.engine import Database
from portico.services.shared_buckets import SharedBuckets

BUCKETS_MAX = 10_000
"""Accounts, and likewise addresses, that are remembered; the one whose last request is oldest is forgotten."""
AccountOf = Callable[[str | None, str], Awaitable[str | None]]


class RateLimit:
    """Counts the requests of each caller, in all processes of the database. Without a limit all are admitted."""

    def __init__(
        self,
        limit: Limit | None,
        account_of: AccountOf,
        clock: Callable[[], int] = time.monotonic_ns,
        db: Database | None = None,
    ) -> None:
        self._account_of = account_of
        # Apart, so that requests from many addresses do not make us forget what accounts have used up.
        self._accounts: SharedBuckets | None = None
        self._addresses: SharedBuckets | None = None
        if limit is not None:
            self._accounts = SharedBuckets(limit, BUCKETS_MAX, "account", db, clock)
            self._addresses = SharedBuckets(limit, BUCKETS_MAX, "address", db, clock)

    async def admit(self, authorization: str | None, address: str) -> Allowance:
        """Count one request: for the account that the header's key opens, else for the address."""
        if self._accounts is None or self._addresses is None:
            return rate.UNLIMITED
        account_id = await self._account_of(authorization, address)
        if account_id is None:
            return await self._addresses.take(network(address))
        return await self._accounts.take(account_id)

    def look(self, address: str) -> Allowance:
        """The allowance of an address, without counting a request."""
        return rate.UNLIMITED if self._addresses is None else self._addresses.look(network(address))
