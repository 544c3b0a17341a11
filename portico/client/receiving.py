"""Takes encoded frames from aiortc's receivers, in place of aiortc's decoding threads."""

import asyncio
from dataclasses import replace
from typing import Any

from portico.client.frames import EncodedFrame
from portico.client.packets import PictureBuffer, Reorder, begins_picture, is_keyframe
from portico.client.queues import DroppingQueue

WAITING_MAX = {"audio": 50, "video": 60}
"""The lengths of a reader's queue in encoded frames: 1 s of audio and 2 s of video."""
ASK_AGAIN_SECS = 1.0
"""From one request for a key frame to the next, until one arrives."""


class Received:
    """Passes the encoded frames of one received track to its readers. Without a reader they are dropped."""

    def __init__(self, kind: str, receiver: Any) -> None:
        self.kind = kind
        self._receiver = receiver
        self._readers: set[DroppingQueue[EncodedFrame]] = set()
        self._is_closed = False
        self._behind: set[DroppingQueue[EncodedFrame]] = set()
        self._asked_at: float | None = None
        self._clock = MediaClock(48_000 if kind == "audio" else 90_000)

    def open(self) -> DroppingQueue[EncodedFrame]:
        """A new reader's queue. It is closed when the track ends."""
        queue: DroppingQueue[EncodedFrame] = DroppingQueue(WAITING_MAX[self.kind])
        self._readers.add(queue)
        if self.kind == "video":
            self.request_keyframe()
        if self._is_closed:
            queue.close()
        return queue

    def end(self, queue: DroppingQueue[EncodedFrame]) -> None:
        """Remove a reader."""
        self._readers.discard(queue)
        self._behind.discard(queue)

    def close(self) -> None:
        """End the track. Readers take the frames in their queues, and then end."""
        self._is_closed = True
        for queue in self._readers:
            queue.close()

    def take(self, data: bytes, timestamp: int, codec: str, *, gap: bool = False) -> None:
        """Pass one frame to all readers. `gap` says that frames before it are lost."""
        time = self._clock.seconds(timestamp)
        if not self._readers:
            return
        now = asyncio.get_running_loop().time()
        frame = EncodedFrame(data, time, codec, self.kind == "audio" or is_keyframe(codec, data), now, gap)
        if self.kind == "video":
            self._ask_again(frame, now)
        for queue in self._readers:
            if queue in self._behind and not frame.keyframe:
                continue
            self._behind.discard(queue)
            if not queue.put(frame) and self.kind == "video":
                # Later pictures depend on the dropped one: the reader goes on with the next key frame.
                queue.clear()
                self._behind.add(queue)
                self.request_keyframe()

    def request_keyframe(self) -> None:
        """Ask the sender of the video for a key frame, now and until one arrives."""
        self._receiver._RTCRtpReceiver__decoder_error.set()
        self._asked_at = asyncio.get_running_loop().time()

    def _ask_again(self, frame: EncodedFrame, now: float) -> None:
        """Repeat the request for a key frame while none arrives, because a request may be lost, too."""
        if frame.keyframe:
            self._asked_at = None
        elif frame.gap or (self._asked_at is not None and now - self._asked_at > ASK_AGAIN_SECS):
            self.request_keyframe()


class MediaClock:
    """Turns the 32-bit timestamps of RTP, which wrap, into seconds since the first one. Pure."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._last: int | None = None
        self._ticks = 0

    def seconds(self, timestamp: int) -> float:
        """The time of a frame."""
        if self._last is not None:
            step = (timestamp - self._last) & 0xFFFFFFFF
            self._ticks += step if step < 1 << 31 else step - (1 << 32)
        self._last = timestamp & 0xFFFFFFFF
        return self._ticks / self._rate


class Continued:
    """Gives a reader one continuous clock over successive tracks, for example before and after a rejoin. Pure."""

    def __init__(self) -> None:
        self._offset: float | None = 0.0
        self._first: EncodedFrame | None = None
        self._last = 0.0

    def begin(self) -> None:
        """Note that the next frame is the first of another track."""
        self._offset = None if self._first is not None else 0.0

    def moved(self, frame: EncodedFrame) -> EncodedFrame:
        """The frame, with the time that passed since the reader's first frame."""
        first = self._first = self._first or frame
        if self._offset is None:
            passed = first.time + frame.arrived - first.arrived
            self._offset = max(passed, self._last) - frame.time
        if self._offset:
            frame = replace(frame, time=frame.time + self._offset)
        self._last = frame.time
        return frame


class _AudioBuffer:
    """Stands in for aiortc's jitter buffer of an audio track: hands each packet on as soon as it is next."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._reorder = Reorder()

    def add(self, packet: Any) -> tuple[bool, None]:
        for one in self._reorder.add(packet.sequence_number, packet):
            if one._data:
                self._received.take(one._data, one.timestamp, "opus")
        return False, None


class _VideoBuffer:
    """Stands in for aiortc's buffer of a video track, which waits for a lost packet until 512 later ones are there."""

    def __init__(self, received: Received, codecs: dict[int, Any]) -> None:
        self._received = received
        self._codecs = codecs
        self._pictures = PictureBuffer(lambda packet: begins_picture(self._codec(packet), packet.payload))

    def add(self, packet: Any) -> tuple[bool, None]:
        pictures = self._pictures.add(packet, asyncio.get_running_loop().time())
        for data, timestamp, gap in pictures:
            self._received.take(data, timestamp, self._codec(packet), gap=gap)
        return False, None

    def _codec(self, packet: Any) -> str:
        name: str = self._codecs[packet.payload_type].name
        return name.lower()


class _DecoderQueue:
    """Stands in for the queue towards aiortc's decoding thread, which ends at once because it gets nothing."""

    def put(self, item: Any) -> None:
        return None

    def get(self) -> None:
        return None


def take_over(receiver: Any) -> Received:
    """Receive the encoded frames of an RTCRtpReceiver, whose first packet has not arrived yet."""
    received = Received(receiver.track.kind, receiver)
    receiver._RTCRtpReceiver__decoder_queue = _DecoderQueue()
    codecs = receiver._RTCRtpReceiver__codecs
    buffer: Any = _AudioBuffer(received) if received.kind == "audio" else _VideoBuffer(received, codecs)
    receiver._RTCRtpReceiver__jitter_buffer = buffer
    return received
