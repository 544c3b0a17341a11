"""Limits the connection checks that run at once, and those that an address begins: each uses Janus and the network."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator

from portico.core.addresses import network
from portico.core.rate import Buckets, Limit

AT_ONCE_MAX = 5
"""Checks of all clients at the same time: at most 5 Mbit/s in each direction."""
ADDRESS_AT_ONCE_MAX = 2
BEGUN = Limit(30, 3600)
"""Checks that one address may begin: 30 in an hour."""
_KEPT = 10_000
"""Addresses whose checks are counted; the one whose last check is oldest is forgotten."""


class NoSlot(Exception):
    """The check may not begin now: `reason` is `busy` or `often`, and `retry_secs` says when it may."""

    def __init__(self, reason: str, sentence: str, retry_secs: int) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.retry_secs = retry_secs


class CheckSlots:
    """Counts the checks of this process."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._begun = Buckets(BEGUN, _KEPT)

    @property
    def running(self) -> int:
        """The number of checks that run now."""
        return self._running.total()

    @contextlib.contextmanager
    def slot(self, address: str, check_secs: int) -> Iterator[None]:
        """Hold a slot for a client of this address while its check runs, for `check_secs` at most. Raises NoSlot."""
        source = network(address)
        if self.running >= AT_ONCE_MAX:
            raise NoSlot("busy", "Too many checks are running. Try again in a minute.", check_secs)
        if self._running[source] >= ADDRESS_AT_ONCE_MAX:
            raise NoSlot("busy", "Other checks are running from your network. Try again in a minute.", check_secs)
        if wait := self._begun.take(source, self._clock()).wait_secs:
            raise NoSlot("often", "Your network has made many checks in the last hour. Try again later.", wait)
        self._running[source] += 1
        try:
            yield
        finally:
            self._running[source] -= 1
            self._running += Counter()  # forgets networks without a check
