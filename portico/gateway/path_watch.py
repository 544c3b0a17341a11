"""Ends connections whose browsers send no packets, where Janus does not check the paths itself (before 1.2)."""

import asyncio
import contextlib
from typing import Any

from portico.gateway.registry import Registry, RoomConnection
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.node import JanusNode
from portico.signaling import control
from portico.signaling.control import TEXTROOM, MediaRoom
from portico.signaling.liveness import COMPARE_SECS, CounterComparison, Quiet

AT_ONCE = 8
"""Rooms that are compared at the same time."""
ANSWER_SECS = 2.0


class PathWatch:
    """Compares the counters of each connection of one gateway from which no media arrives."""

    def __init__(self, registry: Registry, node: JanusNode) -> None:
        self._registry = registry
        self._node = node
        self._comparisons: dict[RoomConnection, CounterComparison] = {}

    async def look(self) -> float:
        """Compare once, where Janus does not check the paths itself; returns the seconds until the next time."""
        now = asyncio.get_running_loop().time
        began = now()
        if self._node.shows_handles and not self._node.checks_consent:
            await self._round()
        return max(0.0, began + COMPARE_SECS - now())

    async def _round(self) -> None:
        rooms = [(room, quiet) for room, connections in self._registry.open_rooms() if (quiet := _quiet(connections))]
        known = self._comparisons
        all_quiet = [connection for _, quiet in rooms for connection in quiet]
        self._comparisons = {connection: known.get(connection, CounterComparison()) for connection in all_quiet}
        limit = asyncio.Semaphore(AT_ONCE)

        async def look(room: MediaRoom, quiet: dict[RoomConnection, Quiet]) -> None:
            # An error means that the room, or Janus, is closing. Nothing is known then.
            async with limit:
                with contextlib.suppress(JanusError, JanusUnavailable):
                    await self._look(room, quiet)

        await asyncio.gather(*(look(room, quiet) for room, quiet in rooms))

    async def _look(self, room: MediaRoom, quiet: dict[RoomConnection, Quiet]) -> None:
        """Read and compare the counters. First send probes, whose acknowledgements change them until the next time."""
        if any(one.probed for one in quiet.values()):
            await self._node.request(TEXTROOM, control.probe(room), timeout=ANSWER_SECS)
        for connection, one in quiet.items():
            comparison = self._comparisons[connection]
            if comparison.needs(one) and comparison.look(one, await self._infos(connection, one)):
                connection.path_lost()

    async def _infos(self, connection: RoomConnection, quiet: Quiet) -> dict[int, dict[str, Any]]:
        """Janus' `handle_info` of each handle. Handles that are closed meanwhile are left out."""
        infos: dict[int, dict[str, Any]] = {}
        session_id = connection.dialect.session_id
        for handle in quiet.handles:
            with contextlib.suppress(JanusError):
                infos[handle] = await self._node.handle_info(session_id, handle, deadline=ANSWER_SECS)
        return infos


def _quiet(connections: list[RoomConnection]) -> dict[RoomConnection, Quiet]:
    """The connections from which no media arrives, and which are not ending."""
    found = {connection: connection.dialect.quiet for connection in connections if not connection.is_ending}
    return {connection: quiet for connection, quiet in found.items() if quiet is not None}
