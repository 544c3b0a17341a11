"""Keeps the relay to ports of media: by a packet filter if we are root, else by a library that coturn loads."""

from collections.abc import Mapping

import structlog

from portico.edge import relay_library
from portico.edge.coturn_config import RelaySettings
from portico.edge.relay_filter import RelayFilter
from portico.edge.relay_probe import RelayProbeError, reaches_all_ports
from portico.runtime.child_process import ChildUnavailable

log = structlog.get_logger(__name__)


class RelayLimit:
    """The limit of the relay: the packet filter or the library, and whether it works."""

    def __init__(self, settings: RelaySettings) -> None:
        self._settings = settings
        self._filter = RelayFilter(settings)
        self._environment: Mapping[str, str] = {}
        self._loaded: Mapping[str, str] = {}
        self._is_ours = False
        self.why_all_ports: str | None = "it is not started"
        """Why the relay reaches all UDP ports of Janus' addresses, as a clause; None where it reaches media only."""

    async def start(self) -> None:
        """Make the packet filter, or else find or build the library. `examine` finds out whether it works."""
        await self._filter.start()
        self._environment, self.why_all_ports = {}, self._filter.why_not
        if self.why_all_ports is None:
            return
        found = await relay_library.library(self._settings)
        if isinstance(found, str):
            self.why_all_ports = f"{self.why_all_ports}; {found}"
        else:
            self._environment, self.why_all_ports = relay_library.environment(found, self._settings), None

    def environment(self) -> Mapping[str, str]:
        """The variables for a coturn that starts now."""
        self._loaded = self._environment
        return self._loaded

    async def keep(self) -> str | None:
        """Replace a packet filter that is lost; a clause says why coturn has to start anew, None that it need not."""
        if not self._is_ours:
            return None  # a rule of the operator's, or no limit, which the settings accept
        if not self._environment and not self._filter.is_there:
            await self.start()
        if self.why_all_ports is not None:
            return f"is not limited to ports of media: {self.why_all_ports}"
        return None if self._loaded == self._environment else "has not loaded what limits it to ports of media"

    async def examine(self) -> None:
        """Try what the relay reaches. Where it reaches all ports, log a warning, or raise ChildUnavailable."""
        why = self.why_all_ports
        self._is_ours = why is None
        try:
            if not await reaches_all_ports(self._settings):
                self.why_all_ports = None  # by a rule of the operator's, where not by ours
                return
        except RelayProbeError as error:
            raise ChildUnavailable(f"The relay does not work: {error}.") from error
        self.why_all_ports = why = why or "its limit has no effect"
        if not self._settings.may_reach_all_ports:
            raise ChildUnavailable(
                f"PORTICO_TURN: the relay would reach all UDP services on Janus' addresses ({why}): start as root with "
                "nftables, install a C compiler (Debian: gcc, libc6-dev), set PORTICO_RELAY_PEER_PORTS=all to accept "
                "that, or PORTICO_TURN=off."
            )
        log.warning("relay.reaches_all_ports", addresses=self._settings.peers, why=why)

    async def stop(self) -> None:
        """End the packet filter."""
        await self._filter.stop()
