"""Who is connected to which room, and the rooms inside Janus that exist while somebody is."""

import asyncio
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from portico.media.janus_errors import JanusError, JanusUnavailable
from portico.media.janus_node import JanusNode
from portico.signaling import control
from portico.signaling.control import MediaRoom
from portico.signaling.effects import CloseCode

log = structlog.get_logger()
_NUMBER_MAX = 2**53 - 1
"""Ids cross JavaScript, whose integers end here."""


class Member(Protocol):
    """What the registry needs of a connection."""

    def close(self, code: CloseCode, reason: str) -> None:
        """End the connection soon; never waits."""
        ...


@dataclass(eq=False, slots=True)
class _Occupied:
    opening: asyncio.Task[MediaRoom]
    members: set[Member] = field(default_factory=set)


class Registry:
    """Opens Janus' rooms for the first connection of a room and destroys them after its last."""

    def __init__(self, node: JanusNode) -> None:
        self._node = node
        self._rooms: dict[str, _Occupied] = {}
        self._background: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """Connections that are in a room now."""
        return sum(len(occupied.members) for occupied in self._rooms.values())

    @property
    def occupied(self) -> list[str]:
        """The rooms that somebody is connected to."""
        return list(self._rooms)

    async def enter(self, room_id: str, member: Member) -> MediaRoom:
        """The room's numbers inside Janus, where it exists when this returns. Raises JanusUnavailable."""
        occupied = self._rooms.get(room_id)
        if occupied is None:
            occupied = self._rooms[room_id] = _Occupied(asyncio.create_task(self._open(room_id)))
        occupied.members.add(member)
        try:
            # Many may wait for one opening; one of them giving up must not end it for the others.
            return await asyncio.shield(occupied.opening)
        except BaseException:
            self.leave(room_id, member)
            raise

    def leave(self, room_id: str, member: Member) -> None:
        """Forget a connection. The next one after the last gets rooms with new numbers."""
        occupied = self._rooms.get(room_id)
        if occupied is None or member not in occupied.members:
            return
        occupied.members.remove(member)
        if not occupied.members:
            del self._rooms[room_id]
            self._spawn(self._destroy(occupied))

    def close_room(self, room_id: str, reason: str) -> None:
        """The room's session is over: tell every browser by the close code, then take Janus' rooms away."""
        occupied = self._rooms.pop(room_id, None)
        if occupied is None:
            return
        for member in occupied.members:
            member.close(CloseCode.SESSION_ENDED, reason)
        self._spawn(self._destroy(occupied))

    def forget_all(self, reason: str) -> None:
        """Janus is gone with all its rooms: only the browsers are left to be told."""
        rooms, self._rooms = self._rooms, {}
        for occupied in rooms.values():
            occupied.opening.cancel()
            for member in occupied.members:
                member.close(CloseCode.SESSION_ENDED, reason)

    async def close(self) -> None:
        """Wait for what is being taken away."""
        if self._background:
            await asyncio.wait(self._background, timeout=3)

    async def _open(self, room_id: str) -> MediaRoom:
        room = MediaRoom(room_id, _number(), _number(), secrets.token_urlsafe(24))
        for plugin, body in control.creations(room, self._node.admin_key):
            try:
                await self._node.request(plugin, body)
            except JanusError as error:
                if not control.exists_already(plugin, error.code):
                    raise JanusUnavailable(f"Janus could not make a room: {error.reason}") from error
        return room

    async def _destroy(self, occupied: _Occupied) -> None:
        try:
            room = await occupied.opening
        except (JanusUnavailable, asyncio.CancelledError):
            return  # it never came to be
        for plugin, body in control.destructions(room, self._node.admin_key):
            try:
                await self._node.request(plugin, body)
            except JanusUnavailable:
                return  # Janus' rooms went with it
            except JanusError as error:
                if not control.is_gone(plugin, error.code):
                    log.warning("room not destroyed", plugin=plugin, code=error.code, reason=error.reason)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _number() -> int:
    return secrets.randbelow(_NUMBER_MAX) + 1
