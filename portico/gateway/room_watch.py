"""Compares, again and again, who is in Janus' rooms with who may be: the net below Janus' event handler.

It works alone where Janus has no event handler, as with PORTICO_JANUS_URL.
"""

import asyncio
from typing import Any

import structlog

from portico.gateway.registry import Member, Registry
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.node import JanusNode
from portico.signaling import control
from portico.signaling.control import AUDIOBRIDGE, TEXTROOM, MediaRoom
from portico.signaling.dialect import UNSEEN_SECS

log = structlog.get_logger()

ROUND_SECS = 0.8
"""Pause between two rounds without events: with the answers, who must not be in a room is out within a second."""
ROUND_WITH_EVENTS_SECS = 5.0
"""With events this is a second net. TextRoom lists its members without the lock under which they join, so it is not
asked more often than needed."""
AT_ONCE = 8
"""Rooms that are asked for at the same time: the control connection has other work too."""
ANSWER_SECS = 2.0


class RoomWatch:
    """One for a gateway."""

    def __init__(self, registry: Registry, node: JanusNode) -> None:
        self._registry = registry
        self._node = node
        self._seen: dict[tuple[int, str], float] = {}  # unknown names of TextRooms, and since when

    async def run(self) -> None:
        """Look at all rooms, round after round."""
        now = asyncio.get_running_loop().time
        last = now()
        while True:
            await asyncio.sleep(ROUND_SECS)
            if self._node.reports_events and now() - last < ROUND_WITH_EVENTS_SECS:
                continue
            last = now()
            try:
                await self._round()
            except Exception:
                log.exception("rooms not compared")  # the next round tries again

    async def _round(self) -> None:
        limit = asyncio.Semaphore(AT_ONCE)
        unknown: set[tuple[int, str]] = set()

        async def compare(room: MediaRoom) -> None:
            async with limit:
                try:
                    await self._compare_bridge(room)
                    unknown.update(await self._compare_texts(room))
                except (JanusError, JanusUnavailable):
                    return  # the room is being closed, or Janus is

        await asyncio.gather(*(compare(room) for room, _ in self._registry.open_rooms()))
        self._seen = {key: since for key, since in self._seen.items() if key in unknown}

    async def _compare_bridge(self, room: MediaRoom) -> None:
        """End the connections whose register member Janus does not list."""
        registers = [(member, member.dialect.register_id) for member in self._members(room)]  # before Janus is asked
        listed = {one.get("id") for one in await self._list(AUDIOBRIDGE, control.list_members(room))}
        for member, number in registers:
            if number is not None and number not in listed:
                member.bridge_left(number)

    async def _compare_texts(self, room: MediaRoom) -> set[tuple[int, str]]:
        """Expel from the TextRoom whoever is no present participant that may send messages; who is unknown yet."""
        names = {str(one.get("username")) for one in await self._list(TEXTROOM, control.list_text_members(room))}
        members = self._members(room)
        unknown = names - {member.dialect.text_name for member in members}
        joining = any(member.dialect.may_yet_join for member in members)
        now = asyncio.get_running_loop().time()
        for name in unknown:
            since = self._seen.setdefault((room.text, name), now)
            # Without events nobody says which name belongs to a connection that has not announced its participant yet.
            if not joining or now - since > UNSEEN_SECS:
                self._registry.expel(room.text, name)
        return {(room.text, name) for name in unknown}

    def _members(self, room: MediaRoom) -> list[Member]:
        return next((members for each, members in self._registry.open_rooms() if each is room), [])

    async def _list(self, plugin: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self._node.request(plugin, body, timeout=ANSWER_SECS))["participants"]
        return listed
