"""Sources of audio and video to publish: tones, pictures, files, live sound, and frames that are encoded already.

The times of a source's frames begin at any value and increase; the publication sends each frame when its time comes.
Whatever has `audio_frames()` or `video_frames()` is a source, and so is an asynchronous iterable of frames.
"""

import asyncio
import math
from array import array
from collections.abc import AsyncIterator, Callable
from typing import Protocol, runtime_checkable

import av

from portico.client.errors import SourceFailed
from portico.client.frames import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECS, RATE, AudioFrame, EncodedFrame, VideoFrame
from portico.client.queues import DroppingQueue


@runtime_checkable
class AudioSource(Protocol):
    """A source of sound."""

    def audio_frames(self) -> AsyncIterator[AudioFrame | EncodedFrame]:
        """The frames from now on, each 20 ms long."""
        ...


@runtime_checkable
class VideoSource(Protocol):
    """A source of pictures."""

    def video_frames(self) -> AsyncIterator[VideoFrame | EncodedFrame]:
        """The frames from now on."""
        ...


class Tone:
    """A sine tone. `amplitude` is 0 to 1, and may be changed at any time."""

    def __init__(self, hertz: float, amplitude: float = 0.3) -> None:
        self.hertz = hertz
        self.amplitude = amplitude

    async def audio_frames(self) -> AsyncIterator[AudioFrame]:
        """The tone, without end."""
        turn = 2 * math.pi * self.hertz / RATE
        # A period of the tone that ends with a whole frame, so that each frame is computed once.
        whole = FRAME_SAMPLES * self.hertz / RATE
        period = next((n for n in range(1, 101) if abs(whole * n - round(whole * n)) < 1e-9), 0)
        known: dict[tuple[int, float], bytes] = {}
        count = 0
        while True:
            key = count % period if period else count, self.amplitude
            if (pcm := known.get(key)) is None:
                loud, first = self.amplitude * 32767, count * FRAME_SAMPLES
                pcm = array("h", (round(loud * math.sin(turn * (first + at))) for at in range(FRAME_SAMPLES))).tobytes()
                if period:
                    if len(known) > 200:
                        known.clear()
                    known[key] = pcm
            yield AudioFrame(pcm, count * FRAME_SECS)
            count += 1


class Picture:
    """Pictures that a function draws: `draw(number, time)` returns an av.VideoFrame; without one, moving grey bars."""

    def __init__(
        self,
        width: int = 320,
        height: int = 180,
        rate: float = 15.0,
        draw: Callable[[int, float], av.VideoFrame] | None = None,
    ) -> None:
        """`rate` is pictures per second."""
        self.width, self.height, self.rate = width, height, rate
        self._draw = draw or self._bars

    async def video_frames(self) -> AsyncIterator[VideoFrame]:
        """The pictures, without end."""
        number = 0
        while True:
            yield VideoFrame(self._draw(number, number / self.rate), number / self.rate)
            number += 1

    def _bars(self, number: int, time: float) -> av.VideoFrame:
        image = av.VideoFrame(self.width, self.height, "yuv420p")
        luma, *chroma = image.planes
        row = bytes((at + number * 4) & 0xFF for at in range(luma.line_size))
        luma.update(row * luma.height)
        for plane in chroma:
            plane.update(b"\x80" * plane.buffer_size)
        return image


class LiveAudio:
    """Audio that the program writes during the call, such as the voice of a bot."""

    def __init__(self, secs: float = 10.0) -> None:
        """`secs` is the length of the queue; audio beyond it drops the oldest."""
        self._frames: DroppingQueue[bytes] = DroppingQueue(max(1, round(secs / FRAME_SECS)))
        self._rest = b""

    def write(self, pcm: bytes) -> None:
        """Add sound: samples of 16 bits, 48 kHz, mono, of any length."""
        data = self._rest + pcm
        end = len(data) - len(data) % FRAME_BYTES
        self._rest = data[end:]
        for at in range(0, end, FRAME_BYTES):
            self._frames.put(data[at : at + FRAME_BYTES])

    @property
    def waiting(self) -> float:
        """Seconds of sound that are not sent yet."""
        return len(self._frames) * FRAME_SECS

    def clear(self) -> None:
        """Drop the audio that is not sent yet, as an interruption does."""
        self._rest = b""
        self._frames.clear()

    def close(self) -> None:
        """End the source once the queued audio is sent."""
        self._frames.close()

    async def audio_frames(self) -> AsyncIterator[AudioFrame]:
        """The written audio in frames; a pause between two writes is a step in the frames' times."""
        loop = asyncio.get_running_loop()
        began, time = loop.time(), 0.0
        while (pcm := await self._frames.get()) is not None:
            time = max(time, loop.time() - began)
            yield AudioFrame(pcm, time)
            time += FRAME_SECS


class Packets:
    """Repeats encoded frames without end, so that the client encodes nothing. The first must be a key frame."""

    def __init__(self, frames: list[EncodedFrame], *, loop: bool = True) -> None:
        if not frames:
            raise SourceFailed("there are no frames")
        self.frames = frames
        self.codec = frames[0].codec
        self._loop = loop

    async def _all(self) -> AsyncIterator[EncodedFrame]:
        first, last = self.frames[0].time, self.frames[-1].time
        step = (last - first) / (len(self.frames) - 1) if len(self.frames) > 1 else FRAME_SECS
        offset = -first
        while True:
            for frame in self.frames:
                yield EncodedFrame(frame.data, frame.time + offset, frame.codec, frame.keyframe)
            if not self._loop:
                return
            offset += last - first + step

    def audio_frames(self) -> AsyncIterator[EncodedFrame]:
        """The frames, for a publication's `audio`."""
        return self._all()

    def video_frames(self) -> AsyncIterator[EncodedFrame]:
        """The frames, for a publication's `video`."""
        return self._all()
