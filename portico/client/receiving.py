"""Takes encoded frames from aiortc's receivers, in place of aiortc's decoding threads."""

import asyncio
from dataclasses import replace
from typing import Any

from portico.client.frames import EncodedFrame
from portico.client.queues import DroppingQueue

WAITING_MAX = {"audio": 50, "video": 60}
"""The lengths of a reader's queue in encoded frames: 1 s of audio and 2 s of video."""
REORDER_MAX = 3
"""Later packets of audio that are held while one is missing: 60 ms."""


class Received:
    """Passes the encoded frames of one received track to its readers. Without a reader they are dropped."""

    def __init__(self, kind: str, receiver: Any) -> None:
        self.kind = kind
        self._receiver = receiver
        self._readers: set[DroppingQueue[EncodedFrame]] = set()
        self._is_closed = False
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

    def close(self) -> None:
        """End the track. Readers take the frames in their queues, and then end."""
        self._is_closed = True
        for queue in self._readers:
            queue.close()

    def take(self, data: bytes, timestamp: int, codec: str) -> None:
        """Pass one frame to all readers."""
        time = self._clock.seconds(timestamp)
        if not self._readers:
            return
        now = asyncio.get_running_loop().time()
        frame = EncodedFrame(data, time, codec, self.kind == "audio" or is_keyframe(codec, data), now)
        for queue in self._readers:
            if not queue.put(frame) and self.kind == "video":
                # Later pictures depend on the dropped one.
                queue.clear()
                self.request_keyframe()

    def request_keyframe(self) -> None:
        """Ask the sender of the video for a key frame."""
        self._receiver._RTCRtpReceiver__decoder_error.set()


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


class Reorder:
    """Sorts packets: holds up to REORDER_MAX later packets while one is missing. Pure.

    aiortc's own buffer waits for 16 packets, which is 320 ms without sound for each lost one.
    """

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, Any] = {}

    def add(self, number: int, packet: Any) -> list[Any]:
        """The packets that are next, when the packet with this 16-bit sequence number arrives."""
        if self._next is None:
            self._next = number
        ahead = (number - self._next) & 0xFFFF
        if ahead >= 0x8000:
            if 0x10000 - ahead < 1000:
                return []  # late or repeated
            self._held.clear()
            self._next, ahead = number, 0
        elif ahead > 1000:
            self._held.clear()
            self._next = number
        self._held[number] = packet
        if len(self._held) > REORDER_MAX:
            missing = self._next
            self._next = min(self._held, key=lambda one: (one - missing) & 0xFFFF)
        ready = []
        while (packet := self._held.pop(self._next, None)) is not None:
            ready.append(packet)
            self._next = (self._next + 1) & 0xFFFF
        return ready


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


class _DecoderQueue:
    """Stands in for the queue towards aiortc's decoding thread, which ends at once because it gets nothing."""

    def __init__(self, received: Received) -> None:
        self._received = received

    def put(self, item: Any) -> None:
        if item is not None:
            codec, frame = item
            self._received.take(frame.data, frame.timestamp, codec.name.lower())

    def get(self) -> None:
        return None


def take_over(receiver: Any) -> Received:
    """Receive the encoded frames of an RTCRtpReceiver, whose first packet has not arrived yet."""
    received = Received(receiver.track.kind, receiver)
    receiver._RTCRtpReceiver__decoder_queue = _DecoderQueue(received)
    if received.kind == "audio":
        receiver._RTCRtpReceiver__jitter_buffer = _AudioBuffer(received)
    return received


def is_keyframe(codec: str, data: bytes) -> bool:
    """Whether a picture can be decoded without earlier ones."""
    if codec == "vp8":
        return bool(data) and not data[0] & 1
    if codec == "h264":
        return any(data[at + 4] & 31 in (5, 7) for at in _starts(data) if at + 4 < len(data))
    return True


def _starts(data: bytes) -> list[int]:
    found, at = [], data.find(b"\0\0\0\1")
    while at >= 0:
        found.append(at)
        at = data.find(b"\0\0\0\1", at + 4)
    return found
