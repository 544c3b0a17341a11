"""The connections of each room, and the rooms inside Janus, which exist while a room has connections."""

import asyncio
import secrets
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from portico.gateway.seats import SeatedConnection
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.mjr_folder import MjrFolder
from portico.janus.node import JanusNode
from portico.services.rows import ParticipantChange
from portico.signaling import control
from portico.signaling.control import TEXTROOM, MediaRoom
from portico.signaling.dialect import Dialect
from portico.signaling.effects import CloseCode
from portico.signaling.janus_events import BridgeLeft, JanusEvent, TextJoined
from portico.signaling.stream_ids import StreamIds

log = structlog.get_logger()
_ENDINGS = {
    "session_ended": (CloseCode.SESSION_ENDED, "The session was ended."),
    "room_deleted": (CloseCode.SESSION_ENDED, "The room was deleted."),
}
_MEDIA_LOST = (CloseCode.MEDIA_LOST, "The media server was lost.")
_GONE = (CloseCode.TIMED_OUT, "The participant is not in the room any more.")
_NUMBER_MAX = 2**53 - 1
"""The largest integer that JavaScript, which reads these numbers, holds exactly."""


class RoomConnection(SeatedConnection, Protocol):
    """A connection, as the registry uses it."""

    owner: str
    """The opaque_id of this connection's handles, which marks Janus' reports about them."""

    @property
    def dialect(self) -> Dialect:
        """The state of the conversation, for reading only."""
        ...

    @property
    def is_ending(self) -> bool:
        """Whether the connection is ending. The leave of its participant is written, or about to be."""
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

    def set_room_on_disk(self, enough: bool) -> None:
        """Pause or resume recording the participant; returns at once."""
        ...


@dataclass(eq=False, slots=True)
class _OccupiedRoom:
    opening: asyncio.Task[MediaRoom]
    connections: set[RoomConnection] = field(default_factory=set)
    streams: StreamIds = field(default_factory=StreamIds)


class Registry:
    """Opens Janus' rooms for the first connection of a room and destroys them after its last."""

    def __init__(self, node: JanusNode, mjr_folder: MjrFolder) -> None:
        self._node = node
        self.mjr_folder = mjr_folder
        self.media_is_lost = False
        """Set while the sessions of a lost Janus are being ended."""
        self.room_on_disk = True
        """Whether the disk has room for recordings."""
        self._rooms: dict[str, _OccupiedRoom] = {}
        self._participants: dict[str, RoomConnection] = {}
        self._owners: dict[str, RoomConnection] = {}
        self._background: set[asyncio.Task[None]] = set()

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

    async def enter(self, room_id: str, connection: RoomConnection) -> tuple[MediaRoom, StreamIds]:
        """Add a connection to its room; returns the room inside Janus, which then exists, and its stream ids.

        Raises JanusUnavailable.
        """
        occupied = self._rooms.get(room_id)
        if occupied is None:
            occupied = self._rooms[room_id] = _OccupiedRoom(asyncio.create_task(self._open(room_id)))
        occupied.connections.add(connection)
        self._owners[connection.owner] = connection
        try:
            # Several connections may wait for one opening, and the end of one must not cancel it for the others.
            return await asyncio.shield(occupied.opening), occupied.streams
        except BaseException:
            self.leave(room_id, connection)
            raise

    def admitted(self, participant_id: str, connection: RoomConnection) -> None:
        """Note that the join of the connection's participant is written."""
        self._participants[participant_id] = connection

    def apply(self, changes: Iterable[ParticipantChange]) -> None:
        """Mute, kick or close the connections of participants as their changed rows say."""
        for change in changes:
            connection = self._participants.get(change.id)
            if connection is None:
                continue
            if change.left_at is None:
                connection.set_muted(change.audio_muted)
                continue
            del self._participants[change.id]
            if change.left_reason == "kicked":
                connection.kick()
            else:
                connection.close(*(_MEDIA_LOST if self.media_is_lost else _ENDINGS.get(str(change.left_reason), _GONE)))

    def open_rooms(self) -> list[tuple[MediaRoom, list[RoomConnection]]]:
        """The rooms that exist in Janus now, each with its connections."""
        return [
            (occupied.opening.result(), list(occupied.connections))
            for occupied in self._rooms.values()
            if occupied.opening.done() and not occupied.opening.cancelled() and occupied.opening.exception() is None
        ]

    def receive(self, event: JanusEvent) -> None:
        """Act on an event of Janus' event handler; returns at once."""
        match event:
            case TextJoined(owner, room, username):
                connection = self._owners.get(owner or "")
                if connection is not None:
                    connection.text_joined(room, username)
                else:
                    self.expel(room, username)  # its connection has ended, so its handle ends soon
            case BridgeLeft(room, number):
                for media, connections in self.open_rooms():
                    for connection in connections if media.video == room else ():
                        connection.bridge_left(number)

    def expel(self, number: int, username: str) -> None:
        """Kick this member out of the TextRoom with this number; returns at once."""
        for media, _ in self.open_rooms():
            if media.text == number:
                self._spawn(self._expel(media, username))

    async def _expel(self, room: MediaRoom, username: str) -> None:
        log.warning("expelled from a TextRoom", room_id=room.room_id, username=username[:64])
        try:
            await self._node.request(TEXTROOM, control.expel(room, username))
        except JanusError as error:
            if not control.is_no_member(error.code):
                log.warning("not expelled", code=error.code, reason=error.reason)
        except JanusUnavailable:
            return  # the room is gone with Janus

    def set_room_on_disk(self, enough: bool) -> None:
        """Pause recording while the disk is nearly full; resume it after that. Calls go on."""
        self.room_on_disk = enough
        for connection in self._participants.values():
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

    def forget_all(self, reason: str) -> None:
        """Close all connections, after Janus is lost with all its rooms."""
        rooms, self._rooms = self._rooms, {}
        self._owners.clear()
        for occupied in rooms.values():
            occupied.opening.cancel()
            for connection in occupied.connections:
                connection.close(CloseCode.MEDIA_LOST, reason)

    async def close(self) -> None:
        """Wait up to 3 s for rooms that are being destroyed."""
        if self._background:
            await asyncio.wait(self._background, timeout=3)

    async def _open(self, room_id: str) -> MediaRoom:
        room = MediaRoom(room_id, _number(), _number(), secrets.token_urlsafe(24))
        for plugin, body in control.creations(room, self._node.admin_key, str(self.mjr_folder.path.absolute())):
            try:
                await self._node.request(plugin, body)
            except JanusError as error:
                if not control.exists_already(plugin, error.code):
                    raise JanusUnavailable(f"Janus could not make a room: {error.reason}") from error
        return room

    async def _destroy(self, occupied: _OccupiedRoom) -> None:
        try:
            room = await occupied.opening
        except (JanusUnavailable, asyncio.CancelledError):
            return  # the room was not made
        for plugin, body in control.destructions(room, self._node.admin_key):
            try:
                await self._node.request(plugin, body)
            except JanusUnavailable:
                return  # the rooms are gone with Janus
            except JanusError as error:
                if not control.is_gone(plugin, error.code):
                    log.warning("room not destroyed", plugin=plugin, code=error.code, reason=error.reason)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _number() -> int:
    return secrets.randbelow(_NUMBER_MAX) + 1
