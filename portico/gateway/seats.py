"""Frees seats of a full room whose sockets are half-open, as after a sudden loss of the network."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

ANSWER_SECS = 2.0
"""How long a browser may take to answer a ping. Almost everywhere a round trip takes a twentieth of this."""


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
    of other grants are left alone, as another holder's token gives no right to them. All connections of a room are in
    one process, so no other process is asked.
    """
    if grant_id is None:
        return False
    pings = [one.end_if_silent(ANSWER_SECS) for one in connections if one.has_seat and one.grant_id == grant_id]
    return any(await asyncio.gather(*pings))
