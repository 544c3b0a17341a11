"""A media file as a source. It is read in a thread of its own, a few frames ahead."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import av

from portico.client.errors import SourceFailed
from portico.client.frames import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECS, RATE, AudioFrame, VideoFrame

T = TypeVar("T")
AHEAD = 10
"""Frames that the thread reads before the first of them is sent."""


class FilePlayer:
    """Plays a file of any format that FFmpeg reads: `publish(audio=player, video=player)`.

    Audio and video each begin when they are published; published together they are synchronous.
    """

    def __init__(self, path: str | Path, *, loop: bool = False) -> None:
        """With `loop` the file begins again after its end."""
        self.path = Path(path)
        self._loop = loop

    def audio_frames(self) -> AsyncIterator[AudioFrame]:
        """The sound of the file. Raises SourceFailed."""
        return _in_thread(self._repeated(self._sounds))

    def video_frames(self) -> AsyncIterator[VideoFrame]:
        """The pictures of the file. Raises SourceFailed."""
        return _in_thread(self._repeated(self._pictures))

    def _repeated(self, play: Callable[[float], Iterator[Any]]) -> Iterator[Any]:
        time = 0.0
        while True:
            frame = None
            for frame in play(time):
                yield frame
            if frame is None:
                raise SourceFailed(f"{self.path} has no frame to play")
            if not self._loop:
                return
            time = frame.time + FRAME_SECS

    def _sounds(self, begin: float) -> Iterator[AudioFrame]:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=FRAME_SAMPLES)
        count = 0
        with self._open() as container:
            if not container.streams.audio:
                raise SourceFailed(f"{self.path} has no audio")
            for sound in _with_end(container.decode(audio=0)):
                for piece in resampler.resample(sound):
                    pcm = bytes(piece.planes[0])[: piece.samples * 2].ljust(FRAME_BYTES, b"\0")
                    yield AudioFrame(pcm, begin + count * FRAME_SECS)
                    count += 1

    def _pictures(self, begin: float) -> Iterator[VideoFrame]:
        with self._open() as container:
            if not container.streams.video:
                raise SourceFailed(f"{self.path} has no video")
            first: float | None = None
            for image in container.decode(video=0):
                time = image.time or 0.0
                first = time if first is None else first
                yield VideoFrame(image, begin + time - first)

    def _open(self) -> Any:
        try:
            return av.open(str(self.path))
        except (av.FFmpegError, OSError) as error:
            raise SourceFailed(f"{self.path} cannot be played: {error}") from error


def _with_end(frames: Iterator[T]) -> Iterator[T | None]:
    yield from frames
    yield None  # has the resampler give what it holds


async def _in_thread(frames: Iterator[T]) -> AsyncIterator[T]:
    """Iterate over a blocking iterator in a thread of its own, at most AHEAD items ahead."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="portico-file") as executor:
        while piece := await loop.run_in_executor(executor, lambda: list(islice(frames, AHEAD))):
            for frame in piece:
                yield frame
