"""Seats of a full room that nobody uses any more: their sockets are half-open, as after a hard loss of the network."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

ANSWER_SECS = 2.0
"""What a browser has to answer a ping, whose way there and back is a twentieth of it almost everywhere."""


class Seated(Protocol):
    """What is asked of a connection."""

    @property
    def family(self) -> str | None:
        """Of its token."""
        ...

    @property
    def has_seat(self) -> bool:
        """Whether its participant is in the room."""
        ...

    async def end_if_silent(self, within: float) -> bool:
        """End it unless its browser answers in so many seconds; True when its seat is free then."""
        ...


async def free(seated: Iterable[Seated], family: str | None) -> bool:
    """Free the seats of this token family whose sockets do not answer; whether there were any.

    Whoever answers keeps the seat, for applications may share one token among a whole room; and the holder of another
    token has no say about a seat. The seats of other processes are not asked: a room's people are in one.
    """
    if family is None:
        return False
    asked = [one.end_if_silent(ANSWER_SECS) for one in seated if one.has_seat and one.family == family]
    return any(await asyncio.gather(*asked))
