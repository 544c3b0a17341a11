"""Turns the packets of one mjr file into a Matroska stream: chooses its beginning and end, and what is left out.

The file is read twice, first for clock and keyframes, then for the media. Neither reading keeps the media in memory.
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
from portico.converter.mp4 import DESCRIPTIONS_MAX, SampleDescription
from portico.converter.sequence import Sent, Tally, in_order, unwrapped
from portico.converter.video_frames import VideoFrame, frames

LONGEST_FREEZE_MS = 2000
"""After a loss, how far away the next keyframe may be for the picture to stand still until it comes.

A subscriber that misses a packet requests a keyframe and freezes until it comes, usually within a second: then the
recording shows what subscribers saw. Without a subscriber no keyframe is requested, and the next may be minutes away:
then each whole frame is kept, because errors fade as the picture is redrawn, and minutes of video would be missing.
"""
LATEST_KEYFRAME_MS = 2000
"""How long after the requested beginning the first keyframe may come; else the file begins with the one before it."""

_OPUS_UNIT_NS = 500_000  # each duration of an Opus packet, and the pre-skip, is a multiple of half a millisecond
_OPUS_UNIT = opus.SAMPLES_PER_MS // 2
_SEEK_PREROLL_NS = 80_000_000  # RFC 7845 section 4.6
_VIDEO_UNIT_NS = 1_000_000
_VIDEO_TICKS_PER_MS = 90
_LAST_FRAME_MS_MAX = 100
"""The last frame is shown for as long as the one before it, but no longer than this, unless packets follow it."""
_CODEC_IDS = {"vp8": "V_VP8", "vp9": "V_VP9", "h264": "V_MPEG4/ISO/AVC"}

Packets = Callable[[], Iterator[Packet]]
"""Reads the mjr file from its first packet."""


@dataclass
class Span:
    """What a stream covers, in milliseconds since the first packet arrived. Valid once the stream has ended."""

    start_ms: float = 0.0
    end_ms: float = 0.0
    tally: Tally = field(default_factory=Tally)
    descriptions: list[tuple[int, SampleDescription]] = field(default_factory=list)
    """Of H.264: (number of a frame, what a decoder must know from this frame on); the first frame is 0."""


def audio(packets: Packets, not_before_ms: float, span: Span) -> Iterator[bytes]:
    """The Matroska stream of an Opus track from `not_before_ms` on; no bytes at all if it has no media.

    `not_before_ms` counts from the arrival of the first packet, as in `video`. `span` is filled meanwhile.
    """
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
        for at, samples, piece in line.put(time_ms, packet.ticks, packet.payload):
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
    """The Matroska stream of a track of "vp8", "vp9" or "h264"; no bytes at all if it has no keyframe."""
    survey = _survey(packets, codec)
    begin_seq = survey.beginning(not_before_ms)
    if begin_seq is None:
        return
    span.tally.from_seq = begin_seq
    last = _Last()
    kept = _kept(frames(last.watch(in_order(unwrapped(packets()), span.tally)), codec), survey, begin_seq)
    writer, held, at, interval = None, None, 0, 1
    for number, frame in enumerate(kept):
        time_ms = survey.clock.time_of(frame.arrived_ms, frame.ticks)
        if writer is None or held is None:
            span.start_ms = time_ms
            writer = Writer(_video_track(codec, frame, survey.largest(begin_seq)))
            yield writer.head()
        else:
            # At least 1 ms, even if a hostile sender gives two frames the same time: containers need ascending times.
            interval = max(1, round(time_ms - span.start_ms) - at)
            # Each block carries its duration: ffmpeg would guess it from the first seconds and let the file end late.
            yield from writer.block(at, held.picture.frame, keyframe=held.picture.keyframe, duration=interval)
            at += interval
        held = frame
        _describe(span, number, frame.picture)
    if writer is None or held is None:
        return
    # The last frame is shown until the last packet was sent, and at least about as long as the frame before it.
    until = round(last.time_ms(survey.clock) - span.start_ms)
    duration = max(until - at, min(interval, _LAST_FRAME_MS_MAX))
    span.end_ms = span.start_ms + at + duration
    yield from writer.block(at, held.picture.frame, keyframe=held.picture.keyframe, duration=duration)
    yield writer.flush()


def _describe(span: Span, number: int, picture: Picture) -> None:
    """Add the description of an H.264 keyframe to the span if it differs from the one before."""
    if not picture.private:
        return
    description = SampleDescription(picture.width, picture.height, picture.private)
    if span.descriptions and span.descriptions[-1][1] == description:
        return
    if len(span.descriptions) < DESCRIPTIONS_MAX:
        span.descriptions.append((number, description))


def _video_track(codec: str, first: VideoFrame, size: tuple[int, int]) -> Track:
    return Track(_CODEC_IDS[codec], _VIDEO_UNIT_NS, private=first.picture.private, width=size[0], height=size[1])


@dataclass(frozen=True)
class _Survey:
    """What the first reading of a video finds: its clock, and sequence number, time and size of each keyframe."""

    clock: MediaClock
    keyframe_seqs: "array[int]"
    keyframe_times: "array[float]"
    keyframe_sizes: "array[int]"
    """Width and height of each keyframe, one after the other."""

    def largest(self, begin_seq: int) -> tuple[int, int]:
        """Width and height in pixels of the largest keyframe from `begin_seq` on.

        The file announces this size. Players scale the whole file to it, and a browser begins with a small picture.
        """
        first = bisect_left(self.keyframe_seqs, begin_seq)
        sizes = zip(self.keyframe_sizes[2 * first :: 2], self.keyframe_sizes[2 * first + 1 :: 2], strict=True)
        return max(sizes, key=lambda size: size[0] * size[1])

    def beginning(self, not_before_ms: float) -> int | None:
        """The sequence number of the keyframe that the file begins with; None if the track has no keyframe."""
        times = self.keyframe_times
        if not times:
            return None
        index = next((index for index, time_ms in enumerate(times) if time_ms >= not_before_ms), len(times))
        if index and (index == len(times) or times[index] > not_before_ms + LATEST_KEYFRAME_MS):
            index -= 1
        return self.keyframe_seqs[index]

    def mends_soon(self, frame: VideoFrame) -> bool:
        """Whether a keyframe follows this frame within LONGEST_FREEZE_MS."""
        index = bisect_left(self.keyframe_seqs, frame.seq)
        if index == len(self.keyframe_seqs):
            return False
        time_ms = self.clock.time_of(frame.arrived_ms, frame.ticks)
        return self.keyframe_times[index] - time_ms <= LONGEST_FREEZE_MS


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
        # Padding probes the bandwidth and carries the timestamp of an older frame: it says nothing about the clock.
        if packet.payload:
            arrivals.add(packet.arrived_ms, packet.ticks)
        yield packet


def _kept(all_frames: Iterable[VideoFrame], survey: _Survey, begin_seq: int) -> Iterator[VideoFrame]:
    """The frames that the file gets. From a loss to the next keyframe, all damaged frames are kept or none is."""
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
    """Remembers the last packet with a payload."""

    def __init__(self) -> None:
        self._packet: Sent | None = None

    def watch(self, packets: Iterable[Sent]) -> Iterator[Sent]:
        """The same packets; keeps the last one that has a payload."""
        for packet in packets:
            if packet.payload:
                self._packet = packet
            yield packet

    def time_ms(self, clock: MediaClock) -> float:
        """When that packet was sent; 0 if there was none."""
        return clock.time_of(self._packet.arrived_ms, self._packet.ticks) if self._packet else 0.0
