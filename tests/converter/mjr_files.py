"""Synthetic mjr files: tones and numbered pictures, encoded by ffmpeg, sent as RTP through a simulated network.

Time is in milliseconds on our clock. A sender's clock may drift and stand still; what it captures shows the true time:
a beep begins at every whole second, and every picture carries its number in black and white stripes.
"""

import heapq
import json
import math
import random
import re
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.converter import strict_mp4

FIRST_PACKET_US = 1_700_000_000_123_456
RATE = 48_000
STRIPES = 14
WIDTH, HEIGHT = 16 * STRIPES, 64

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class SenderClock:
    """A sender's clock that runs `ppm` too fast and stands still for each (at_ms, for_ms) of true time."""

    ppm: float = 0.0
    stops: tuple[tuple[float, float], ...] = ()

    def true_ms(self, own_ms: Floats) -> Floats:
        """The true time at which the sender's clock shows `own_ms`."""
        true = own_ms / (1 + self.ppm * 1e-6)
        for at_ms, for_ms in self.stops:
            true = np.where(true >= at_ms, true + for_ms, true)
        return true


@dataclass(frozen=True)
class Unit:
    """The packets with one RTP timestamp."""

    ticks: int
    true_ms: float
    payloads: tuple[bytes, ...]


@dataclass(frozen=True)
class Network:
    """Delays and losses between the sender and Janus."""

    jitter_ms: float = 0.0
    """Mean of an exponential delay."""
    spikes: tuple[tuple[float, float], ...] = ()
    """(at_ms, for_ms): nothing arrives for so long, then all at once."""
    lost: Callable[[int, int], bool] = lambda number, of: False
    """(number of the unit, number of the packet in it) -> whether it never comes."""
    loss: float = 0.0
    late: float = 0.0
    """Share of packets that come 30 to 300 ms late, behind others."""
    twice: float = 0.0
    seed: int = 1


def write_mjr(
    path: Path,
    units: Iterable[Unit],
    codec: str,
    network: Network | None = None,
    *,
    muted: Sequence[tuple[float, float]] = (),
    first_seq: int = 65_500,
    first_ticks: int = 2**32 - 50_000,
) -> Path:
    """Write the mjr file that Janus would record. Units within `muted`, (from, until) in ms, are not sent."""
    header = {"t": "a" if codec == "opus" else "v", "c": codec, "s": FIRST_PACKET_US - 9000, "u": FIRST_PACKET_US}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(b"MJR00002" + struct.pack(">H", len(text)) + text)
        sent = _packets(units, muted, first_seq, first_ticks)
        for arrived_ms, packet in _through(sent, network or Network()):
            file.write(b"MEET" + struct.pack(">IH", max(0, int(arrived_ms)), len(packet)) + packet)
    return path


def _packets(
    units: Iterable[Unit], muted: Sequence[tuple[float, float]], first_seq: int, first_ticks: int
) -> Iterator[tuple[int, int, float, bytes]]:
    seq = first_seq
    for number, unit in enumerate(units):
        if any(begin <= unit.true_ms < end for begin, end in muted):
            continue
        for of, payload in enumerate(unit.payloads):
            last = of == len(unit.payloads) - 1
            yield number, of, unit.true_ms, rtp(seq, first_ticks + unit.ticks, payload, marker=last)
            seq += 1


def rtp(seq: int, ticks: int, payload: bytes, *, marker: bool = False) -> bytes:
    """An RTP packet; now and then with contributing sources, an extension and padding, as the RFC allows."""
    sources = 2 if seq % 7 == 0 else 0
    extended, padded = seq % 3 == 0, seq % 5 == 0
    flags = 0x80 | sources | (0x10 if extended else 0) | (0x20 if padded else 0)
    head = struct.pack(">BBHII", flags, 0x80 * marker | 96, seq & 0xFFFF, ticks & 0xFFFFFFFF, 0x1234)
    head += b"SRC1SRC2"[: 4 * sources]
    if extended:
        head += b"\xbe\xde\x00\x01\x10\xaa\x00\x00"
    return head + payload + (b"\x00\x00\x00\x04" if padded else b"")


def _through(sent: Iterable[tuple[int, int, float, bytes]], network: Network) -> Iterator[tuple[float, bytes]]:
    """Packets with their times, in order of arrival; one overtakes another only if that one was delayed."""
    chance = random.Random(network.seed)
    on_the_way: list[tuple[float, int, bytes]] = []
    latest, count = 0.0, 0
    for number, of, true_ms, packet in sent:
        arrival = true_ms + (chance.expovariate(1 / network.jitter_ms) if network.jitter_ms else 0.0)
        arrival = max([arrival, *(at + for_ for at, for_ in network.spikes if at <= arrival < at + for_)])
        latest = arrival = max(arrival, latest)
        if network.lost(number, of) or chance.random() < network.loss:
            continue
        if chance.random() < network.late:
            arrival += chance.uniform(30, 300)
        for copy in range(2 if chance.random() < network.twice else 1):
            heapq.heappush(on_the_way, (arrival + 40 * copy, count, packet))
            count += 1
        while on_the_way and on_the_way[0][0] < true_ms:
            first = heapq.heappop(on_the_way)
            yield first[0], first[2]
    while on_the_way:
        first = heapq.heappop(on_the_way)
        yield first[0], first[2]


# Sound


def beeps(true_ms: Floats) -> Floats:
    """0.2 s of a tone at every whole second, near silence in between."""
    seconds = true_ms / 1000
    into = seconds % 1.0
    tone = 0.5 * np.sin(2 * np.pi * 1000 * into) * (into < 0.2)
    return tone + 0.0005 * np.sin(2 * np.pi * 200 * seconds)


def opus_units(
    length_ms: float,
    clock: SenderClock | None = None,
    *,
    sound: Callable[[Floats], Floats] = beeps,
    frame_ms: int = 20,
    channels: int = 1,
    options: Sequence[str] = (),
) -> list[Unit]:
    """The Opus packets that a browser sends of this sound, `length_ms` long by the sender's clock."""
    clock = clock or SenderClock()
    packets = _opus_packets(length_ms, clock, sound, frame_ms, channels, tuple(options))
    begins = np.arange(len(packets)) * float(frame_ms)
    return [
        Unit(number * frame_ms * 48, float(true), (packet,))
        for number, (packet, true) in enumerate(zip(packets, clock.true_ms(begins), strict=True))
    ]


@lru_cache(maxsize=8)
def _opus_packets(
    length_ms: float,
    clock: SenderClock,
    sound: Callable[[Floats], Floats],
    frame_ms: int,
    channels: int,
    options: tuple[str, ...],
) -> list[bytes]:
    """Tests share what an encoder has made once."""
    own_ms = np.arange(int(length_ms * RATE / 1000)) * (1000 / RATE)
    samples = (sound(clock.true_ms(own_ms)) * 32767).astype("<i2")
    command = ["-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", "-", "-ac", str(channels), "-c:a", "libopus"]
    command += ["-b:a", "24k", "-application", "voip", "-frame_duration", str(frame_ms), *options, "-f", "ogg", "-"]
    return ogg_packets(ffmpeg(command, samples.tobytes()))[2:][: int(length_ms // frame_ms)]


def ogg_packets(ogg: bytes) -> list[bytes]:
    """All packets of an Ogg stream (RFC 3533)."""
    packets, kept, at = [], b"", 0
    while at < len(ogg):
        sizes = ogg[at + 27 : at + 27 + ogg[at + 26]]
        at += 27 + len(sizes)
        for size in sizes:
            kept += ogg[at : at + size]
            at += size
            if size < 255:
                packets.append(kept)
                kept = b""
    return packets


def sound_of(path: Path) -> Floats:
    """The sound of a file, mono at 48 kHz, as libavcodec decodes it in this process."""
    with av.open(path) as container:
        resampler = av.AudioResampler("fltp", "mono", RATE)
        decoded = [*container.decode(audio=0), None]
        parts = [part.to_ndarray()[0] for frame in decoded for part in resampler.resample(frame)]
    return np.concatenate(parts).astype(np.float64)


def sound_from(path: Path, secs: float) -> Floats:
    """The sound of a file from this second on, which ffmpeg looks for."""
    options = ["-ss", str(secs)]
    pcm = ffmpeg([*options, "-i", str(path), "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"])
    return np.frombuffer(pcm, "<f4").astype(np.float64)


def onsets_ms(sound: Floats) -> Floats:
    """The times at which beeps begin, in milliseconds."""
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    first = loud[np.concatenate(([True], np.diff(loud) > 0.3 * RATE))] if len(loud) else loud
    return first * (1000 / RATE)


# Pictures


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """The number in stripes, the lowest bit on the left."""
    bits = np.array([235 if number >> bit & 1 else 16 for bit in range(STRIPES)], np.uint8)
    return np.tile(np.repeat(bits, width // STRIPES), (height, 1))


@dataclass(frozen=True)
class Encoded:
    """One run of an encoder."""

    codec: str
    frames: tuple[bytes, ...]


_ENCODERS = {
    "vp8": ["libvpx", "-deadline", "realtime", "-cpu-used", "8", "-auto-alt-ref", "0", "-f", "ivf"],
    "vp9": ["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-auto-alt-ref", "0", "-f", "ivf"],
    "h264": ["libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline", "-f", "h264"],
}


@lru_cache(maxsize=32)
def encode(codec: str, numbers: range, *, size: tuple[int, int] = (WIDTH, HEIGHT), keyframe_every: int = 30) -> Encoded:
    """The pictures with these numbers. Tests share what an encoder has made once."""
    width, height = size
    raw = b"".join(picture(number, width, height).tobytes() for number in numbers)
    source = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", "30", "-i", "-"]
    return encode_from(codec, source, raw, keyframe_every=keyframe_every)


def encode_from(
    codec: str, source: Sequence[str], raw: bytes = b"", *, keyframe_every: int, rate: str = "300k"
) -> Encoded:
    command = [*source, "-pix_fmt", "yuv420p", "-b:v", rate, "-g", str(keyframe_every), "-threads", "1", "-c:v"]
    command += _ENCODERS[codec][:-2]
    command += ["-bsf:v", "h264_metadata=aud=insert"] if codec == "h264" else ["-lag-in-frames", "0"]
    stream = ffmpeg([*command, *_ENCODERS[codec][-2:], "-"], raw)
    return Encoded(codec, tuple(_access_units(stream) if codec == "h264" else _ivf_frames(stream)))


def encode_growing(sizes: Sequence[tuple[int, int]]) -> Encoded:
    """One H.264 keyframe of each size, numbered from 0: an encoder for each, all in this process."""
    frames: list[bytes] = []
    for number, (width, height) in enumerate(sizes):
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt, context.time_base = width, height, "yuv420p", Fraction(1, 30)
        context.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        context.bit_rate, context.thread_count = 300_000, 1
        shown = av.VideoFrame.from_ndarray(picture(number, width, height), "gray").reformat(format="yuv420p")
        frames.append(b"".join(bytes(packet) for packet in [*context.encode(shown), *context.encode(None)]))
    return Encoded("h264", tuple(frames))


def _ivf_frames(ivf: bytes) -> Iterator[bytes]:
    at = 32
    while at < len(ivf):
        size = int.from_bytes(ivf[at : at + 4], "little")
        yield ivf[at + 12 : at + 12 + size]
        at += 12 + size


def _access_units(annex_b: bytes) -> Iterator[bytes]:
    return (unit for unit in re.split(rb"\x00\x00\x00\x01\x09.", annex_b, flags=re.DOTALL) if unit)


def video_units(
    encoded: Encoded, own_ms: Iterable[float], clock: SenderClock | None = None, *, mtu: int = 120
) -> list[Unit]:
    """One unit per frame, captured when the sender's clock shows these times; small packets, so that there are many."""
    own = np.array(list(own_ms), np.float64)
    true = (clock or SenderClock()).true_ms(own)
    packetize = {"vp8": _vp8_payloads, "vp9": _vp9_payloads, "h264": _h264_payloads}[encoded.codec]
    return [
        Unit(round(float(at) * 90), float(when), tuple(packetize(frame, number, mtu)))
        for number, (frame, at, when) in enumerate(zip(encoded.frames, own, true, strict=False))
    ]


def every(interval_ms: float, count: int) -> list[float]:
    return [number * interval_ms for number in range(count)]


def _pieces(frame: bytes, mtu: int) -> list[bytes]:
    return [frame[at : at + mtu] for at in range(0, len(frame), mtu)]


def _vp8_payloads(frame: bytes, number: int, mtu: int) -> Iterator[bytes]:
    for of, piece in enumerate(_pieces(frame, mtu)):
        start = 0x10 if of == 0 else 0
        # Picture id of 15 bits, TL0PICIDX, and a byte with the temporal layer.
        yield bytes([0x80 | start, 0xE0, 0x80 | number >> 8 & 0x7F, number & 0xFF, number & 0xFF, 0x20]) + piece


def _vp9_payloads(frame: bytes, number: int, mtu: int) -> Iterator[bytes]:
    pieces = _pieces(frame, mtu)
    key = frame[0] & 0x0C == 0
    for of, piece in enumerate(pieces):
        flags = 0x80 | (0 if key else 0x40) | (0x08 if of == 0 else 0) | (0x04 if of == len(pieces) - 1 else 0)
        structure = b""
        if key and of == 0:
            flags |= 0x02
            structure = bytes([0x18]) + struct.pack(">HH", WIDTH, HEIGHT) + bytes([1, 0x04, 1])
        yield bytes([flags, 0x80 | number >> 8 & 0x7F, number & 0xFF]) + structure + piece


def _h264_payloads(unit: bytes, _: int, mtu: int) -> Iterator[bytes]:
    nals = [nal for nal in unit.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01") if nal]
    parameters = [nal for nal in nals if nal[0] & 31 in {7, 8}]
    if parameters:
        yield b"\x18" + b"".join(struct.pack(">H", len(nal)) + nal for nal in parameters)
    for nal in nals:
        if nal in parameters:
            continue
        if len(nal) <= mtu:
            yield nal
            continue
        pieces = _pieces(nal[1:], mtu)
        for of, piece in enumerate(pieces):
            edge = (0x80 if of == 0 else 0) | (0x40 if of == len(pieces) - 1 else 0)
            yield bytes([nal[0] & 0xE0 | 28, edge | nal[0] & 31]) + piece


@dataclass(frozen=True)
class Seen:
    """The number of each picture of a file, and its time in seconds."""

    numbers: list[int]
    times_ms: list[float]
    sizes: list[tuple[int, int]] = field(default_factory=list)


def seen(path: Path) -> Seen:
    """What libavcodec decodes, in this process: a start of ffmpeg takes longer than the pictures of most tests."""
    found = Seen([], [])
    with av.open(path) as container:
        for frame in container.decode(video=0):
            found.numbers.append(_number_of(frame.reformat(WIDTH, HEIGHT, "gray").to_ndarray()))
            found.times_ms.append(1000 * frame.time if frame.time is not None else math.nan)
            found.sizes.append((frame.width, frame.height))
    return found


def _number_of(shown: NDArray[Any]) -> int:
    row = shown.reshape(HEIGHT, STRIPES, 16)[8:-8, :, 4:-4].mean(axis=(0, 2))
    return sum(1 << bit for bit in range(STRIPES) if row[bit] > 128)


def seen_strictly(path: Path, samples: int | None = None) -> list[tuple[int, tuple[int, int]]]:
    """Number and size of each picture of an MP4 for a player that reads parameter sets from the container only."""
    stream = path.with_suffix(".h264")
    stream.write_bytes(strict_mp4.elementary_stream(path, samples))
    shown = seen(stream)
    return list(zip(shown.numbers, shown.sizes, strict=True))


def announced(path: Path) -> tuple[int, int]:
    """Width and height that the container of a video announces."""
    if path.suffix == ".mp4":
        return strict_mp4.size_of_track(path)
    head = path.read_bytes()[:5000]
    at = head.index(b"\xb0", head.index(b"\xe0", head.index(b"V_VP")))  # Video, and in it PixelWidth
    width, after = _matroska_number(head, at + 1)
    assert head[after] == 0xBA
    return width, _matroska_number(head, after + 1)[0]


def _matroska_number(content: bytes, at: int) -> tuple[int, int]:
    length = content[at] & 0x7F
    return int.from_bytes(content[at + 1 : at + 1 + length], "big"), at + 1 + length


def number_at(path: Path, secs: float) -> int:
    """The number of the first picture from this second on, for a player that looks for the keyframe before it."""
    with av.open(path) as container:
        container.seek(round(secs * av.time_base))
        for frame in container.decode(video=0):
            assert frame.time is not None and frame.time > secs - 1.1, "a keyframe every second"
            if frame.time >= secs - 0.001:
                return _number_of(frame.reformat(WIDTH, HEIGHT, "gray").to_ndarray())
    raise AssertionError(f"no picture at {secs} s")


def packet_secs(path: Path) -> list[float]:
    """The times of a video's packets, in their order."""
    with av.open(path) as container:
        return [float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.pts is not None]


# Programs


def ffmpeg(arguments: Sequence[str], given: bytes = b"") -> bytes:
    command = ["ffmpeg", "-v", "error", "-nostdin", *arguments]
    command.remove("-nostdin")
    return subprocess.run(command, input=given, capture_output=True, check=True, timeout=500).stdout


def ffprobe(path: Path, entries: str) -> Any:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", entries, str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=500).stdout)


def duration_ms(path: Path) -> float:
    with av.open(path) as container:
        assert container.duration is not None
        return container.duration / 1000
