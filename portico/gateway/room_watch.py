"""Compares the members of Janus' rooms with the connected participants, because events of Janus may be missed.

It is the only check where Janus has no event handler, as with PORTICO_JANUS_URL.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from portico.gateway.nodes import Janus, Occupation
from portico.gateway.registry import Registry, RoomConnection
from portico.janus.errors import JanusError, JanusUnavailable
from portico.signaling import control
from portico.signaling.control import AUDIOBRIDGE, TEXTROOM, MediaRoom
from portico.signaling.dialect import UNSEEN_SECS

ROUND_SECS = 0.8
"""Pause between two rounds without events: a member who must not be in a room is expelled within a second."""
ROUND_WITH_EVENTS_SECS = 5.0
"""Pause between two rounds with events: Janus lists TextRoom members without their lock, so it is asked rarely."""
AT_ONCE = 8
"""Rooms that are compared at the same time, so that other requests pass on the connection to Janus that all share."""
ANSWER_SECS = 2.0


class RoomWatch:
    """Compares all rooms of one gateway, each time that `look` is due."""

    def __init__(self, registry: Registry, elsewhere: Callable[[str], Awaitable[set[str]]] | None = None) -> None:
        """`elsewhere` returns the ids of a room's participants on all gateways; None where there is only this one."""
        self._registry = registry
        self._elsewhere = elsewhere
        self._looked_at = asyncio.get_running_loop().time()
        self._seen: dict[tuple[int, str], float] = {}  # since when (loop time) a TextRoom (number) has an unknown name

    async def look(self) -> None:
        """Compare all rooms; those whose Janus reports events only ROUND_WITH_EVENTS_SECS after the last time."""
        now = asyncio.get_running_loop().time()
        all_are_due = now - self._looked_at >= ROUND_WITH_EVENTS_SECS
        occupations = self._registry.occupations()
        due = [one for one in occupations if all_are_due or not one.node.janus.reports_events]
        if all_are_due:
            self._looked_at = now
        elif not due:
            return
        limit = asyncio.Semaphore(AT_ONCE)
        unknown: set[tuple[int, str]] = set()

        async def compare(one: Occupation) -> None:
            async with limit:
                try:
                    await self._compare_bridge(one.node.janus, one.media)
                    unknown.update(await self._compare_texts(one.node.janus, one.media))
                except (JanusError, JanusUnavailable):
                    return  # the room, or Janus, is closing

        await asyncio.gather(*(compare(one) for one in due))
        self._seen = {key: since for key, since in self._seen.items() if key in unknown}

    async def _compare_bridge(self, janus: Janus, room: MediaRoom) -> None:
        """End each connection whose register member the AudioBridge does not list."""
        registers = [
            (connection, connection.dialect.register_id) for connection in self._connections(room)
        ]  # read before the list, so that no join in between counts
        listed = {one.get("id") for one in await _list(janus, AUDIOBRIDGE, control.list_members(room))}
        for connection, number in registers:
            if number is not None and number not in listed:
                connection.bridge_left(number)

    async def _compare_texts(self, janus: Janus, room: MediaRoom) -> set[tuple[int, str]]:
        """Expel the members of the TextRoom that are no participants; returns (number, name) of each."""
        names = {str(one.get("username")) for one in await _list(janus, TEXTROOM, control.list_text_members(room))}
        connections = self._connections(room)
        unknown = names - {connection.dialect.text_name for connection in connections}
        if unknown and self._elsewhere is not None:
            unknown -= await self._elsewhere(room.room_id)
        # A browser of another gateway may be about to join.
        joining = self._elsewhere is not None or any(one.dialect.may_yet_join for one in connections)
        now = asyncio.get_running_loop().time()
        for name in unknown:
            since = self._seen.setdefault((room.text, name), now)
            # A browser joins the TextRoom before it announces its participant, and only an event says whose name it is.
            # So without events an unknown name may stay for UNSEEN_SECS while such a browser is in the room.
            if not joining or now - since > UNSEEN_SECS:
                self._registry.expel(room.text, name)
        return {(room.text, name) for name in unknown}

    def _connections(self, room: MediaRoom) -> list[RoomConnection]:
        return next((connections for each, connections in self._registry.open_rooms() if each is room), [])


async def _list(janus: Janus, plugin: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await janus.request(plugin, body, timeout=ANSWER_SECS))["participants"]
    return listed
