"""Finds the API keys of requests: remembers them for a second, notes their last use, and limits wrong ones."""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from portico.core.addresses import network
from portico.core.errors import TooManyRequests
from portico.core.rate import Buckets, Limit
from portico.db.engine import Database
from portico.services import api_keys
from portico.services.api_keys import ApiKey

log = structlog.get_logger()

REMEMBERED_SECS = 1.0
"""How long a revoked key may still be accepted."""
REMEMBERED_KEYS = 10_000
USE_NOTED_EVERY = timedelta(minutes=1)
"""The last use of a key is written at most this often."""
WRONG_KEYS = Limit(20, 60)
"""Wrong keys of one address: 20 a minute are answered with 401, further ones with 429."""
ADDRESSES_MAX = 10_000


def bearer_key(authorization: str | None) -> str | None:
    """The credential of `Bearer ...`; it may contain blanks."""
    scheme, *rest = (authorization or "").split(maxsplit=1)[:2] or [""]
    key = rest[0].strip() if rest else ""
    return key if key and scheme.lower() == "bearer" else None


@dataclass(slots=True)
class _Known:
    """A key that was valid when it was looked up, until when it is remembered, and when its use was last noted."""

    key: ApiKey
    until: float
    noted: float


class KeyRing:
    """Finds the API key of a request. Unknown keys are looked up every time, so a new key works at once.

    An address that sends many wrong keys gets TooManyRequests. A key that was valid before is never refused so, nor is
    one of the form that `portico keys create` makes, which cannot be guessed. Only keys of other forms, which were
    chosen by hand, are not looked up while their address has to wait.
    """

    def __init__(
        self,
        db: Database,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._clock = clock
        self._monotonic = monotonic
        self._known: OrderedDict[str, _Known] = OrderedDict()  # by digest, the least recently used first
        self._wrong = Buckets(WRONG_KEYS, ADDRESSES_MAX)
        self._noting: set[asyncio.Task[None]] = set()

    async def find(self, authorization: str | None, address: str = "") -> ApiKey | None:
        """The valid key of the header, or None, which counts as a wrong key of this address if there was one."""
        key = bearer_key(authorization)
        if key is None:
            return None
        found = await self._look_up(key, address)
        if found is None and (wait := self._count_wrong(address)):
            raise TooManyRequests(wait)
        return found

    async def account_of(self, authorization: str | None, address: str = "") -> str | None:
        """The account that the header's key opens, or None; counts nothing."""
        key = bearer_key(authorization)
        found = None if key is None else await self._look_up(key, address)
        return None if found is None else found.account_id

    async def _look_up(self, key: str, address: str) -> ApiKey | None:
        digest = api_keys.digest(key)
        known = self._known.get(digest)
        if known is not None and self._monotonic() < known.until:
            return known.key
        is_guessable = known is None and not api_keys.is_generated(key)
        if is_guessable and (wait := self._wait_secs(address)):
            raise TooManyRequests(wait)
        asked = self._monotonic()  # the key may be revoked while the answer is on its way
        found = await self._db.read(partial(api_keys.find, key=key, now=self._clock()))
        if found is None:
            self._known.pop(digest, None)
            return None
        noted = known.noted if known is not None else float("-inf")
        self._known[digest] = _Known(found, asked + REMEMBERED_SECS, self._note_use(found, noted))
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED_KEYS:
            self._known.popitem(last=False)
        return found

    def _count_wrong(self, address: str) -> int:
        """Seconds that this address has to wait after one more wrong key; 0 when it may try another."""
        return self._wrong.take(network(address), int(self._monotonic() * 1e9)).wait_secs

    def _wait_secs(self, address: str) -> int:
        """Seconds that this address has to wait before it may try another key."""
        return self._wrong.wait_secs(network(address), int(self._monotonic() * 1e9))

    def _note_use(self, key: ApiKey, noted: float) -> float:
        """Start writing the use of the key, unless it was written within USE_NOTED_EVERY. Returns when it was noted."""
        now, at = self._monotonic(), self._clock()
        every = USE_NOTED_EVERY.total_seconds()
        if now - noted < every:
            return noted
        if key.last_used_at is not None and timedelta(0) <= at - key.last_used_at < USE_NOTED_EVERY:
            return now - (at - key.last_used_at).total_seconds()  # another process has written it
        task = asyncio.create_task(self._write_use(key.id, at))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)
        return now

    async def _write_use(self, key_id: str, at: datetime) -> None:
        try:
            await self._db.write(partial(api_keys.note_use, key_id=key_id, at=at))
        except Exception as error:  # noqa: BLE001  the request has its answer; the next minute tries again
            log.warning("last use of a key not written", key_id=key_id, why=re.sub(r"\s+", " ", str(error)))
