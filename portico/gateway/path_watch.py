"""Ends connections whose browsers send no packets, where Janus does not check the paths itself (before 1.2)."""

import asyncio
import contextlib
from typing import Any

from portico.gateway.nodes import Janus, Occupation
from portico.gateway.registry import Registry, RoomConnection
from portico.janus.errors import JanusError, JanusUnavailable
from portico.signaling import control
from portico.signaling.control import TEXTROOM
from portico.signaling.liveness import COMPARE_SECS, CounterComparison, Quiet

AT_ONCE = 8
"""Rooms that are compared at the same time."""
ANSWER_SECS = 2.0


class PathWatch:
    """Compares the counters of each connection of one gateway from which no media arrives."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._comparisons: dict[RoomConnection, CounterComparison] = {}

    async def look(self) -> float:
        """Compare once, where Janus does not check the paths itself; returns the seconds until the next time."""
        now = asyncio.get_running_loop().time
        began = now()
        looked_at = [one for one in self._registry.occupations() if _is_for_us(one.node.janus)]
        if looked_at:
            await self._round(looked_at)
        return max(0.0, began + COMPARE_SECS - now())

    async def _round(self, occupations: list[Occupation]) -> None:
        connections_of = self._registry.connections_of
        rooms = [(one, quiet) for one in occupations if (quiet := _quiet(connections_of(one.media.room_id)))]
        known = self._comparisons
        all_quiet = [connection for _, quiet in rooms for connection in quiet]
        self._comparisons = {connection: known.get(connection, CounterComparison()) for connection in all_quiet}
        limit = asyncio.Semaphore(AT_ONCE)

        async def look(room: Occupation, quiet: dict[RoomConnection, Quiet]) -> None:
            # An error means that the room, or Janus, is closing. Nothing is known then.
            async with limit:
                with contextlib.suppress(JanusError, JanusUnavailable):
                    await self._look(room, quiet)

        await asyncio.gather(*(look(room, quiet) for room, quiet in rooms))

    async def _look(self, room: Occupation, quiet: dict[RoomConnection, Quiet]) -> None:
        """Read and compare the counters. First send probes, whose acknowledgements change them until the next time."""
        if any(one.probed for one in quiet.values()):
            await room.node.janus.request(TEXTROOM, control.probe(room.media), timeout=ANSWER_SECS)
        for connection, one in quiet.items():
            comparison = self._comparisons[connection]
            if comparison.needs(one) and comparison.look(one, await _infos(room.node.janus, connection, one)):
                connection.path_lost()


def _is_for_us(janus: Janus) -> bool:
    """Whether this Janus does not check the paths itself, and shows the counters with which we do."""
    return janus.shows_handles and not janus.checks_consent


async def _infos(janus: Janus, connection: RoomConnection, quiet: Quiet) -> dict[int, dict[str, Any]]:
    """Janus' `handle_info` of each handle. Handles that are closed meanwhile are left out."""
    infos: dict[int, dict[str, Any]] = {}
    session_id = connection.dialect.session_id
    for handle in quiet.handles:
        with contextlib.suppress(JanusError):
            infos[handle] = await janus.handle_info(session_id, handle, deadline=ANSWER_SECS)
    return infos


def _quiet(connections: list[RoomConnection]) -> dict[RoomConnection, Quiet]:
    """The connections from which no media arrives, and which are not ending."""
    found = {connection: connection.dialect.quiet for connection in connections if not connection.is_ending}
    return {connection: quiet for connection, quiet in found.items() if quiet is not None}
