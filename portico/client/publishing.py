"""One published stream: reads its sources, encodes each frame once, and sends it to the room and into the mix."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor
from typing import Any

from portico.client.coding import OpusEncoder, Vp8Encoder
from portico.client.errors import SourceFailed
from portico.client.frames import AudioFrame, EncodedFrame, VideoFrame
from portico.client.outgoing import OutgoingTrack

VIDEO_CODECS = ("vp8", "h264")
"""What rooms have. Video that is not encoded yet is sent as the first."""
BEHIND_MAX_SECS = 0.5
"""When a source is later than this, its clock is moved; otherwise its frames are sent faster to catch up."""


class Pump:
    """Reads one source at its own pace and sends each encoded frame to all present outputs."""

    def __init__(self, frames: AsyncIterator[Any], encode: Callable[[Any], Any], codec: str) -> None:
        """`encode` returns the EncodedFrame of a frame, or None for none, or a coroutine that returns one of these.

        `codec` is that of the track.
        """
        self._frames = frames
        self._encode = encode
        self._codec = codec
        self.outputs: set[OutgoingTrack] = set()
        self.is_on = True
        """Whether frames are sent. If not, they are read and dropped."""

    async def run(self) -> None:
        """Send until the source ends."""
        loop = asyncio.get_running_loop()
        began: float | None = None
        async with contextlib.AsyncExitStack() as stack:
            if hasattr(self._frames, "aclose"):
                stack.push_async_callback(self._frames.aclose)
            async for frame in self._frames:
                if began is None:
                    began = loop.time() - frame.time
                early = began + frame.time - loop.time()
                if early > 0:
                    await asyncio.sleep(early)
                elif early < -BEHIND_MAX_SECS:
                    began -= early
                if self.is_on and self.outputs:
                    await self._send(frame, began + frame.time)

    async def _send(self, frame: Any, due: float) -> None:
        encoded = frame if isinstance(frame, EncodedFrame) else self._encode(frame)
        if encoded is frame and frame.codec != self._codec:
            raise SourceFailed(f"a frame of {frame.codec} is in a track of {self._codec}: a source's `codec` names it")
        if asyncio.iscoroutine(encoded):
            encoded = await encoded
        if encoded is not None:
            for track in self.outputs:
                track.send(encoded, due)


class Publication:
    """A stream of this client. It lasts until `end`, also when connections are lost."""

    def __init__(
        self,
        key: str,
        stream_id: str,
        audio: AsyncIterator[AudioFrame | EncodedFrame] | None,
        video: AsyncIterator[VideoFrame | EncodedFrame] | None,
        executor: Executor,
        bitrate: int,
        codec: str = "",
    ) -> None:
        """`codec` names the codec of video that is encoded already; other video is encoded as VP8."""
        if audio is None and video is None:
            raise SourceFailed("a stream needs audio or video")
        if codec not in ("", *VIDEO_CODECS):
            raise SourceFailed(f"video is {' or '.join(VIDEO_CODECS)}, not {codec}")
        self.key = key
        self.id = stream_id
        """Of the stream in the session: another one after a rejoin."""
        self.bitrate = bitrate
        self.codec = codec
        self._executor = executor
        self._opus = OpusEncoder() if audio is not None else None
        self._vp8 = Vp8Encoder(bitrate)
        self.audio = Pump(audio, self._encode_audio, "opus") if audio is not None else None
        self.video = Pump(video, self._encode_video, codec or "vp8") if video is not None else None
        self._tasks: list[asyncio.Task[None]] = []
        self.failure: BaseException | None = None
        """The exception that ended a source; None while there is none."""

    @property
    def kinds(self) -> list[str]:
        """The kinds of its tracks, "audio" and "video"."""
        return [kind for kind, pump in (("audio", self.audio), ("video", self.video)) if pump is not None]

    def start(self) -> None:
        """Begin to read the sources."""
        for pump in (self.audio, self.video):
            if pump is not None:
                task = asyncio.create_task(pump.run())
                task.add_done_callback(self._note_end)
                self._tasks.append(task)

    async def finished(self) -> None:
        """Wait until all sources have ended. Raises SourceFailed when one broke."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.failure is not None:
            raise SourceFailed(f"a source failed: {self.failure!r}") from self.failure

    async def end(self) -> None:
        """Stop reading the sources."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def attach(self, kind: str, track: OutgoingTrack, sender: Any) -> None:
        """Send to this track as well. `sender` is its RTCRtpSender, whose requests for key frames reach the encoder."""
        pump = self.audio if kind == "audio" else self.video
        assert pump is not None
        pump.outputs.add(track)
        if kind == "video":
            sender._send_keyframe = self._vp8.request_keyframe
            self._vp8.request_keyframe()

    def detach(self, tracks: Iterable[OutgoingTrack]) -> None:
        """Stop sending to these tracks."""
        for pump in (self.audio, self.video):
            if pump is not None:
                pump.outputs -= set(tracks)

    def _encode_audio(self, frame: AudioFrame) -> EncodedFrame | None:
        assert self._opus is not None
        return self._opus.encode(frame)

    async def _encode_video(self, frame: VideoFrame) -> EncodedFrame | None:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._vp8.encode, frame)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = self.failure or error
