"""API keys of requests: the Authorization header, and a memory of one second so that bursts cost one look-up."""

import time
from functools import partial

from portico.db.engine import Database
from portico.services import api_keys

REMEMBERED_SECS = 1.0
"""How long a revoked key may still be accepted."""
_REMEMBERED_KEYS = 10_000


def bearer_key(authorization: str | None) -> str | None:
    """The credential of `Bearer ...`; it may contain blanks."""
    scheme, *rest = (authorization or "").split(maxsplit=1)[:2] or [""]
    key = rest[0].strip() if rest else ""
    return key if key and scheme.lower() == "bearer" else None


class KeyRing:
    """Knows which account a key opens. Unknown keys are looked up every time, so a new key works at once."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: dict[str, tuple[str, float]] = {}

    async def account_of(self, authorization: str | None) -> str | None:
        """The account that the header's key opens, or None."""
        key = bearer_key(authorization)
        if key is None:
            return None
        account_id, until = self._known.get(key, ("", 0.0))
        if time.monotonic() < until:
            return account_id
        self._known.pop(key, None)
        asked = time.monotonic()  # the answer is as old as the question: it may be revoked while that is on its way
        found = await self._db.read(partial(api_keys.account_of, key=key))
        if found is not None:
            if len(self._known) >= _REMEMBERED_KEYS:
                self._known.clear()
            self._known[key] = (found, asked + REMEMBERED_SECS)
        return found
