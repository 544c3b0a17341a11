"""The ffmpeg commands that make a composition: one for each segment's picture, some for its sound, one that joins all.

Pure: no file is touched, nothing is started. Commands are lists of arguments, without ffmpeg's own name.
https://ffmpeg.org/ffmpeg-filters.html, https://ffmpeg.org/ffmpeg-formats.html#concat-1
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from portico.composer import lettering, picture
from portico.composer.picture import FPS, even
from portico.composer.plan import (
    FRAME_MS,
    SAMPLE_RATE,
    CompositionPlan,
    Preset,
    Segment,
    SoundSegment,
)

PICTURE_CPU_SECS, PICTURE_CPU_SECS_PER_SEC, PICTURE_CPU_SECS_PER_INPUT = 60, 10, 2
"""CPU seconds that a segment's picture may cost: so many, and more for each second, and for each second of an input.

Only hostile recordings come near the limit.
"""
PIXELS_MAX = 8192 * 4320
"""A recorded picture that announces more pixels is not decoded: a few kilobytes can demand gigabytes of memory."""

# The lookahead that `superfast` lacks halves the size and costs nearly nothing: the result is as similar to its sources
# as that of `veryfast` and a tenth larger, for 80 % of the CPU time. benchmarks/composition.py measures it.
_QUALITY: dict[Preset, tuple[str, int, str]] = {
    "fast": ("ultrafast", 25, ""),
    "default": ("superfast", 23, ":mbtree=1:rc-lookahead=10"),
    "small": ("fast", 26, ""),
}
_REORDERED: dict[Preset, int] = {"fast": 0, "default": 2, "small": 2}
"""By how many pictures decoding runs ahead of showing: 2 where x264 uses B-frames that other B-frames refer to."""
_KEYFRAME_EVERY = 4 * FPS
_HEADROOM = 8
"""Sums of sound are divided by this until the limiter, so that 24 bits hold them even if many speak at once."""
_RUN_UP_MS = 1000
"""How much earlier the decoding of sound begins: an Opus decoder converges within 80 ms (RFC 7845 section 4.6)."""


@dataclass(frozen=True, slots=True)
class Input:
    """One stream of a recording's file, read from its timestamp `position_ms` on."""

    path: str
    stream: str
    """ffmpeg's specifier, such as "0:v:0"."""
    position_ms: int
    """Negative if the recording begins later than what it is an input for."""

    @property
    def arguments(self) -> list[str]:
        """ffmpeg's arguments that read the file and shift its timestamp `position_ms` to 0."""
        position = ["-seek_timestamp", "1", "-ss", f"{max(0, self.position_ms) / 1000:.3f}"]
        if self.position_ms < 0:
            position += ["-itsoffset", f"{-self.position_ms / 1000:.3f}"]
        return ["-threads", "1", "-protocol_whitelist", "file", *position, "-i", f"file:{self.path}"]


def picture_command(plan: CompositionPlan, segment: Segment, *, threads: int, lettering: bool) -> list[str]:
    """Arguments, without the output's name, that encode one segment's picture into an MP4 with exactly its frames."""
    inputs = visible_inputs(plan, segment)
    # How many frames the last picture of an input stays: the one before the segment may be its last one.
    stays = {name: segment.frames + max(0, each.position_ms) // FRAME_MS + FPS for name, each in inputs.items()}
    names = _names(plan) if lettering else {}
    graph = picture.graph(even(plan.width), even(plan.height), segment.tiles, stays, names)
    x264_preset, quality, more = _QUALITY[plan.preset]
    return [
        *(argument for each in inputs.values() for argument in _picture_input(each)),
        *("-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[out]"),
        *("-frames:v", str(segment.frames), "-c:v", "libx264", "-preset", x264_preset, "-crf", str(quality)),
        # All joined segments share one header: x264 must not adapt it to the content of each.
        *("-x264-params", f"stitchable=1{more}", "-g", str(_KEYFRAME_EVERY), "-threads", str(threads)),
        # Browsers send these colours; without the statement a player would guess others from the size.
        *("-colorspace", "smpte170m", "-color_range", "tv", "-map_metadata", "-1", "-f", "mp4"),
    ]


def picture_cpu_secs(segment: Segment) -> int:
    """The CPU seconds that `picture_command` may take for this segment."""
    rate = PICTURE_CPU_SECS_PER_SEC + PICTURE_CPU_SECS_PER_INPUT * len(segment.tiles)
    return PICTURE_CPU_SECS + rate * segment.frames // FPS


def sound_cpu_secs(segment: SoundSegment) -> int:
    """The CPU seconds that each command for the sound of this segment may take."""
    return PICTURE_CPU_SECS + PICTURE_CPU_SECS_PER_SEC * segment.frames // FPS


def joining_cpu_secs(plan: CompositionPlan) -> int:
    """The CPU seconds that `join_command` may take: it encodes the sound of the whole composition."""
    return PICTURE_CPU_SECS + PICTURE_CPU_SECS_PER_SEC * plan.frames // FPS


def visible_inputs(plan: CompositionPlan, segment: Segment) -> dict[str, Input]:
    """The inputs of `picture_command` in their order, by recording id."""
    at_ms = plan.started_ms + segment.first_frame * FRAME_MS
    files = {video.recording_id: video for video in plan.videos}
    shown = dict.fromkeys(tile.recording_id for tile in segment.tiles if not tile.placeholder)
    return {each: Input(files[each].path, "0:v:0", at_ms - files[each].started_ms) for each in shown}


def audible_inputs(plan: CompositionPlan, segment: SoundSegment) -> dict[str, Input]:
    """The inputs of `sound_command` in their order, by recording id."""
    at_ms = plan.started_ms + segment.first_frame * FRAME_MS
    return {each.recording_id: Input(each.path, "0:a:0", at_ms - each.started_ms) for each in segment.audios}


def sound_command(plan: CompositionPlan, segment: SoundSegment) -> list[str]:
    """Arguments, without the output's name, that sum a segment's sound into a FLAC with exactly its samples."""
    inputs, chains = [], []
    at_ms = plan.started_ms + segment.first_frame * FRAME_MS
    for number, (audio, read) in enumerate(zip(segment.audios, audible_inputs(plan, segment).values(), strict=True)):
        run_up_ms = min(_RUN_UP_MS, max(0, read.position_ms))
        inputs += replace(read, position_ms=max(0, read.position_ms) - run_up_ms).arguments
        chains.append(_sound_chain(number, read.position_ms, run_up_ms, audio.ended_ms - at_ms, segment.samples))
    return [*inputs, *_sum(chains, segment.samples, 1 / _HEADROOM)]


def sum_groups_command(segment: SoundSegment, parts: Sequence[str]) -> list[str]:
    """Arguments, without the output's name, that sum the FLAC files `parts`, one for each group of the segment."""
    inputs = [argument for part in parts for argument in ("-i", part)]
    chains = [f"[{number}:a]anull[a{number}]" for number in range(len(parts))]
    return [*inputs, *_sum(chains, segment.samples, 1)]


def join_command(pictures: str, sounds: str | None, preset: Preset) -> list[str]:
    """Arguments, without the output's name, that join all segments.

    `pictures` and `sounds` are the names of lists for the concat demuxer. Pictures are copied; sound is limited and
    encoded.
    """
    picture = ["-f", "concat", "-i", pictures]
    copied = ["-c:v", "copy", "-bsf:v", _times(preset)]
    if sounds is None:
        return [*picture, "-map", "0:v", *copied, *_CONTAINER]
    limited = f"volume={_HEADROOM},alimiter=limit=0.95:level=0:attack=5:release=80"
    # The coder "fast" takes half the time, but makes loud tones a third softer.
    return [
        *picture,
        *("-f", "concat", "-i", sounds, "-map", "0:v", "-map", "1:a", *copied),
        *("-af", limited, "-c:a", "aac", "-aac_coder", "twoloop", "-b:a", "128k", "-ar", str(SAMPLE_RATE), "-ac", "2"),
        *_CONTAINER,
    ]


def lettering_trial(script: str) -> list[str]:
    """A whole command that fails if this ffmpeg has no libass, and so cannot draw the subtitle file `script`."""
    letter = f"color=s=64x64:r={FPS}:d={1 / FPS},ass=f={script}[out]"
    return ["-filter_complex", letter, "-map", "[out]", "-f", "null", "-"]


def reading_trial(of: Input) -> list[str]:
    """A whole command that decodes the first frame of an input; it succeeds without a frame if there is none."""
    return [*_picture_input(of), "-map", of.stream, "-frames", "1", "-f", "null", "-"]


def concat_list(parts: Sequence[tuple[str, int]]) -> str:
    """The text of a list for the concat demuxer. A part is (name of a file in the list's folder, number of frames)."""
    lines = [f"file '{name}'\nduration {frames * FRAME_MS / 1000:.3f}\n" for name, frames in parts]
    return "ffconcat version 1.0\n" + "".join(lines)


def scripts(plan: CompositionPlan, segments: Sequence[Segment]) -> dict[str, str]:
    """The subtitle scripts of all tiles with a name: by file name, as `picture.graph` reads them, their text."""
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
    """For each recording with a placeholder tile and a visible name: how the names of its script files begin."""
    named = {placement.recording_id for placement in plan.placements if placement.placeholder}
    return {
        video.recording_id: f"name-{number:05}"
        for number, video in enumerate(plan.videos)
        if video.recording_id in named and lettering.letters(video.name)
    }


def _times(preset: Preset) -> str:
    """A bitstream filter that sets the decoding times of all pictures one frame apart.

    A segment of one or two pictures has other decoding times than a long one: after it they would run backwards, and
    ffmpeg would change those that follow.
    """
    return f"setts=pts=round(PTS*TB*{FPS})/{FPS}/TB:dts=(N-{_REORDERED[preset]})/{FPS}/TB"


_CONTAINER = ("-movflags", "+faststart", "-map_metadata", "-1", "-f", "mp4")


def _picture_input(each: Input) -> list[str]:
    """Arguments that read a video input."""
    # -reinit_filter 0: a change of resolution must not rebuild the graph, which would lose the frames that its filters
    # hold, also those of other inputs; the filters take frames of any size. -noaccurate_seek: the frames since the last
    # keyframe are decoded too, so that a still picture is there from the segment's first frame on.
    return ["-reinit_filter", "0", "-noaccurate_seek", "-max_pixels", str(PIXELS_MAX), *each.arguments]


def _sound_chain(number: int, position_ms: int, run_up_ms: int, left_ms: int, samples: int) -> str:
    """A filter chain that aligns one input with the segment's samples; gaps, and the time outside it, are silent."""
    per_ms = SAMPLE_RATE // 1000
    aligned = f"atrim=start_sample={run_up_ms * per_ms},asetpts=N/SR/TB"
    if position_ms < 0:
        aligned = f"asetpts=N/SR/TB,adelay={-position_ms * per_ms}S:all=1"
    end = min(samples, left_ms * per_ms)
    return (
        f"[{number}:a]aresample={SAMPLE_RATE}:async=1:min_hard_comp=0.01:first_pts=0,"
        f"aformat=sample_fmts=fltp:channel_layouts=stereo,{aligned},"
        f"atrim=end_sample={end},apad,atrim=end_sample={samples}[a{number}]"
    )


def _sum(chains: Sequence[str], samples: int, gain: float) -> list[str]:
    """Arguments that sum the outputs [a0], [a1], ... of these chains, times `gain`, into a FLAC."""
    inputs = len(chains)
    labels = "".join(f"[a{number}]" for number in range(inputs))
    if inputs == 0:
        graph = f"anullsrc=r={SAMPLE_RATE}:cl=stereo,atrim=end_sample={samples}[out]"
    elif inputs == 1:
        graph = f"{chains[0]};[a0]volume={gain}[out]"
    else:
        graph = ";".join([*chains, f"{labels}amix=inputs={inputs}:normalize=0,volume={gain}[out]"])
    # FLAC keeps 24 of ffmpeg's 32 bits, and takes next to no space for silence.
    return [
        *("-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[out]"),
        *("-c:a", "flac", "-sample_fmt", "s32", "-compression_level", "0", "-f", "flac"),
    ]
