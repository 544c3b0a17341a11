"""Decides, without a setting, whether webhooks may go to internal addresses: only while there is one account."""

import time

from portico.db.engine import Database
from portico.services import api_keys

REMEMBERED_SECS = 1.0


class WhileOneAccount:
    """Allows internal addresses while one account exists, the operator's own. Other accounts must not reach them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._allowed = False
        self._until = 0.0

    async def __call__(self) -> bool:
        """Whether internal addresses are allowed now, at most REMEMBERED_SECS old."""
        if time.monotonic() >= self._until:
            asked = time.monotonic()
            self._allowed = not await self._db.read(api_keys.are_several_accounts)
            self._until = asked + REMEMBERED_SECS
        return self._allowed
