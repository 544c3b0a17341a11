"""Servers that share a database, and what has to be true of their rows after a call."""

import json
from typing import Any

from tests.databases import PostgresCluster
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer
from tests.waiting import until_in_thread

SETTLES_WITHIN_SECS = 30.0


class Cluster:
    """Servers that share a database, by number, and its rows."""

    def __init__(self, postgres: PostgresCluster, name: str, servers: list[PorticoServer]) -> None:
        self._postgres, self._name = postgres, name
        self.servers = servers
        self.rooms = [Rooms(server) for server in servers]

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._postgres.query(self._name, statement, *values)

    def node_of(self, room: str) -> str:
        """Id of the media node that the room is on."""
        ((node_id,),) = self.query("SELECT node_id FROM media_rooms WHERE room_id = %s AND NOT closing", room)
        return str(node_id)

    def server_of(self, room: str) -> PorticoServer:
        """The server whose Janus the room is in."""
        node_id = self.node_of(room)
        return next(one for one in self.servers if (one.data_dir / "place").read_text().strip() == node_id)

    def events(self, room: str) -> list[tuple[str, dict[str, Any]]]:
        """(type without `video.room.`, payload) of the room's events, in order."""
        found = self.query("SELECT event_type, payload FROM events WHERE room_id = %s ORDER BY seq", room)
        return [
            (kind.removeprefix("video.room."), payload if isinstance(payload, dict) else json.loads(payload))
            for kind, payload in found
        ]

    async def settles(self, room: str) -> None:
        """Fails unless, soon after all have left, nothing of the room is left but history: no ghost, no open end."""

        def open_ends() -> list[tuple[Any, ...]]:
            checks = [
                "SELECT 'participant', id FROM room_participants WHERE left_at IS NULL AND room_id = %s",
                "SELECT 'session', id FROM room_sessions WHERE active AND room_id = %s",
                "SELECT 'recording', id FROM room_recordings WHERE status <> 'completed' AND room_id = %s",
                "SELECT 'room in Janus', id FROM media_rooms WHERE NOT closing AND room_id = %s",
            ]
            return [row for check in checks for row in self.query(check, room)]

        await until_in_thread(lambda: not open_ends(), SETTLES_WITHIN_SECS, f"{room}: nothing is open")
        kinds = [kind for kind, _ in self.events(room)]
        for begin, end in (("session.started", "session.ended"), ("participant.joined", "participant.left")):
            assert kinds.count(begin) == kinds.count(end), kinds
