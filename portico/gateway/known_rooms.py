"""Whether a room exists, before a socket for it is accepted: at most one read at a time, for all who wait."""

import asyncio
from collections import OrderedDict
from functools import partial

from portico.db.engine import Database
from portico.services import rooms

_KNOWN_MAX = 10_000
_AT_ONCE_MAX = 200
"""Rooms that one read asks for."""


class KnownRooms:
    """Remembers rooms that exist; a room's row stays when the room is deleted. Any other is looked up every time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: OrderedDict[str, None] = OrderedDict()
        self._wanted: dict[str, asyncio.Future[bool]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def exists(self, room_id: str) -> bool:
        """Whether there is, or was, such a room. Raises what the database raises."""
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
            except Exception as error:  # noqa: BLE001  whoever asked gets it
                for answer in batch.values():
                    answer.set_exception(error)
                    answer.exception()  # whoever asked may be gone
                continue
            for room_id, answer in batch.items():
                answer.set_result(room_id in found)
            self._known.update(dict.fromkeys(found))
            while len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
        self._reading = None
