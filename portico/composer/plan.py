"""What is composed: the recordings, where each is shown and when, and how the work is cut into segments.

Pure. The picture is cut wherever the arrangement of the tiles changes and at least every `SEGMENT_FRAMES`, so that each
command reads only the inputs that are visible in its segment, and so that finished segments survive an interruption.
Cuts lie on frame boundaries, and for sound on the samples that belong to them: pictures and sound stay in step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from portico.composer import picture
from portico.composer.picture import FPS, Tile, even
from portico.core.layout import Placement

FRAME_MS = 1000 // FPS
SAMPLE_RATE = 48_000
SEGMENT_FRAMES = 5 * 60 * FPS
"""A segment's length at most, 5 minutes: what an interruption costs, and what one command may have to decode."""
SEGMENT_FRAMES_MEAN = 2 * FPS
SEGMENTS_EXTRA = 200
"""A composition has one segment per two seconds at most, and so many more: each costs a process and a keyframe."""
VISIBLE_MAX = 100
"""Recordings that one command decodes. Of more that are in the layout at a time, the latest are not shown."""
INPUTS_MAX = 32
"""Recordings whose sound one command sums; more are summed in groups first."""

Preset = Literal["fast", "default", "small"]


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A recorded video, or with an empty path a participant without a camera, who has only placeholder tiles."""

    recording_id: str
    path: str
    started_ms: int
    """When the file's timestamp 0 was, in Unix milliseconds."""
    name: str = ""
    """The name of the participant, which placeholder tiles show."""


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A recorded sound."""

    recording_id: str
    path: str
    started_ms: int
    """When the file's timestamp 0 was, in Unix milliseconds."""
    ended_ms: int
    """Sound after this, in Unix milliseconds, is left out."""


@dataclass(frozen=True, slots=True)
class CompositionPlan:
    """A whole composition: what the worker writes as JSON and the composer reads."""

    width: int
    height: int
    """In pixels."""
    started_ms: int
    """Its beginning in Unix milliseconds, which the times of the placements count from."""
    duration_ms: int
    placements: tuple[Placement, ...]
    videos: tuple[VideoFile, ...]
    audios: tuple[AudioFile, ...] = ()
    sound: bool = True
    preset: Preset = "default"

    @property
    def frames(self) -> int:
        """The number of its frames: its duration, rounded."""
        return max(1, (self.duration_ms + FRAME_MS // 2) // FRAME_MS)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the picture with the same tiles in the same cells throughout."""

    first_frame: int
    frames: int
    tiles: tuple[Tile, ...]
    """The lowest first: a later one covers an earlier one."""


@dataclass(frozen=True, slots=True)
class SoundSegment:
    """A part of the sound, and the recordings that have sound in it."""

    first_frame: int
    frames: int
    audios: tuple[AudioFile, ...]

    @property
    def samples(self) -> int:
        """Its length at SAMPLE_RATE."""
        return self.frames * SAMPLE_RATE // FPS


def picture_segments(plan: CompositionPlan) -> tuple[Segment, ...]:
    """The segments of the picture in order; together they have each frame once."""
    grain = _grain(plan)
    cuts = {plan.frames, *range(0, plan.frames, SEGMENT_FRAMES)}
    for placement in plan.placements:
        cuts |= {_frame_at(placement.from_ms, grain), _frame_at(placement.until_ms, grain)}
    known = {video.recording_id for video in plan.videos}
    upcoming = sorted(
        (each for each in plan.placements if each.placeholder or each.recording_id in known),
        key=lambda each: each.from_ms,
        reverse=True,
    )
    shown: list[Placement] = []
    result = []
    for first, until in pairwise(sorted(cut for cut in cuts if 0 <= cut <= plan.frames)):
        while upcoming and _frame_at(upcoming[-1].from_ms, grain) <= first:
            shown.append(upcoming.pop())
        shown = [placement for placement in shown if _frame_at(placement.until_ms, grain) > first]
        tiles = picture.tiles(_visible(shown), even(plan.width), even(plan.height))
        result.append(Segment(first, until - first, tiles))
    return tuple(result)


def sound_segments(plan: CompositionPlan) -> tuple[SoundSegment, ...]:
    """The segments of the sound in order; together they have each sample once."""
    result = []
    for first in range(0, plan.frames, SEGMENT_FRAMES):
        frames = min(SEGMENT_FRAMES, plan.frames - first)
        begin, end = plan.started_ms + first * FRAME_MS, plan.started_ms + (first + frames) * FRAME_MS
        audible = tuple(audio for audio in plan.audios if audio.started_ms < end and audio.ended_ms > begin)
        result.append(SoundSegment(first, frames, audible))
    return tuple(result)


def sum_groups(segment: SoundSegment) -> tuple[SoundSegment, ...]:
    """Copies of the segment, each with at most INPUTS_MAX of its recordings, together with all; at least one."""
    starts = range(0, max(1, len(segment.audios)), INPUTS_MAX)
    return tuple(replace(segment, audios=segment.audios[start : start + INPUTS_MAX]) for start in starts)


def _grain(plan: CompositionPlan) -> int:
    """The raster of cuts in frames: 1, or more if changes are so frequent that there would be too many segments."""
    changes = {frame for each in plan.placements for frame in (_frame_at(each.from_ms), _frame_at(each.until_ms))}
    most = plan.frames // SEGMENT_FRAMES_MEAN + SEGMENTS_EXTRA
    return 1 if len(changes) <= most else -(-plan.frames // most)


def _frame_at(ms: int, grain: int = 1) -> int:
    """The first frame at or after `ms`, counted from the composition's beginning, that is a multiple of `grain`."""
    return -(-ms // (FRAME_MS * grain)) * grain


def _visible(shown: Sequence[Placement]) -> Sequence[Placement]:
    """The placements without those of recordings beyond the first VISIBLE_MAX; placeholders stay."""
    recordings = list(dict.fromkeys(each.recording_id for each in shown if not each.placeholder))
    if len(recordings) <= VISIBLE_MAX:
        return shown
    chosen = set(recordings[:VISIBLE_MAX])
    return [each for each in shown if each.placeholder or each.recording_id in chosen]
