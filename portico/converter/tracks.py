"""From the packets of an mjr file to a Matroska stream on our clock: where it begins, what is left out, when it ends.

An mjr file is read twice: once for the clocks and the keyframes, once for the media. Neither keeps the media in memory.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from portico.converter import opus
from portico.converter.arrival import Arrivals, MediaClock
from portico.converter.audio_line import AudioLine
from portico.converter.depacketize import Picture
from portico.converter.matroska import Track, Writer
from portico.converter.mjr import Packet
from portico.converter.mp4 import DESCRIPTIONS_MAX, Description
from portico.converter.sequence import Sent, Tally, in_order, unwrapped
from portico.converter.video_frames import Frame, frames

LONGEST_FREEZE_MS = 2000
"""How long a picture stands still after a loss before pictures with errors are better than none.

A receiver that missed a packet asks for a keyframe and shows nothing until it comes, within a second as a rule: then
the recording shows what people saw. But where nobody watched, nobody asked; the next keyframe may be minutes away.
Then every whole frame is kept: an error fades as the picture is drawn over, and minutes would be gone.
"""
LATEST_KEYFRAME_MS = 2000
"""How long after the wished beginning a keyframe may come; else the one before it is the beginning."""

_OPUS_UNIT_NS = 500_000  # all lengths of Opus and its pre-skip are multiples of half a millisecond
_OPUS_UNIT = opus.SAMPLES_PER_MS // 2
_SEEK_PREROLL_NS = 80_000_000  # RFC 7845 section 4.6
_VIDEO_UNIT_NS = 1_000_000
_VIDEO_TICKS_PER_MS = 90
_LONGEST_INTERVAL_MS = 100
_CODEC_IDS = {"vp8": "V_VP8", "vp9": "V_VP9", "h264": "V_MPEG4/ISO/AVC"}

Packets = Callable[[], Iterator[Packet]]
"""Reads the mjr file from its first packet."""


@dataclass
class Span:
    """What a stream covers, in milliseconds since the first packet arrived; right when the stream is at its end."""

    start_ms: float = 0.0
    end_ms: float = 0.0
    tally: Tally = field(default_factory=Tally)
    descriptions: list[tuple[int, Description]] = field(default_factory=list)
    """Of H.264: what a decoder must know from which frame (from 0) on."""


def audio(packets: Packets, not_before_ms: float, span: Span) -> Iterator[bytes]:
    """The stream of an Opus track; no bytes at all if it has no media."""
    arrivals, stereo = Arrivals(opus.SAMPLES_PER_MS), False
    for packet in unwrapped(packets()):
        if opus.samples_of(packet.payload):
            arrivals.add(packet.arrived_ms, packet.ticks)
            stereo |= opus.is_stereo(packet.payload)
    clock = arrivals.clock()
    writer = Writer(_opus_track(2 if stereo else 1))
    line = AudioLine()
    for packet in in_order(unwrapped(packets()), span.tally):
        if not opus.samples_of(packet.payload):
            continue
        time_ms = clock.time_of(packet.arrived_ms, packet.ticks)
        if line.end == 0:
            if time_ms < not_before_ms:
                continue
            span.start_ms, span.tally.packets, span.tally.lost = time_ms, 1, 0
            yield writer.head()
        for at, samples, piece in line.place(time_ms, packet.ticks, packet.payload):
            yield from writer.block(at // _OPUS_UNIT, piece, keyframe=True, duration=samples // _OPUS_UNIT)
    span.end_ms = span.start_ms + line.end / opus.SAMPLES_PER_MS
    yield writer.flush()


def _opus_track(channels: int) -> Track:
    return Track(
        "A_OPUS",
        _OPUS_UNIT_NS,
        private=opus.head(channels),
        channels=channels,
        delay_ns=opus.PRE_SKIP * 1_000_000 // opus.SAMPLES_PER_MS,
        seek_preroll_ns=_SEEK_PREROLL_NS,
    )


def video(packets: Packets, codec: str, not_before_ms: float, span: Span) -> Iterator[bytes]:
    """The stream of a track of "vp8", "vp9" or "h264"; no bytes at all if it has no keyframe."""
    survey = _survey(packets, codec)
    begin_seq = survey.beginning(not_before_ms)
    if begin_seq is None:
        return
    span.tally.from_seq = begin_seq
    last = _Last()
    kept = _kept(frames(last.seen(in_order(unwrapped(packets()), span.tally)), codec), survey, begin_seq)
    writer, held, at, interval = None, None, 0, 1
    for number, frame in enumerate(kept):
        time_ms = survey.clock.time_of(frame.arrived_ms, frame.ticks)
        if writer is None or held is None:
            span.start_ms = time_ms
            writer = Writer(_video_track(codec, frame, survey.largest(begin_seq)))
            yield writer.head()
        else:
            # Two frames never have the same time, even if a hostile clock says so.
            interval = max(1, round(time_ms - span.start_ms) - at)
            # Said of every frame: ffmpeg would guess it from the first seconds, and let the file end too late.
            yield from writer.block(at, held.picture.frame, keyframe=held.picture.keyframe, duration=interval)
            at += interval
        held = frame
        _describe(span, number, frame.picture)
    if writer is None or held is None:
        return
    # The last frame is seen until the last packet, and as long as others are.
    until = round(last.time_ms(survey.clock) - span.start_ms)
    duration = max(until - at, min(interval, _LONGEST_INTERVAL_MS))
    span.end_ms = span.start_ms + at + duration
    yield from writer.block(at, held.picture.frame, keyframe=held.picture.keyframe, duration=duration)
    yield writer.flush()


def _describe(span: Span, number: int, picture: Picture) -> None:
    """Note what the keyframe of H.264 says, if that is new."""
    if not picture.private:
        return
    said = Description(picture.width, picture.height, picture.private)
    if span.descriptions and span.descriptions[-1][1] == said:
        return
    if len(span.descriptions) < DESCRIPTIONS_MAX:
        span.descriptions.append((number, said))


def _video_track(codec: str, first: Frame, size: tuple[int, int]) -> Track:
    return Track(_CODEC_IDS[codec], _VIDEO_UNIT_NS, private=first.picture.private, width=size[0], height=size[1])


@dataclass(frozen=True)
class _Survey:
    """What the first reading of a video found."""

    clock: MediaClock
    keyframe_seqs: "array[int]"
    keyframe_times: "array[float]"
    keyframe_sizes: "array[int]"
    """Width and height of each keyframe in turn."""

    def largest(self, begin_seq: int) -> tuple[int, int]:
        """Width and height of the largest keyframe from `begin_seq` on.

        Players and tools scale the whole file to the size that it announces. A browser begins with a small picture.
        """
        first = bisect_left(self.keyframe_seqs, begin_seq)
        sizes = zip(self.keyframe_sizes[2 * first :: 2], self.keyframe_sizes[2 * first + 1 :: 2], strict=True)
        return max(sizes, key=lambda size: size[0] * size[1])

    def beginning(self, not_before_ms: float) -> int | None:
        """The keyframe that the file begins with; None if there is none at all."""
        times = self.keyframe_times
        if not times:
            return None
        at = next((at for at, time_ms in enumerate(times) if time_ms >= not_before_ms), len(times))
        if at and (at == len(times) or times[at] > not_before_ms + LATEST_KEYFRAME_MS):
            at -= 1
        return self.keyframe_seqs[at]

    def mends_soon(self, frame: Frame) -> bool:
        """Whether a keyframe follows before a frozen picture is a nuisance."""
        at = bisect_left(self.keyframe_seqs, frame.seq)
        if at == len(self.keyframe_seqs):
            return False
        time_ms = self.clock.time_of(frame.arrived_ms, frame.ticks)
        return self.keyframe_times[at] - time_ms <= LONGEST_FREEZE_MS


def _survey(packets: Packets, codec: str) -> _Survey:
    arrivals = Arrivals(_VIDEO_TICKS_PER_MS)
    seqs, ticks, arrived, sizes = array("q"), array("q"), array("q"), array("H")
    for frame in frames(in_order(_noted(packets(), arrivals), Tally()), codec):
        picture = frame.picture
        if picture.keyframe:
            seqs.append(frame.seq)
            ticks.append(frame.ticks)
            arrived.append(frame.arrived_ms)
            sizes.extend((picture.width, picture.height))
    clock = arrivals.clock()
    times = array("d", map(clock.time_of, arrived, ticks))
    return _Survey(clock, seqs, times, sizes)


def _noted(packets: Iterable[Packet], arrivals: Arrivals) -> Iterator[Sent]:
    for packet in unwrapped(packets):
        # Padding probes the network with the timestamp of a frame that is long gone.
        if packet.payload:
            arrivals.add(packet.arrived_ms, packet.ticks)
        yield packet


def _kept(all_frames: Iterable[Frame], survey: _Survey, begin_seq: int) -> Iterator[Frame]:
    """The frames of the file; what a loss damages is frozen or kept as a whole, from the loss to the keyframe."""
    frozen: bool | None = None  # None while nothing is damaged
    for frame in all_frames:
        if frame.seq < begin_seq:
            continue
        if not frame.damaged:
            frozen = None
        elif frozen is None:
            frozen = survey.mends_soon(frame)
        if not frozen:
            yield frame


class _Last:
    """Remembers the packet that went by last."""

    def __init__(self) -> None:
        self._packet: Sent | None = None

    def seen(self, packets: Iterable[Sent]) -> Iterator[Sent]:
        for packet in packets:
            if packet.payload:
                self._packet = packet
            yield packet

    def time_ms(self, clock: MediaClock) -> float:
        return clock.time_of(self._packet.arrived_ms, self._packet.ticks) if self._packet else 0.0
