"""Limits of requests: a bucket that refills steadily, kept as the instant when it is full again."""

import re
from collections import OrderedDict
from dataclasses import dataclass

SECOND_NS = 1_000_000_000
REQUESTS_MAX = 1_000_000
_UNITS = {"s": 1, "m": 60, "h": 3600}
_FORM = re.compile(r"([1-9][0-9]{0,6})/([smh])")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` within `per_secs` seconds, all at once or spread out."""

    requests: int
    per_secs: int

    @property
    def interval_ns(self) -> int:
        """How long it takes until one more request is allowed."""
        return self.per_secs * SECOND_NS // self.requests

    @property
    def whole_ns(self) -> int:
        """How long it takes until an empty bucket is full."""
        return self.interval_ns * self.requests


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many requests remain after this one. With `wait_secs` above zero this one is refused for so long."""

    limit: int
    remaining: int
    reset_secs: int
    """Seconds until the bucket is full again; at least one, since clients divide by it."""
    wait_secs: int = 0


UNLIMITED = Allowance(limit=2**31 - 1, remaining=2**31 - 1, reset_secs=1)
"""The allowance where no limit is set: numbers that fit into 32 bits and make no client wait."""


def parse(text: str) -> Limit:
    """The limit of `20/s`, `600/m` or `10000/h`; ValueError with a sentence for anything else."""
    form = _FORM.fullmatch(text.strip())
    if form is None or int(form[1]) > REQUESTS_MAX:
        raise ValueError("should be a number of requests and a unit of time, like 20/s, 600/m or 10000/h")
    return Limit(int(form[1]), _UNITS[form[2]])


def take(limit: Limit, full_at: int, now: int, requests: int = 1) -> tuple[int, Allowance]:
    """Take requests from a bucket; returns the instant when it is full again, and what is left in it.

    Instants are nanoseconds of a clock that never goes back. A bucket that is full at an instant in the past is full.
    A refused request takes nothing from the bucket.
    """
    missing = max(full_at - now, 0)
    wanted = missing + requests * limit.interval_ns
    if wanted > limit.whole_ns:
        return full_at, _allowance(limit, missing, wait_ns=wanted - limit.whole_ns)
    return now + wanted, _allowance(limit, wanted)


class Buckets:
    """A bucket for each of many callers. At most `kept` are remembered, those used last."""

    def __init__(self, limit: Limit, kept: int) -> None:
        self.limit = limit
        self._kept = kept
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def take(self, caller: str, now: int, requests: int = 1) -> Allowance:
        """Count requests of a caller. If they exceed the limit, nothing is counted and `wait_secs` is above zero."""
        full_at, allowance = take(self.limit, self._full_at.get(caller, 0), now, requests)
        self._full_at[caller] = full_at
        self._full_at.move_to_end(caller)
        if len(self._full_at) > self._kept:
            self._full_at.popitem(last=False)
        return allowance

    def give_back(self, caller: str) -> None:
        """Take back one request that was counted and then failed."""
        if caller in self._full_at:
            self._full_at[caller] -= self.limit.interval_ns

    def wait_secs(self, caller: str, now: int) -> int:
        """How long a caller has to wait before one more request; counts nothing."""
        return take(self.limit, self._full_at.get(caller, 0), now)[1].wait_secs


def _allowance(limit: Limit, missing: int, wait_ns: int = 0) -> Allowance:
    remaining = (limit.whole_ns - missing) // limit.interval_ns
    return Allowance(limit.requests, max(remaining, 0), max(_seconds(missing), 1), _seconds(wait_ns))


def _seconds(nanoseconds: int) -> int:
    return -(-nanoseconds // SECOND_NS)
