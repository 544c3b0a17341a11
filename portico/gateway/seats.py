"""Frees seats of a full room whose sockets are half-open, as after a sudden loss of the network."""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Protocol

from portico.db.engine import Database
from portico.db.outage import faults_logged
from portico.services import seats

ANSWER_SECS = 2.0
"""How long a browser may take to answer a ping. Almost everywhere a round trip takes a twentieth of this."""
ELSEWHERE_SECS = 5.0
"""How long another gateway may take to ping, with the time in which it reads that it has to, and writes the leave."""
LOOK_SECS = 0.1
"""Pause between two reads of what another gateway has written."""


class SeatedConnection(Protocol):
    """A connection, as far as its seat is concerned."""

    @property
    def grant_id(self) -> str | None:
        """The grant id of the token that was accepted last; None before the first."""
        ...

    @property
    def has_seat(self) -> bool:
        """Whether the participant of the connection is in the room."""
        ...

    async def end_if_silent(self, within: float) -> bool:
        """End the connection unless its browser answers a ping in `within` seconds; True if its seat is free then."""
        ...


async def free(connections: Iterable[SeatedConnection], grant_id: str | None) -> bool:
    """Free the seats of this grant whose browsers do not answer a ping; True if at least one is free now.

    A browser that answers keeps its seat: an application may share one token among all participants of a room. Seats
    of other grants are left alone, as another holder's token gives no right to them.
    """
    if grant_id is None:
        return False
    pings = [one.end_if_silent(ANSWER_SECS) for one in connections if one.has_seat and one.grant_id == grant_id]
    return any(await asyncio.gather(*pings))


class SeatsElsewhere:
    """Frees seats on other gateways, which read in rows that they have to ping."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._clock = clock
        self._asking: dict[tuple[str, str], asyncio.Task[bool]] = {}  # by room and grant

    async def free(self, room_id: str, grant_id: str, gateway_id: str) -> bool:
        """As `free`, for the gateway with this id. Connections that ask at the same time share one request."""
        key = room_id, grant_id
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(room_id, grant_id, gateway_id))
            asking.add_done_callback(lambda _: self._asking.pop(key))
        return await asyncio.shield(asking)

    async def _ask(self, room_id: str, grant_id: str, gateway_id: str) -> bool:
        find = partial(seats.holders_elsewhere, room_id=room_id, grant_id=grant_id, gateway_id=gateway_id)
        if not await self._db.read(find):
            return False
        request = partial(seats.request_pings, room_id=room_id, grant_id=grant_id, gateway_id=gateway_id)
        asked = await self._db.write(partial(request, now=self._clock()))
        ends_at = time.monotonic() + ELSEWHERE_SECS
        while asked and time.monotonic() < ends_at:
            await asyncio.sleep(LOOK_SECS)
            pings = await self._db.read(partial(seats.look, participant_ids=asked))
            if pings.is_seat_free or not pings.are_waiting:
                return pings.is_seat_free
        return False


async def answer(connection: SeatedConnection, db: Database, participant_id: str, requested_at: datetime) -> None:
    """Ping the browser of a connection for the gateway that has requested it, and write that it answers."""
    if not await connection.end_if_silent(ANSWER_SECS):
        with faults_logged("answer to a ping not written"):
            await db.write(partial(seats.note_answer, participant_id=participant_id, requested_at=requested_at))
