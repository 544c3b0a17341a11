"""A participant of portico.client that sends and expects tones and colours: as tests.e2e.person, without a browser."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import av
import numpy as np

from portico.client import SELF, AudioFrame, Ended, Event, Participant, Publication, Room, Stream, VideoFrame
from portico.client.frames import FRAME_SAMPLES, FRAME_SECS, RATE
from tests.calls.colours import Colour, near
from tests.client.ear import Ear
from tests.waiting import until

TONES = (440, 700, 1000)
"""All tones of these tests, in hertz."""
WINDOW = 10
"""The number of frames of 20 ms that have to contain exactly the expected tones."""
PERCEIVES_WITHIN_SECS = 30.0
WIDTH, HEIGHT = 320, 180
PICTURES_PER_SEC = 10


class Sound:
    """An audio source: a tone that may change at any time; None is silence."""

    def __init__(self, hertz: int | None, gain: float = 0.5) -> None:
        self.hertz = hertz
        self.gain = gain
        self.count = 0

    async def audio_frames(self) -> AsyncIterator[AudioFrame]:
        while True:
            times = (self.count * FRAME_SAMPLES + np.arange(FRAME_SAMPLES)) / RATE
            samples = np.sin(2 * np.pi * (self.hertz or 0) * times) * self.gain * 32767
            yield AudioFrame(samples.astype("<i2").tobytes(), self.count * FRAME_SECS)
            self.count += 1


class Camera:
    """A video source: pictures of one colour, which may change at any time."""

    def __init__(self, colour: Colour) -> None:
        self.colour = colour

    async def video_frames(self) -> AsyncIterator[VideoFrame]:
        count = 0
        while True:
            yield VideoFrame(picture(self.colour), count / PICTURES_PER_SEC)
            count += 1


def picture(colour: Colour) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), colour, dtype=np.uint8), format="rgb24")


class Eye:
    """Decodes pictures in its context, and keeps the colour in the middle of the newest one."""

    def __init__(self, frames: AsyncIterator[VideoFrame]) -> None:
        self.count = 0
        self.colour: Colour = (-1, -1, -1)
        self._frames = frames
        self._task = asyncio.create_task(self._look())

    async def expect(self, colour: Colour) -> None:
        """Wait for a new picture of that colour."""
        seen = self.count

        def is_shown() -> bool:
            return self.count > seen and near(self.colour, colour)

        await until(is_shown, PERCEIVES_WITHIN_SECS, f"a picture in {colour}")

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        async for frame in self._frames:
            pixels = frame.image.to_ndarray(format="rgb24")
            red, green, blue = (int(part) for part in pixels[frame.height // 2, frame.width // 2])
            self.colour = red, green, blue
            self.count += 1


class Person:
    """A participant, from `async with` on. What it receives it goes on receiving until its end."""

    def __init__(self, room: Room, name: str) -> None:
        self.room = room
        self.name = name
        self.id = ""
        self.events: list[Event] = []
        """All events so far."""
        self._published: dict[str, tuple[Publication, Sound | None, Camera | None]] = {}
        self._ears: dict[tuple[str, str], Ear] = {}
        self._eyes: dict[tuple[str, str], Eye] = {}
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.room.__aenter__()
        self.id = self.room.me.id
        self._reader = asyncio.create_task(self._keep_events())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()
        for ear in self._ears.values():
            await ear.__aexit__(None, None, None)
        for eye in self._eyes.values():
            await eye.close()
        assert self._reader is not None
        await self._reader

    # Publishing.

    async def publish(self, key: str = SELF, *, tone: int | None = None, colour: Colour | None = None) -> None:
        """Publish a stream with a tone in hertz, pictures of one colour, or both."""
        sound = None if tone is None else Sound(tone)
        camera = None if colour is None else Camera(colour)
        publication = await self.room.publish(sound, camera, stream=key)
        self._published[key] = publication, sound, camera

    async def update(self, key: str = SELF, *, tone: int | None = None, colour: Colour | None = None) -> None:
        """Change the tracks of a stream; a track that is not named is switched off."""
        publication, sound, camera = self._published[key]
        if sound is not None:
            sound.hertz = tone if tone is not None else sound.hertz
        if camera is not None:
            camera.colour = colour if colour is not None else camera.colour
        await self.room.switch(publication, audio=tone is not None, video=colour is not None)

    async def remove_stream(self, key: str = SELF) -> None:
        await self.room.unpublish(self._published.pop(key)[0])

    async def leave(self) -> None:
        await self.room.leave()

    async def sent(self) -> int:
        """The number of audio packets sent so far, into the mix and in streams."""
        assert self.room._connection is not None
        peers = self.room._connection._peers
        reports = [report for peer in peers for report in (await peer._connection.getStats()).values()]
        return sum(one.packetsSent for one in reports if one.type == "outbound-rtp" and one.kind == "audio")

    # Receiving.

    async def expect_sight(self, of: "Person", colour: Colour, key: str = SELF) -> None:
        """Receive a stream's video, and wait for a new picture of that colour."""
        if (eye := self._eyes.get((of.id, key))) is None:
            eye = self._eyes[of.id, key] = Eye((await self.other(of)).video(key))
        await eye.expect(colour)

    async def expect_no_video(self, of: "Person", key: str = SELF) -> None:
        """Wait until the other's camera is switched off."""
        other = await self.other(of)
        await until(lambda: key in other.streams and not other.streams[key].video_enabled)

    async def expect_tones(self, of: "Person", *tones: int, key: str = SELF) -> None:
        """Receive a stream's audio, and wait until it has exactly these tones; none means silence."""
        if (ear := self._ears.get((of.id, key))) is None:
            ear = self._ears[of.id, key] = await self._ear((await self.other(of)).audio(key))
        await ear.expect(*tones)

    async def expect_mix(self, *tones: int) -> None:
        """Receive the mix, and wait until it has exactly these tones."""
        if (ear := self._ears.get(("", ""))) is None:
            ear = self._ears["", ""] = await self._ear(self.room.audio())
        await ear.expect(*tones)

    async def perceive(
        self, of: "Person", *, colour: Colour | None = None, tone: int | None = None, key: str = SELF
    ) -> None:
        """Wait until the colour and the tone of a stream, published before, are received."""
        if colour is not None:
            await self.expect_sight(of, colour, key)
        if tone is not None:
            await self.expect_tones(of, tone, key=key)

    async def other(self, person: "Person") -> Participant:
        """Wait for the participant, and return it as this one's client shows it."""

        def found() -> Participant | None:
            own = self.room.me
            return own if person is self else next((one for one in self.room.participants if one.id == person.id), None)

        return await until(found, what=f"{person.name} is here")

    async def stream(self, of: "Person", key: str = SELF) -> Stream:
        """Wait for the stream, and return it as this one's client shows it."""
        other = await self.other(of)
        return await until(lambda: other.streams.get(key), what=f"{of.name} publishes {key}")

    async def expect_muted(self, of: "Person", muted: bool, key: str = SELF) -> None:
        """Wait until the server has muted a stream, or unmuted it."""
        stream = await self.stream(of, key)
        await until(lambda: stream.muted is muted, what=f"muted is {muted} for {of.name}'s {key} at {self.name}")

    async def expect_unpublished(self, of: "Person", stream: Stream) -> None:
        """Wait until a stream of the other has ended."""
        other = await self.other(of)
        await until(lambda: stream not in other.streams.values(), what=f"{of.name}'s {stream.key} has ended")

    async def expect_left(self, other: "Person") -> None:
        """Wait until the other is no longer in the room."""
        await until(lambda: all(one.id != other.id for one in self.room.participants), what=f"{other.name} has left")

    async def expect_end(self) -> Ended:
        """Wait until the call is over for this one."""
        return await until(lambda: self.room.ended, what=f"the call is over for {self.name}")

    def happened(self, kind: type[Event], of: "Person") -> list[Event]:
        """The events of that kind so far that are about a participant."""
        found = [event for event in self.events if isinstance(event, kind)]
        return [event for event in found if getattr(event, "participant", None) and event.participant.id == of.id]  # type: ignore[union-attr]

    async def _ear(self, frames: AsyncIterator[AudioFrame]) -> Ear:
        return await Ear(frames, *TONES, window=WINDOW).__aenter__()

    async def _keep_events(self) -> None:
        async for event in self.room.events():
            self.events.append(event)
