"""Frames of audio and video, decoded or encoded, each with its time on the sender's clock."""

from dataclasses import dataclass

import av

RATE = 48_000
"""Samples per second of all audio."""
FRAME_SAMPLES = 960
"""Samples of an AudioFrame: 20 ms."""
FRAME_BYTES = FRAME_SAMPLES * 2
FRAME_SECS = FRAME_SAMPLES / RATE


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """20 ms of sound: 960 samples of 16 bits (little endian), 48 kHz, mono."""

    pcm: bytes
    time: float
    """Seconds on the sender's clock since the first frame. A step of more than 0.02 means that packets were lost."""
    arrived: float = 0.0
    """When it arrived, by the event loop's clock; 0 for a frame that was not received."""

    @property
    def samples(self) -> memoryview:
        """The samples as integers from -32768 to 32767; `numpy.frombuffer(frame.pcm, "<i2")` reads them, too."""
        return memoryview(self.pcm).cast("h")


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One picture."""

    image: av.VideoFrame
    time: float
    """Seconds on the sender's clock since the first frame."""
    arrived: float = 0.0
    """When it arrived, by the event loop's clock; 0 for a frame that was not received."""

    @property
    def width(self) -> int:
        """The width of the picture in pixels."""
        return self.image.width

    @property
    def height(self) -> int:
        """The height of the picture in pixels."""
        return self.image.height


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One encoded frame: of Opus 20 ms of sound, of VP8 or H.264 one picture."""

    data: bytes
    time: float
    """Seconds since the first frame."""
    codec: str
    """"opus", "vp8" or "h264"."""
    keyframe: bool = True
    arrived: float = 0.0
    gap: bool = False
    """Of a received picture: whether pictures before it are lost. It can be shown if it is a key frame."""
