"""Finds out whether a room exists before a socket is accepted. One read at a time serves all waiting sockets."""

import asyncio
from collections import OrderedDict
from functools import partial

from portico.db.engine import Database
from portico.services import rooms

_KNOWN_MAX = 10_000
_AT_ONCE_MAX = 200
"""The most rooms that one read asks for."""


class KnownRooms:
    """Remembers the rooms that exist. A deleted room keeps its row, so it stays known. Other ids are read each time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: OrderedDict[str, None] = OrderedDict()
        self._wanted: dict[str, asyncio.Future[bool]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def exists(self, room_id: str) -> bool:
        """Whether a room with this id exists or existed. Raises the errors of the database."""
        if room_id in self._known:
            self._known.move_to_end(room_id)
            return True
        answer = self._wanted.get(room_id)
        if answer is None:
            answer = self._wanted[room_id] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(answer)

    async def _read(self) -> None:
        while self._wanted:
            batch = {room_id: self._wanted.pop(room_id) for room_id in list(self._wanted)[:_AT_ONCE_MAX]}
            try:
                found = await self._db.read(partial(rooms.existing, room_ids=list(batch)))
            except Exception as error:  # noqa: BLE001  each socket that waits raises it
                for answer in batch.values():
                    answer.set_exception(error)
                    answer.exception()  # counts as retrieved, as the socket that waits may be closed
                continue
            for room_id, answer in batch.items():
                answer.set_result(room_id in found)
            self._known.update(dict.fromkeys(found))
            while len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
        self._reading = None
