"""The media nodes that a gateway uses: which one a room is on, and the connection to its Janus.

A process that is alone, on SQLite, has one node and keeps in memory what several processes share as rows.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from portico.db.engine import Database
from portico.janus.remote import RemoteJanus
from portico.runtime.host import host_id
from portico.services import media_rooms
from portico.services.media_rooms import Numbers
from portico.services.rows import NodeRow
from portico.signaling.control import MediaRoom

_NUMBER_MAX = 2**53 - 1
"""The largest integer that JavaScript, which reads these numbers, holds exactly."""


class Janus(Protocol):
    """A Janus, as gateways use it: a JanusNode of this process, or a RemoteJanus."""

    url: str
    api_secret: str | None
    admin_key: str

    @property
    def reports_events(self) -> bool:
        """Whether the event handler of this Janus is connected to this process now."""
        ...

    @property
    def shows_handles(self) -> bool:
        """Whether `handle_info` answers."""
        ...

    @property
    def checks_consent(self) -> bool:
        """Whether this Janus itself ends a PeerConnection that has lost ICE consent."""
        ...

    def shortage(self, present: int | None = None) -> str | None:
        """What this Janus lacks for a join of a room with `present` participants, as a sentence; None: nothing."""
        ...

    async def request(
        self,
        plugin: str,
        body: dict[str, Any],
        *,
        timeout: float = 5.0,  # noqa: ASYNC109 - as JanusNode.request
    ) -> dict[str, Any]:
        """Send a request to a plugin; returns `plugindata.data`. Raises JanusError and JanusUnavailable."""
        ...

    async def handle_info(self, session_id: int, handle_id: int, *, deadline: float) -> dict[str, Any]:
        """Read the facts about a handle from the Admin API. Raises JanusError and JanusUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class MediaNode:
    """A node and its Janus. `mjr_folder` is the path at which that Janus writes mjr files."""

    id: str
    janus: Janus
    mjr_folder: str


@dataclass(frozen=True, slots=True)
class Occupation:
    """A room while connections are in it: its node and its numbers there. `id` is None in a process that is alone."""

    id: str | None
    node: MediaNode
    media: MediaRoom


class RoomPlacement(Protocol):
    """Chooses the node of a room when an occupation begins, and ends the occupation."""

    async def enter(self, room_id: str) -> Occupation:
        """Note that this gateway enters a room. It begins an occupation unless another gateway is in the room.

        Raises a JoinRefused when no node can take it, and the errors of the database.
        """
        ...

    async def leave(self, occupation: Occupation) -> bool:
        """Note that this gateway leaves the room; True for the last one, which has to destroy the rooms in Janus."""
        ...

    async def forget(self, occupation: Occupation) -> None:
        """Note that the rooms in Janus are destroyed."""
        ...


class OnlyNode:
    """The placement of a process that is alone: all rooms are on its own node, and nothing is written."""

    def __init__(self, node: MediaNode) -> None:
        self._node = node

    async def enter(self, room_id: str) -> Occupation:
        """Begin an occupation on the own node: no other gateway can be in the room."""
        numbers = _numbers()
        return Occupation(None, self._node, MediaRoom(room_id, numbers.video, numbers.text, numbers.secret))

    async def leave(self, occupation: Occupation) -> bool:
        """Return True: this gateway is the only one, and so the last."""
        return True

    async def forget(self, occupation: Occupation) -> None:
        """Do nothing, because `enter` has written nothing."""


class SharedNodes:
    """The placement of processes that share a database. `own` is the node of this process, if it has one."""

    def __init__(
        self, db: Database, gateway_id: Callable[[], str], own: MediaNode | None, clock: Callable[[], datetime]
    ) -> None:
        self._db = db
        self._gateway_id = gateway_id
        self._own = own
        self._clock = clock
        self._host = host_id()
        self._remote: dict[str, tuple[int, MediaNode, RemoteJanus]] = {}  # by node id, with the epoch

    async def enter(self, room_id: str) -> Occupation:
        """Enter by media_rooms.enter, whose rows all processes share. Raises as RoomPlacement.enter."""
        prefer = self._own.id if self._own is not None else None
        enter = partial(media_rooms.enter, room_id=room_id, gateway_id=self._gateway_id(), fresh=_numbers())
        placed = await self._db.write(partial(enter, host=self._host, prefer=prefer, now=self._clock()))
        numbers = placed.numbers
        media = MediaRoom(room_id, numbers.video, numbers.text, numbers.secret)
        return Occupation(placed.id, await self._node(placed.node), media)

    async def leave(self, occupation: Occupation) -> bool:
        """Leave by media_rooms.leave."""
        assert occupation.id is not None
        leave = partial(media_rooms.leave, occupation_id=occupation.id, gateway_id=self._gateway_id())
        return await self._db.write(leave)

    async def forget(self, occupation: Occupation) -> None:
        """Delete the row by media_rooms.forget."""
        assert occupation.id is not None
        await self._db.write(partial(media_rooms.forget, occupation_id=occupation.id))

    def update(self, row: NodeRow) -> None:
        """Use the shortage that the row of a node reports now."""
        known = self._remote.get(row.id)
        if known is not None and known[0] == row.epoch:
            known[2].lacks = row.shortage

    async def close(self) -> None:
        """Close the connections to other nodes."""
        for _, _, janus in self._remote.values():
            await janus.close()

    async def _node(self, row: NodeRow) -> MediaNode:
        if self._own is not None and row.id == self._own.id:
            return self._own
        known = self._remote.get(row.id)
        if known is None or known[0] != row.epoch:
            janus = RemoteJanus(row.url, row.api_secret, row.admin_key)
            janus.lacks = row.shortage
            self._remote[row.id] = (row.epoch, MediaNode(row.id, janus, row.mjr_folder), janus)
            if known is not None:
                await known[2].close()
        return self._remote[row.id][1]


def _numbers() -> Numbers:
    return Numbers(_number(), _number(), secrets.token_urlsafe(24))


def _number() -> int:
    return secrets.randbelow(_NUMBER_MAX) + 1
