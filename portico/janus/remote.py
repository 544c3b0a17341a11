"""The Janus of another node, over a control connection that the next request opens, also after a loss.

The row of the node says whether it lives. This module restarts nothing, and no events of that Janus arrive here.
"""

import asyncio
from typing import Any

from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.link import JanusLink

CONNECT_SECS = 4.0


class RemoteJanus:
    """The Janus of another node, from its start to its end. A request opens the connection; `close` closes it."""

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
        """The shortage in the node's row: what another participant would lack; None: nothing."""

    def shortage(self, present: int | None = None) -> str | None:
        """What this Janus lacks for a join, as a sentence; None: nothing."""
        return self.lacks

    async def request(
        self,
        plugin: str,
        body: dict[str, Any],
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 - as JanusNode.request
    ) -> dict[str, Any]:
        """See gateway.nodes.Janus.request. Raises JanusUnavailable also without an answer within `timeout`."""
        return await (await self._live_link()).request(plugin, body, deadline=timeout)

    async def handle_info(self, session_id: int, handle_id: int, *, deadline: float) -> dict[str, Any]:
        """Raise JanusUnavailable: the Admin API of another node is not reachable."""
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
