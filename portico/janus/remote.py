"""The Janus of another node, over a control connection that is opened when it is needed, and again after a loss.

Whether the node lives is decided by its agent's row; nothing here restarts it. No events arrive from it.
"""

import asyncio
from typing import Any

from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.link import JanusLink

CONNECT_SECS = 4.0


class RemoteJanus:
    """One per node and start of its Janus. A request opens the connection; `close` ends it."""

    reports_events = False
    shows_handles = False
    checks_consent = False

    def __init__(self, url: str, api_secret: str | None, admin_key: str) -> None:
        self.url = url
        self.api_secret = api_secret
        self.admin_key = admin_key
        self._link: JanusLink | None = None
        self._opening = asyncio.Lock()
        self.lacks: str | None = None
        """What the node's row says that another participant would lack; None: nothing."""

    def shortage(self, present: int | None = None) -> str | None:
        """What a join lacks, as a sentence; None: nothing."""
        return self.lacks

    async def request(
        self,
        plugin: str,
        body: dict[str, Any],
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 - as JanusNode.request
    ) -> dict[str, Any]:
        """As JanusNode.request. Raises JanusError, and JanusUnavailable if there is no answer within `timeout`."""
        return await (await self._live_link()).request(plugin, body, deadline=timeout)

    async def handle_info(self, session_id: int, handle_id: int, *, deadline: float) -> dict[str, Any]:
        """The Admin API of another node is not reachable: always JanusUnavailable."""
        raise JanusUnavailable("The Admin API of Janus is not reachable.")

    async def close(self) -> None:
        """Close the connection, if there is one."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _live_link(self) -> JanusLink:
        async with self._opening:
            if self._link is not None and self._link.is_lost:
                await self.close()
            if self._link is None:
                try:
                    self._link = await JanusLink.open(self.url, self.api_secret, deadline=CONNECT_SECS)
                except JanusError as error:
                    raise JanusUnavailable(f"Janus on {self.url} refuses us: {error.reason}.") from error
            return self._link
