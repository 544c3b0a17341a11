"""The ffmpeg commands that make a composition: its segments, the graph of each picture, the sum of its sound.

Pure: no file is touched, nothing is started. A composition is cut wherever the arrangement of its tiles changes and at
least every `SEGMENT_FRAMES`, so that each command reads only the inputs that are visible or audible in its segment, and
so that finished segments survive an interruption. Cuts lie on frame boundaries, and on the samples that belong to them.
https://ffmpeg.org/ffmpeg-filters.html, https://ffmpeg.org/ffmpeg-formats.html#concat-1
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from portico.composer import lettering, picture
from portico.composer.picture import FPS, Tile, even
from portico.core.layout import Placement

FRAME_MS = 1000 // FPS
SAMPLE_RATE = 48_000
SEGMENT_FRAMES = 5 * 60 * FPS
SEGMENT_FRAMES_MEAN = 2 * FPS
SEGMENTS_EXTRA = 200
"""A composition has a segment for every two seconds at most, and so many more: each costs a process and a keyframe."""
SEEN_AT_ONCE = 100
"""Recordings that one command decodes; of more, those that came last are not seen."""
INPUTS_AT_ONCE = 32
"""Recordings that one command sums; more are summed in groups first."""
PICTURE_CPU_SECS, PICTURE_CPU_SECS_PER_SEC, PICTURE_CPU_SECS_PER_INPUT = 60, 10, 2
"""What the picture of a segment may cost: so much, so much more for each second, and so much for each second seen."""
PIXELS_MAX = 8192 * 4320
"""Of a recorded picture. One that says that it is larger is not decoded: a few kilobytes can ask for gigabytes."""

Preset = Literal["fast", "default", "small"]

# The lookahead that `superfast` lacks halves the size and costs nearly nothing: the result is as similar to its sources
# as that of `veryfast` and a tenth larger, for 80 % of the CPU time. benchmarks/composition.py measures it.
_QUALITY: dict[Preset, tuple[str, int, str]] = {
    "fast": ("ultrafast", 25, ""),
    "default": ("superfast", 23, ":mbtree=1:rc-lookahead=10"),
    "small": ("fast", 26, ""),
}
_REORDERED: dict[Preset, int] = {"fast": 0, "default": 2, "small": 2}
"""Pictures that x264 with this preset decodes before the first is shown: with B-frames that others refer to, two."""
_KEYFRAME_EVERY = 4 * FPS
_HEADROOM = 8
"""Sums are kept this many times softer than they are, in 24 bits, until the limiter sees them."""
_RUN_UP_MS = 1000
"""Sound is decoded from this much earlier: an Opus decoder needs 80 ms to settle (RFC 7845, section 4.6)."""


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A recorded video: where its file is, when its timestamp 0 was (Unix milliseconds), and whom it shows.

    Without a path it is only somebody's name, for placeholders.
    """

    recording_id: str
    path: str
    started_ms: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A recorded sound: where its file is, and from when to when it counts (Unix milliseconds)."""

    recording_id: str
    path: str
    started_ms: int
    ended_ms: int


@dataclass(frozen=True, slots=True)
class CompositionPlan:
    """A whole composition. `started_ms` is its beginning in Unix milliseconds, which the placements count from."""

    width: int
    height: int
    started_ms: int
    duration_ms: int
    placements: tuple[Placement, ...]
    videos: tuple[VideoFile, ...]
    audios: tuple[AudioFile, ...] = ()
    sound: bool = True
    preset: Preset = "default"

    @property
    def frames(self) -> int:
        """How many frames the composition has: its duration, rounded."""
        return max(1, (self.duration_ms + FRAME_MS // 2) // FRAME_MS)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the composition's picture through which the same tiles stay where they are, lowest first."""

    first_frame: int
    frames: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the composition's sound and who may be heard in it."""

    first_frame: int
    frames: int
    audios: tuple[AudioFile, ...]

    @property
    def samples(self) -> int:
        return self.frames * SAMPLE_RATE // FPS


@dataclass(frozen=True, slots=True)
class Input:
    """A stream of a recording's file, such as "0:v:0", and from which of its timestamps on it is read."""

    path: str
    stream: str
    position_ms: int

    @property
    def arguments(self) -> list[str]:
        """What has ffmpeg read it so that its timestamp `position_ms` becomes 0, whatever its first timestamp is."""
        where = ["-seek_timestamp", "1", "-ss", f"{max(0, self.position_ms) / 1000:.3f}"]
        if self.position_ms < 0:
            where += ["-itsoffset", f"{-self.position_ms / 1000:.3f}"]
        return ["-threads", "1", "-protocol_whitelist", "file", *where, "-i", f"file:{self.path}"]


def segments(plan: CompositionPlan) -> tuple[Segment, ...]:
    """The composition's picture in order: together they have each of its frames once."""
    grain = _grain(plan)
    cuts = {plan.frames, *range(0, plan.frames, SEGMENT_FRAMES)}
    for placement in plan.placements:
        cuts |= {_frame_at(placement.from_ms, grain), _frame_at(placement.until_ms, grain)}
    known = {video.recording_id for video in plan.videos}
    coming = sorted(
        (each for each in plan.placements if each.placeholder or each.recording_id in known),
        key=lambda each: each.from_ms,
        reverse=True,
    )
    here: list[Placement] = []
    result = []
    for first, until in pairwise(sorted(cut for cut in cuts if 0 <= cut <= plan.frames)):
        while coming and _frame_at(coming[-1].from_ms, grain) <= first:
            here.append(coming.pop())
        here = [placement for placement in here if _frame_at(placement.until_ms, grain) > first]
        tiles = picture.tiles(_seen_at_once(here), even(plan.width), even(plan.height))
        result.append(Segment(first, until - first, tiles))
    return tuple(result)


def stretches(plan: CompositionPlan) -> tuple[Stretch, ...]:
    """The composition's sound in order: together they have each of its samples once."""
    result = []
    for first in range(0, plan.frames, SEGMENT_FRAMES):
        frames = min(SEGMENT_FRAMES, plan.frames - first)
        begin, end = plan.started_ms + first * FRAME_MS, plan.started_ms + (first + frames) * FRAME_MS
        heard = tuple(audio for audio in plan.audios if audio.started_ms < end and audio.ended_ms > begin)
        result.append(Stretch(first, frames, heard))
    return tuple(result)


def groups(stretch: Stretch) -> tuple[Stretch, ...]:
    """The stretch again and again, each time with as many as one command sums; at least once."""
    starts = range(0, max(1, len(stretch.audios)), INPUTS_AT_ONCE)
    return tuple(replace(stretch, audios=stretch.audios[start : start + INPUTS_AT_ONCE]) for start in starts)


def segment_command(plan: CompositionPlan, segment: Segment, *, threads: int, lettering: bool) -> list[str]:
    """Arguments, without the output's name, that encode one segment's picture into an MP4 of exactly its frames."""
    inputs = seen(plan, segment)
    # The last keyframe may be as far back as the beginning.
    stays = {name: segment.frames + max(0, each.position_ms) // FRAME_MS + FPS for name, each in inputs.items()}
    names = _names(plan) if lettering else {}
    graph = picture.graph(even(plan.width), even(plan.height), segment.tiles, stays, names)
    x264_preset, quality, more = _QUALITY[plan.preset]
    return [
        *(argument for each in inputs.values() for argument in _seen(each)),
        *("-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[out]"),
        *("-frames:v", str(segment.frames), "-c:v", "libx264", "-preset", x264_preset, "-crf", str(quality)),
        # Whoever joins the segments has one header for all of them: x264 must not fit it to the content.
        *("-x264-params", f"stitchable=1{more}", "-g", str(_KEYFRAME_EVERY), "-threads", str(threads)),
        # What browsers send and their cameras' codecs mean; a player would guess otherwise by the size.
        *("-colorspace", "smpte170m", "-color_range", "tv", "-map_metadata", "-1", "-f", "mp4"),
    ]


def picture_cpu_secs(segment: Segment) -> int:
    """The limit of `segment_command`, which only what nobody's camera sends comes near."""
    rate = PICTURE_CPU_SECS_PER_SEC + PICTURE_CPU_SECS_PER_INPUT * len(segment.tiles)
    return PICTURE_CPU_SECS + rate * segment.frames // FPS


def sound_cpu_secs(stretch: Stretch) -> int:
    """The limit of the commands that make the sound of a stretch."""
    return PICTURE_CPU_SECS + PICTURE_CPU_SECS_PER_SEC * stretch.frames // FPS


def joining_cpu_secs(plan: CompositionPlan) -> int:
    """The limit of `join_command`, which encodes all of the sound."""
    return PICTURE_CPU_SECS + PICTURE_CPU_SECS_PER_SEC * plan.frames // FPS


def seen(plan: CompositionPlan, segment: Segment) -> dict[str, Input]:
    """What `segment_command` reads, in order, by recording."""
    at_ms = plan.started_ms + segment.first_frame * FRAME_MS
    files = {video.recording_id: video for video in plan.videos}
    shown = dict.fromkeys(tile.recording_id for tile in segment.tiles if not tile.placeholder)
    return {each: Input(files[each].path, "0:v:0", at_ms - files[each].started_ms) for each in shown}


def heard(plan: CompositionPlan, stretch: Stretch) -> dict[str, Input]:
    """What `stretch_command` reads, in order, by recording."""
    at_ms = plan.started_ms + stretch.first_frame * FRAME_MS
    return {each.recording_id: Input(each.path, "0:a:0", at_ms - each.started_ms) for each in stretch.audios}


def stretch_command(plan: CompositionPlan, stretch: Stretch) -> list[str]:
    """Arguments, without the output's name, that sum what is heard into a FLAC of exactly the stretch's samples."""
    inputs, chains = [], []
    at_ms = plan.started_ms + stretch.first_frame * FRAME_MS
    for number, (audio, read) in enumerate(zip(stretch.audios, heard(plan, stretch).values(), strict=True)):
        run_up_ms = min(_RUN_UP_MS, max(0, read.position_ms))
        inputs += replace(read, position_ms=max(0, read.position_ms) - run_up_ms).arguments
        chains.append(_sound(number, read.position_ms, run_up_ms, audio.ended_ms - at_ms, stretch.samples))
    return [*inputs, *_sum(chains, stretch.samples, 1 / _HEADROOM)]


def sums_command(stretch: Stretch, parts: Sequence[str]) -> list[str]:
    """Arguments that sum what `stretch_command` made of the groups of one stretch."""
    inputs = [argument for part in parts for argument in ("-i", part)]
    chains = [f"[{number}:a]anull[a{number}]" for number in range(len(parts))]
    return [*inputs, *_sum(chains, stretch.samples, 1)]


def join_command(pictures: str, sounds: str | None, preset: Preset) -> list[str]:
    """Arguments that join the listed segments, copied, and the listed stretches, limited and encoded."""
    picture = ["-f", "concat", "-i", pictures]
    copied = ["-c:v", "copy", "-bsf:v", _times(preset)]
    if sounds is None:
        return [*picture, "-map", "0:v", *copied, *_CONTAINER]
    limited = f"volume={_HEADROOM},alimiter=limit=0.95:level=0:attack=5:release=80"
    # The coder "fast" costs half and makes loud tones a third softer.
    return [
        *picture,
        *("-f", "concat", "-i", sounds, "-map", "0:v", "-map", "1:a", *copied),
        *("-af", limited, "-c:a", "aac", "-aac_coder", "twoloop", "-b:a", "128k", "-ar", str(SAMPLE_RATE), "-ac", "2"),
        *_CONTAINER,
    ]


def lettering_trial(script: str) -> list[str]:
    """A whole command that fails where ffmpeg cannot draw the letters of a script."""
    letter = f"color=s=64x64:r={FPS}:d={1 / FPS},ass=f={script}[out]"
    return ["-filter_complex", letter, "-map", "[out]", "-f", "null", "-"]


def reading_trial(of: Input) -> list[str]:
    """A whole command that decodes the first frame of an input, if there is one."""
    return [*_seen(of), "-map", of.stream, "-frames", "1", "-f", "null", "-"]


def concat_list(parts: Sequence[tuple[str, int]]) -> str:
    """The text of a list for the concat demuxer: file names beside the list, each with its number of frames."""
    lines = [f"file '{name}'\nduration {frames * FRAME_MS / 1000:.3f}\n" for name, frames in parts]
    return "ffconcat version 1.0\n" + "".join(lines)


def scripts(plan: CompositionPlan, segments: Sequence[Segment]) -> dict[str, str]:
    """What stands on the named tiles, by the name of the file that the graph reads it from."""
    names = _names(plan)
    texts = {video.recording_id: lettering.letters(video.name) for video in plan.videos}
    tiles = dict.fromkeys(tile for segment in segments for tile in segment.tiles)
    return {
        picture.script_name(names[tile.recording_id], tile): lettering.script(
            texts[tile.recording_id], tile.width, tile.height
        )
        for tile in tiles
        if tile.placeholder and tile.recording_id in names
    }


def _names(plan: CompositionPlan) -> dict[str, str]:
    """For each recording that is somewhere a named tile: how the files of its name begin."""
    named = {placement.recording_id for placement in plan.placements if placement.placeholder}
    return {
        video.recording_id: f"name-{number:05}"
        for number, video in enumerate(plan.videos)
        if video.recording_id in named and lettering.letters(video.name)
    }


def _times(preset: Preset) -> str:
    """A bitstream filter that gives every picture of the joined segments its time to be decoded, one frame apart.

    A segment of one or two pictures has other decoding times than a long one. Where it ends they would run backwards,
    and ffmpeg would squeeze those that follow.
    """
    return f"setts=pts=round(PTS*TB*{FPS})/{FPS}/TB:dts=(N-{_REORDERED[preset]})/{FPS}/TB"


_CONTAINER = ("-movflags", "+faststart", "-map_metadata", "-1", "-f", "mp4")


def _grain(plan: CompositionPlan) -> int:
    """How many frames apart changes of the arrangement are: one, unless cameras go on and off all the time."""
    changes = {frame for each in plan.placements for frame in (_frame_at(each.from_ms), _frame_at(each.until_ms))}
    most = plan.frames // SEGMENT_FRAMES_MEAN + SEGMENTS_EXTRA
    return 1 if len(changes) <= most else -(-plan.frames // most)


def _frame_at(ms: int, grain: int = 1) -> int:
    """The first frame at or after an instant of the composition that is a multiple of `grain`."""
    return -(-ms // (FRAME_MS * grain)) * grain


def _seen_at_once(here: Sequence[Placement]) -> Sequence[Placement]:
    recordings = list(dict.fromkeys(each.recording_id for each in here if not each.placeholder))
    if len(recordings) <= SEEN_AT_ONCE:
        return here
    chosen = set(recordings[:SEEN_AT_ONCE])
    return [each for each in here if each.placeholder or each.recording_id in chosen]


def _seen(each: Input) -> list[str]:
    """Arguments that read a picture."""
    # A change of resolution must not tear the graph down: that would lose what its filters hold and what the other
    # inputs show. Its filters take frames of any size. The frames since the last keyframe come along, so that a still
    # picture is there from the first frame on.
    return ["-reinit_filter", "0", "-noaccurate_seek", "-max_pixels", str(PIXELS_MAX), *each.arguments]


def _sound(number: int, position_ms: int, run_up_ms: int, left_ms: int, samples: int) -> str:
    """A chain that places one input on the stretch's own samples: silence before, in its gaps, and after."""
    per_ms = SAMPLE_RATE // 1000
    place = f"atrim=start_sample={run_up_ms * per_ms},asetpts=N/SR/TB"
    if position_ms < 0:
        place = f"asetpts=N/SR/TB,adelay={-position_ms * per_ms}S:all=1"
    end = min(samples, left_ms * per_ms)
    return (
        f"[{number}:a]aresample={SAMPLE_RATE}:async=1:min_hard_comp=0.01:first_pts=0,"
        f"aformat=sample_fmts=fltp:channel_layouts=stereo,{place},"
        f"atrim=end_sample={end},apad,atrim=end_sample={samples}[a{number}]"
    )


def _sum(chains: Sequence[str], samples: int, gain: float) -> list[str]:
    inputs = len(chains)
    everything = "".join(f"[a{number}]" for number in range(inputs))
    if inputs == 0:
        graph = f"anullsrc=r={SAMPLE_RATE}:cl=stereo,atrim=end_sample={samples}[out]"
    elif inputs == 1:
        graph = f"{chains[0]};[a0]volume={gain}[out]"
    else:
        graph = ";".join([*chains, f"{everything}amix=inputs={inputs}:normalize=0,volume={gain}[out]"])
    # FLAC keeps 24 bits of ffmpeg's 32, and its silence is nearly nothing.
    return [
        *("-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[out]"),
        *("-c:a", "flac", "-sample_fmt", "s32", "-compression_level", "0", "-f", "flac"),
    ]
