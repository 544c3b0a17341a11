"""Encodes and decodes Opus and VP8 with PyAV, one frame per call. A call blocks; a picture takes milliseconds."""

from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

from portico.client.errors import SourceFailed
from portico.client.frames import FRAME_BYTES, FRAME_SAMPLES, RATE, AudioFrame, EncodedFrame, VideoFrame

AUDIO_BITRATE = 40_000
VIDEO_BITRATE = 500_000
_AUDIO_TIME = Fraction(1, RATE)
_VIDEO_RATE = 90_000
_VIDEO_TIME = Fraction(1, _VIDEO_RATE)
_DECODERS = {"vp8": "libvpx", "h264": "h264"}


class OpusEncoder:
    """Encodes audio frames of 20 ms, each into one Opus packet."""

    def __init__(self, bitrate: int = AUDIO_BITRATE) -> None:
        codec: Any = av.CodecContext.create("libopus", "w")
        codec.bit_rate, codec.sample_rate, codec.format, codec.layout = bitrate, RATE, "s16", "mono"
        codec.time_base = _AUDIO_TIME
        # "lowdelay" takes a third of the CPU time of "voip" (0.1 and 0.3 ms for a frame), and 2.5 ms of delay less.
        codec.options = {"application": "lowdelay", "frame_duration": "20", "compression_level": "5"}
        self._codec = codec
        self._count = 0

    def encode(self, frame: AudioFrame) -> EncodedFrame | None:
        """The Opus packet of a frame; None if the frame is not 20 ms long, or if the encoder holds it back."""
        if len(frame.pcm) != FRAME_BYTES:
            raise SourceFailed(f"a frame of audio has {FRAME_BYTES} bytes, not {len(frame.pcm)}")
        sound = av.AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        sound.planes[0].update(frame.pcm)
        sound.sample_rate, sound.pts, sound.time_base = RATE, self._count, _AUDIO_TIME
        self._count += FRAME_SAMPLES
        packets = [bytes(packet) for packet in self._codec.encode(sound)]
        return EncodedFrame(packets[0], frame.time, "opus") if packets else None


class OpusDecoder:
    """Decodes Opus packets into audio frames of 20 ms."""

    def __init__(self) -> None:
        codec: Any = av.CodecContext.create("libopus", "r")
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", RATE
        self._codec = codec
        self._rest = b""

    def decode(self, frame: EncodedFrame) -> list[AudioFrame]:
        """The audio frames of a packet; [] for a damaged packet."""
        try:
            sounds = self._codec.decode(av.Packet(frame.data))
        except av.FFmpegError:
            return []
        pcm = self._rest + b"".join(_mono(sound) for sound in sounds)
        count = len(pcm) // FRAME_BYTES
        self._rest = pcm[count * FRAME_BYTES :]
        pieces = [pcm[at * FRAME_BYTES : (at + 1) * FRAME_BYTES] for at in range(count)]
        step = FRAME_SAMPLES / RATE
        return [AudioFrame(piece, frame.time + at * step, frame.arrived) for at, piece in enumerate(pieces)]


def _mono(sound: Any) -> bytes:
    data = bytes(sound.planes[0])[: sound.samples * 2 * len(sound.layout.channels)]
    if len(sound.layout.channels) == 1:
        return data
    return bytes(memoryview(memoryview(data).cast("h")[::2].tobytes()))


class Vp8Encoder:
    """Encodes pictures as VP8. After a change of the size or the bit rate, the next one is a key frame."""

    def __init__(self, bitrate: int = VIDEO_BITRATE, rate: float = 15.0) -> None:
        self.bitrate = bitrate
        """Bits per second; may be changed at any time."""
        self._rate = rate
        self._codec: Any = None
        self._wants_keyframe = False

    def request_keyframe(self) -> None:
        """Encode the next picture as a key frame."""
        self._wants_keyframe = True

    def encode(self, frame: VideoFrame) -> EncodedFrame | None:
        """The encoded picture; None for one that the encoder drops to keep its bit rate."""
        image = frame.image if frame.image.format.name == "yuv420p" else frame.image.reformat(format="yuv420p")
        if self._codec is None or not self._fits(image):
            self._codec = self._create(image.width, image.height)
        image.pts, image.time_base = round(frame.time * _VIDEO_RATE), _VIDEO_TIME
        image.pict_type = PictureType.I if self._wants_keyframe else PictureType.NONE
        self._wants_keyframe = False
        packets = self._codec.encode(image)
        if not packets:
            return None
        data = b"".join(bytes(packet) for packet in packets)
        return EncodedFrame(data, frame.time, "vp8", not data[0] & 1)

    def _fits(self, image: av.VideoFrame) -> bool:
        near = abs(self.bitrate - self._codec.bit_rate) <= self._codec.bit_rate / 10
        return bool(near and (image.width, image.height) == (self._codec.width, self._codec.height))

    def _create(self, width: int, height: int) -> Any:
        codec: Any = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.bit_rate, codec.time_base, codec.thread_count = self.bitrate, _VIDEO_TIME, 1
        codec.gop_size = 3000
        codec.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0", "static-thresh": "1"}
        return codec


class VideoDecoder:
    """Decodes VP8 or H.264. It returns no picture before the first key frame."""

    def __init__(self) -> None:
        self._codec: Any = None
        self._name = ""
        self.is_broken = True
        """Whether the decoder waits for a key frame: at the start, and after an error."""

    def decode(self, frame: EncodedFrame) -> list[VideoFrame]:
        """The pictures that are complete with this frame; [] while the decoder waits for a key frame."""
        if frame.gap or frame.keyframe:
            self.is_broken = not frame.keyframe
        if self.is_broken:
            return []
        if self._codec is None or self._name != frame.codec:
            self._codec, self._name = av.CodecContext.create(_DECODERS[frame.codec], "r"), frame.codec
            self._codec.thread_count = 1
        try:
            images = self._codec.decode(av.Packet(frame.data))
        except av.FFmpegError:
            self.is_broken = True
            return []
        return [VideoFrame(image, frame.time, frame.arrived) for image in images]
