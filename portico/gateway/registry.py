"""The connections of each room, and the rooms inside Janus, which exist while a room has connections."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from weakref import WeakValueDictionary

import structlog

from portico.db.outage import faults_logged
from portico.gateway.nodes import Janus, MediaNode, Occupation, RoomPlacement
from portico.gateway.seats import SeatedConnection
from portico.janus.errors import JanusError, JanusUnavailable
from portico.services.rows import ParticipantChange
from portico.services.sessions import MEDIA_LOST, SERVER_STOPPED
from portico.signaling import control
from portico.signaling.control import TEXTROOM, MediaRoom
from portico.signaling.dialect import Dialect
from portico.signaling.effects import CloseCode
from portico.signaling.janus_events import BridgeLeft, JanusEvent, TextJoined
from portico.signaling.stream_ids import StreamIds

log = structlog.get_logger()
_OF_NODES = {
    MEDIA_LOST: (CloseCode.MEDIA_LOST, "The media server was lost."),
    SERVER_STOPPED: (CloseCode.RESTART, "The media server stops; another one goes on."),
}
"""By the reason of an ended participant: close code and sentence of endings after which a join gets another node."""
_ENDINGS = {
    "session_ended": (CloseCode.SESSION_ENDED, "The session was ended."),
    "room_deleted": (CloseCode.SESSION_ENDED, "The room was deleted."),
    **_OF_NODES,
}
_GONE = (CloseCode.TIMED_OUT, "The participant is not in the room any more.")
FORGET_SECS = 2.0
"""The pause before the leave of a room's last connection is written again, after the database did not take it."""


class RoomConnection(SeatedConnection, Protocol):
    """A browser's connection, as the registry uses it."""

    owner: str
    """The opaque_id of this connection's handles, which marks Janus' reports about them."""
    room_id: str

    @property
    def dialect(self) -> Dialect:
        """The state of the conversation, for reading only."""
        ...

    @property
    def is_ending(self) -> bool:
        """Whether the connection is ending: the leave of its participant is written, or is about to be."""
        ...

    def close(self, code: CloseCode, reason: str) -> None:
        """End the connection with this close code and reason; returns at once."""
        ...

    def text_joined(self, room: int, username: str) -> None:
        """Act on a data channel of this connection that joined a TextRoom; returns at once."""
        ...

    def bridge_left(self, member: int) -> None:
        """Act on a member that the AudioBridge of the room does not list any more; returns at once."""
        ...

    def path_lost(self) -> None:
        """Act on a browser from which no packet arrives any more; returns at once."""
        ...

    def kick(self) -> None:
        """Remove the participant, and close the connection soon after; returns at once."""
        ...

    def set_muted(self, muted: bool) -> None:
        """Mute or unmute the participant; returns at once."""
        ...

    def request_ping(self, requested_at: datetime) -> None:
        """End the connection unless its browser answers a ping, as another gateway asks; returns at once."""
        ...

    def set_room_on_disk(self, enough: bool) -> None:
        """Pause or resume recording the participant; returns at once."""
        ...


@dataclass(eq=False, slots=True)
class _OccupiedRoom:
    opening: asyncio.Task[Occupation]
    streams: StreamIds
    connections: set[RoomConnection] = field(default_factory=set)

    @property
    def occupation(self) -> Occupation | None:
        """The node and numbers of the room; None while it is not open."""
        done = self.opening.done() and not self.opening.cancelled() and self.opening.exception() is None
        return self.opening.result() if done else None


@dataclass(frozen=True, slots=True)
class Entered:
    """The room that a connection has entered."""

    occupation: Occupation
    streams: StreamIds


class Registry:
    """Opens Janus' rooms for the first connection of a room and destroys them after its last."""

    def __init__(self, placement: RoomPlacement, *, is_alone: bool = True) -> None:
        self._placement = placement
        self._is_alone = is_alone  # whether no other gateway may be in the rooms
        self._full_disks: set[str] = set()  # ids of nodes whose disk has no room for recordings
        self._rooms: dict[str, _OccupiedRoom] = {}
        self._participants: dict[str, RoomConnection] = {}
        self._owners: dict[str, RoomConnection] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._entries: Counter[int] = Counter()  # by number in Janus: entries that are written and not taken back
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by room: one write at a time

    @property
    def connection_count(self) -> int:
        """The number of connections that are in a room."""
        return sum(len(occupied.connections) for occupied in self._rooms.values())

    @property
    def occupied(self) -> list[str]:
        """The ids of the rooms that have connections."""
        return list(self._rooms)

    def connections_of(self, room_id: str) -> list[RoomConnection]:
        """The connections of the room."""
        occupied = self._rooms.get(room_id)
        return list(occupied.connections) if occupied is not None else []

    @property
    def participant_ids(self) -> list[str]:
        """The ids of admitted participants whose connections are not ending."""
        return [participant_id for participant_id, connection in self._participants.items() if not connection.is_ending]

    def has(self, participant_id: str) -> bool:
        """Whether the participant is admitted and its connection is not ending."""
        connection = self._participants.get(participant_id)
        return connection is not None and not connection.is_ending

    async def enter(self, room_id: str, connection: RoomConnection) -> Entered:
        """Add a connection to its room, which then exists inside Janus.

        Raises JanusUnavailable, a JoinRefused when no node can take the room, and the errors of the database.
        """
        occupied = self._rooms.get(room_id)
        if occupied is None:
            occupied = self._rooms[room_id] = _OccupiedRoom(
                asyncio.create_task(self._open(room_id)), StreamIds(is_shared=not self._is_alone)
            )
        occupied.connections.add(connection)
        self._owners[connection.owner] = connection
        try:
            # Several connections may wait for one opening, and the end of one must not cancel it for the others.
            return Entered(await asyncio.shield(occupied.opening), occupied.streams)
        except BaseException:
            self.leave(room_id, connection)
            raise

    def admitted(self, participant_id: str, connection: RoomConnection) -> None:
        """Note that the join of the connection's participant is written."""
        self._participants[participant_id] = connection

    def apply(self, changes: Iterable[ParticipantChange]) -> None:
        """Mute, ping, kick or close the connections of participants as their changed rows say."""
        for change in changes:
            connection = self._participants.get(change.id)
            if connection is None:
                continue
            if change.left_at is None:
                connection.set_muted(change.audio_muted)
                if change.ping_requested_at is not None:
                    connection.request_ping(change.ping_requested_at)
                continue
            del self._participants[change.id]
            ending = _OF_NODES.get(str(change.left_reason))
            if ending is not None and (left := self._rooms.get(connection.room_id)) is not None:
                self._forget(connection.room_id, left, *ending)
            if change.left_reason == "kicked":
                connection.kick()
            else:
                connection.close(*_ENDINGS.get(str(change.left_reason), _GONE))

    def open_rooms(self) -> list[tuple[MediaRoom, list[RoomConnection]]]:
        """The rooms that exist in Janus now, each with its connections."""
        return [
            (occupation.media, list(occupied.connections))
            for occupied in self._rooms.values()
            if (occupation := occupied.occupation) is not None
        ]

    def occupations(self) -> list[Occupation]:
        """The rooms that exist in Janus now, each with its node."""
        return [one for occupied in self._rooms.values() if (one := occupied.occupation) is not None]

    def occupation_of(self, room_id: str) -> Occupation | None:
        """The node and numbers of a room; None while it is not open."""
        occupied = self._rooms.get(room_id)
        return None if occupied is None else occupied.occupation

    def receive(self, event: JanusEvent) -> None:
        """Act on an event of Janus' event handler; returns at once."""
        match event:
            case TextJoined(owner, room, username):
                connection = self._owners.get(owner or "")
                if connection is not None:
                    connection.text_joined(room, username)
                elif self._is_alone:
                    self.expel(room, username)  # its connection has ended, so its handle ends soon
            case BridgeLeft(room, number):
                for media, connections in self.open_rooms():
                    for connection in connections if media.video == room else ():
                        connection.bridge_left(number)

    def expel(self, number: int, username: str) -> None:
        """Kick this member out of the TextRoom with this number; returns at once."""
        for occupation in self.occupations():
            if occupation.media.text == number:
                self._spawn(self._expel(occupation.node.janus, occupation.media, username))

    async def _expel(self, janus: Janus, room: MediaRoom, username: str) -> None:
        log.warning("expelled from a TextRoom", room_id=room.room_id, username=username[:64])
        try:
            await janus.request(TEXTROOM, control.expel(room, username))
        except JanusError as error:
            if not control.is_no_member(error.code):
                log.warning("not expelled", code=error.code, reason=error.reason)
        except JanusUnavailable:
            return  # the room is gone with Janus

    def has_room_on_disk(self, node_id: str) -> bool:
        """Whether the disk of this node has room for recordings."""
        return node_id not in self._full_disks

    def set_room_on_disk(self, node_id: str, enough: bool) -> None:
        """Pause recording while the disk of a node is nearly full; resume it after that. Calls go on."""
        if enough is self.has_room_on_disk(node_id):
            return
        (self._full_disks.discard if enough else self._full_disks.add)(node_id)
        for occupied in self._rooms.values():
            if (occupation := occupied.occupation) is not None and occupation.node.id == node_id:
                for connection in occupied.connections:
                    connection.set_room_on_disk(enough)

    def leave(self, room_id: str, connection: RoomConnection, participant_id: str | None = None) -> None:
        """Remove a connection. The last one of a room destroys the rooms inside Janus; the next gets new numbers."""
        if participant_id is not None and self._participants.get(participant_id) is connection:
            del self._participants[participant_id]
        occupied = self._rooms.get(room_id)
        if occupied is None or connection not in occupied.connections:
            return
        occupied.connections.remove(connection)
        self._owners.pop(connection.owner, None)
        if participant_id is not None:
            occupied.streams.release(participant_id)
        if not occupied.connections:
            del self._rooms[room_id]
            self._spawn(self._destroy(occupied))

    def forget_node(self, node_id: str, reason: str) -> None:
        """Close all connections of rooms on a node whose Janus is lost."""
        for room_id, occupied in list(self._rooms.items()):
            occupation = occupied.occupation
            if occupation is None or occupation.node.id == node_id:
                self._forget(room_id, occupied, CloseCode.MEDIA_LOST, reason)

    def forget_ended(self, ended: Mapping[str, str]) -> None:
        """Close the connections in these occupations, which were ended: a join now gets another node.

        `ended` has the reason of each, MEDIA_LOST or SERVER_STOPPED, by its id.
        """
        for room_id, occupied in list(self._rooms.items()):
            occupation = occupied.occupation
            if occupation is not None and (reason := ended.get(occupation.id or "")) is not None:
                self._forget(room_id, occupied, *_OF_NODES[reason])

    def _forget(self, room_id: str, occupied: _OccupiedRoom, code: CloseCode, reason: str) -> None:
        del self._rooms[room_id]
        if occupied.occupation is not None:
            del self._entries[occupied.occupation.media.video]
        occupied.opening.cancel()
        for connection in occupied.connections:
            self._owners.pop(connection.owner, None)
            connection.close(code, reason)

    async def close(self) -> None:
        """Wait up to 3 s for rooms that are being destroyed."""
        if self._background:
            await asyncio.wait(self._background, timeout=3)

    async def _open(self, room_id: str) -> Occupation:
        async with self._turn(room_id):
            occupation = await self._placement.enter(room_id)
            self._entries[occupation.media.video] += 1
        try:
            await create(occupation.node, occupation.media)
        except BaseException:
            self._spawn(self._leave(occupation))
            raise
        return occupation

    async def _destroy(self, occupied: _OccupiedRoom) -> None:
        try:
            occupation = await occupied.opening
        except (Exception, asyncio.CancelledError):  # noqa: BLE001  the connections that waited have raised it
            return  # the room was not made
        await self._leave(occupation)

    async def _leave(self, occupation: Occupation) -> None:
        """Write that this gateway has left the room; destroy it in Janus unless another gateway is in it."""
        room_id, number = occupation.media.room_id, occupation.media.video
        while True:
            with faults_logged("leaving a room failed", room_id=room_id, secs=FORGET_SECS):
                async with self._turn(room_id):
                    if self._entries[number] > 1:  # entered again before the leave was written: it is one row for both
                        self._entries[number] -= 1
                        return
                    is_last = await self._placement.leave(occupation)
                    del self._entries[number]
                if is_last and await destroy(occupation.node, occupation.media):
                    await self._placement.forget(occupation)
                return
            await asyncio.sleep(FORGET_SECS)

    def _turn(self, room_id: str) -> asyncio.Lock:
        """Hold the room's lock while an entry or leave of it is written: out of order, a leave would undo an entry."""
        return self._turns.setdefault(room_id, asyncio.Lock())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def create(node: MediaNode, room: MediaRoom) -> None:
    """Make those of the three rooms inside Janus that are missing. Raises JanusUnavailable."""
    for plugin, body in control.creations(room, node.janus.admin_key, node.mjr_folder):
        try:
            await node.janus.request(plugin, body)
        except JanusError as error:
            if not control.exists_already(plugin, error.code):
                raise JanusUnavailable(f"Janus could not make a room: {error.reason}") from error


async def destroy(node: MediaNode, room: MediaRoom) -> bool:
    """Destroy the three rooms inside Janus. False when Janus does not answer: the node's agent destroys them later."""
    for plugin, body in control.destructions(room, node.janus.admin_key):
        try:
            await node.janus.request(plugin, body)
        except JanusUnavailable:
            return False
        except JanusError as error:
            if not control.is_gone(plugin, error.code):
                log.warning("room not destroyed", plugin=plugin, code=error.code, reason=error.reason)
    return True
