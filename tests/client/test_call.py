"""Two clients in one room of a real server: what one publishes, the other receives."""

import asyncio
from fractions import Fraction
from typing import Any

import av

from portico.client import (
    SCREEN,
    EncodedFrame,
    Joined,
    Left,
    Message,
    Packets,
    Picture,
    Published,
    Tone,
    Unpublished,
    Updated,
)
from tests.client.parts import WITHIN_SECS, client, listen, next_of, until_sound
from tests.gateway.conftest import Rooms
from tests.gateway.media_peer import level, noise


def h264() -> list[EncodedFrame]:
    """A second of pictures that are encoded already, as a camera with an encoder of its own has them."""
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 320, 240, "yuv420p", Fraction(1, 10)
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
    frames = []
    for number in range(10):
        image = av.VideoFrame(320, 240, "yuv420p")
        image.pts = number
        data = b"".join(bytes(packet) for packet in codec.encode(image))
        frames.append(EncodedFrame(data, number / 10, "h264", number == 0))
    return frames


async def test_two_clients_receive_the_sound_pictures_and_messages_of_each_other(rooms: Rooms) -> None:
    room_id = rooms.create()
    async with client(rooms, room_id, "Anna") as anna, client(rooms, room_id, "Ben") as ben:
        camera = await anna.publish(audio=Tone(440), video=Picture(320, 180, 15))
        # Before he reads the mix, which the server then has to offer.
        await ben.publish(audio=Tone(1000), video=Packets(h264()))
        events = ben.events()
        joined = await next_of(events, Joined)
        published = await next_of(events, Published)
        person = published.participant
        assert (joined.participant.name, person, published.stream.key) == ("Anna", joined.participant, "self")
        assert (published.stream.has_audio, published.stream.has_video) == (True, True)

        voice, mix = person.audio(), ben.audio()
        await until_sound(voice, 440)
        await until_sound(mix, 440)
        assert noise(await listen(mix, 0.5), 440) < -40
        assert level(await listen(mix, 0.3), 1000) < -40, "his own voice is not in what Ben receives"
        async with asyncio.timeout(WITHIN_SECS):
            picture = await anext(person.video())
            assert (picture.width, picture.height) == (320, 180)
            (other,) = anna.participants
            encoded = await anext(other.encoded("video"))
            picture = await anext(other.video())
            assert (encoded.codec, picture.width, picture.height) == ("h264", 320, 240)

        screen = await anna.share_screen(Picture(640, 360, 5))
        shared = await next_of(events, Published)
        assert (shared.stream.key, shared.stream.has_audio) == (SCREEN, False)
        async with asyncio.timeout(WITHIN_SECS):
            assert (await anext(person.video(SCREEN))).width == 640
        await anna.switch(camera, video=False)
        assert (await next_of(events, Updated)).stream.video_enabled is False
        await anna.unpublish(screen)
        assert (await next_of(events, Unpublished)).stream is shared.stream

        await anna.send("hello", to=[one for one in anna.participants if one.name == "Ben"])
        message = await next_of(events, Message)
        assert (message.participant, message.text, message.to) == (person, "hello", (ben.me.id,))
        assert [one.name for one in ben.participants] == ["Anna"]
        await anna.leave()
        assert (await next_of(events, Left)).participant is person
        async with asyncio.timeout(WITHIN_SECS):
            async for _ in voice:
                pass  # it ends, because she has left
