"""Common parts of the client's tests: they join rooms, wait for events, and examine audio and pictures."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from portico.client import AudioFrame, Event, Room
from tests.gateway.conftest import Rooms

WITHIN_SECS = 40.0
T = TypeVar("T")


def client(rooms: Rooms, room_id: str, name: str, **options: Any) -> Room:
    """Make a client, which `async with` joins to the room."""
    return Room.join(rooms.server.base_url, room_id, rooms.token(room_id), context={"name": name}, **options)


def cut(room: Room) -> None:
    """Break the signaling socket of a client, as a lost network does."""
    assert room._connection is not None
    transport = room._connection.signaling._socket._response.connection.transport  # type: ignore[union-attr]
    assert transport is not None
    transport.abort()


async def next_of(events: AsyncIterator[Event], kind: type[T], **members: Any) -> T:
    """Wait for the next event of this kind with these members; skip others."""
    seen: list[Event] = []
    try:
        async with asyncio.timeout(WITHIN_SECS):
            async for event in events:
                seen.append(event)
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in members.items()):
                    return event
    except TimeoutError:
        raise AssertionError(f"no {kind.__name__} {members} among {seen}") from None
    raise AssertionError(f"no {kind.__name__} {members} before the end: {seen}")


async def listen(frames: AsyncIterator[AudioFrame], secs: float, *, within: float = WITHIN_SECS) -> NDArray[np.float64]:
    """Receive so many seconds of audio, as samples of which 1 is full scale."""
    pieces: list[bytes] = []
    async with asyncio.timeout(secs + within):
        while len(pieces) * 0.02 < secs:
            pieces.append((await anext(frames)).pcm)
    return np.frombuffer(b"".join(pieces), "<i2") / 32768


async def until_sound(
    frames: AsyncIterator[AudioFrame], hertz: int, *, there: bool = True, within: float = WITHIN_SECS
) -> None:
    """Wait until a tone is in the audio, or no longer is."""
    from tests.gateway.media_peer import level

    async with asyncio.timeout(within):
        while (level(await listen(frames, 0.2, within=within), hertz) > -35) is not there:
            pass
