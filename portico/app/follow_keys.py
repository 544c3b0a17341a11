"""Follows the installation's signing keys, which `portico keys rotate` and `webhooks rotate-key` replace."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

import structlog

from portico.db.engine import Database, Transaction
from portico.runtime.periodic import Periodic
from portico.services import files, tokens, webhook_keys
from portico.services.files import LinkKeys
from portico.services.tokens import TokenKeys
from portico.services.webhook_keys import WebhookKeys

log = structlog.get_logger()

EVERY_SECS = 0.5
"""The pause between two looks: within a second every process uses a new key and refuses a void one."""


class FollowKeys:
    """Updates the three objects with keys, which the parts of this process share, when the rows change."""

    def __init__(
        self,
        db: Database,
        token_keys: TokenKeys,
        link_keys: LinkKeys,
        of_webhooks: WebhookKeys,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._token_keys = token_keys
        self._link_keys = link_keys
        self._of_webhooks = of_webhooks
        self._clock = clock
        self._is_well = True
        self._loop = Periodic(self.follow, EVERY_SECS, self._warned, pauses_first=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow until the block ends."""
        self._loop.start()
        try:
            yield
        finally:
            await self._loop.stop()

    async def follow(self) -> None:
        """Read the rows once, and update the keys if they differ."""
        now = self._clock()

        def read(tx: Transaction) -> tuple[TokenKeys, tuple[bytes, ...], WebhookKeys]:
            return tokens.read_keys(tx, now), files.read_link_keys(tx, now), self._read_webhook_keys(tx)

        token_keys, accepted, of_webhooks = await self._db.read(read)
        self._token_keys.replace_with(token_keys)
        self._link_keys.accepted = accepted
        self._of_webhooks.replace_with(of_webhooks)

    def _read_webhook_keys(self, tx: Transaction) -> WebhookKeys:
        return self._of_webhooks if self._of_webhooks.is_given else webhook_keys.read(tx)

    @contextmanager
    def _warned(self) -> Iterator[None]:
        """Log the first of several failures in a row; the keys stay as they are until the next look."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  whatever it is
            if self._is_well:
                log.warning("signing keys cannot be read", why=" ".join(str(error).split()))
            self._is_well = False
        else:
            self._is_well = True
