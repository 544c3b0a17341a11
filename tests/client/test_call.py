"""Two clients in one room of a real server: what one publishes, the other receives."""

import asyncio
from typing import Any

import numpy as np

from portico.client import Joined, Left, Message, Picture, Published, Room, Tone, Unpublished
from tests.gateway.conftest import Rooms
from tests.gateway.media_peer import level, noise


async def first(room: Room, kind: type[Any]) -> Any:
    """The next event of this kind."""
    async with asyncio.timeout(20):
        async for event in room.events():
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind.__name__} arrived")


async def listen(frames: Any, secs: float) -> Any:
    """So many seconds of sound, as samples of which 1 is full scale."""
    pieces: list[bytes] = []
    async with asyncio.timeout(secs + 20):
        async for frame in frames:
            pieces.append(frame.pcm)
            if len(pieces) * 0.02 >= secs:
                break
    return np.frombuffer(b"".join(pieces), "<i2") / 32768


async def test_two_clients_receive_the_sound_pictures_and_messages_of_each_other(rooms: Rooms) -> None:
    room_id = rooms.create()
    base_url = rooms.server.base_url
    anna = Room.join(base_url, room_id, rooms.token(room_id), context={"name": "Anna"})
    ben = Room.join(base_url, room_id, rooms.token(room_id), context={"name": "Ben"})
    async with anna, ben:
        await anna.publish(audio=Tone(440), video=Picture(320, 180, 15))
        events = ben.events()
        joined = await anext(events)
        assert isinstance(joined, Joined)
        assert joined.participant.name == "Anna"
        published = await anext(events)
        assert isinstance(published, Published)
        person = published.participant
        assert (published.stream.has_audio, published.stream.has_video) == (True, True)
        await listen(person.audio(), 0.3)  # the beginning, while the sound comes in
        sound = await listen(person.audio(), 0.5)
        assert level(sound, 440) > -20
        async with asyncio.timeout(20):
            async for picture in person.video():
                assert (picture.width, picture.height) == (320, 180)
                break
        await listen(ben.audio(), 0.5)
        mix = await listen(ben.audio(), 0.5)
        assert level(mix, 440) > -30
        assert noise(mix, 440) < -40
        await anna.send("hello")
        while not isinstance(event := await anext(events), Message):
            pass
        assert (event.participant.name, event.text) == ("Anna", "hello")
        assert [one.name for one in ben.participants] == ["Anna"]
        await anna.leave()
        assert isinstance(await anext(events), Unpublished)
        left = await anext(events)
        assert isinstance(left, Left)
        assert left.participant is person
