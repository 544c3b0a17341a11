"""Follows the installation's signing keys, which `portico keys rotate` replaces from another process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from portico.db.engine import Database, Transaction
from portico.services import files, tokens
from portico.services.files import LinkKeys
from portico.services.tokens import TokenKeys

log = structlog.get_logger()

EVERY_SECS = 0.5
"""A replaced key is in use, or void, within a second in every process."""


class FollowKeys:
    """One per process: brings these two objects, which all its parts share, to what the rows say."""

    def __init__(
        self, db: Database, token_keys: TokenKeys, link_keys: LinkKeys, *, clock: Callable[[], datetime]
    ) -> None:
        self._db = db
        self._token_keys = token_keys
        self._link_keys = link_keys
        self._clock = clock

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow until the block ends."""
        following = asyncio.create_task(self._follow_for_ever())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def follow(self) -> None:
        """Look once."""
        now = self._clock()

        def read(tx: Transaction) -> tuple[TokenKeys, tuple[bytes, ...]]:
            return tokens.read_keys(tx, now), files.read_link_keys(tx, now)

        token_keys, accepted = await self._db.read(read)
        self._token_keys.replace_with(token_keys)
        self._link_keys.accepted = accepted

    async def _follow_for_ever(self) -> None:
        is_well = True
        while True:
            await asyncio.sleep(EVERY_SECS)
            try:
                await self.follow()
            except Exception as error:  # noqa: BLE001  whatever it is, the keys stay as they are until the next look
                if is_well:
                    log.warning("signing keys cannot be read", why=" ".join(str(error).split()))
                is_well = False
            else:
                is_well = True
