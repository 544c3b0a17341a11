"""Which recorded videos are decoded alone and made small before the composition, and how.

A composition decodes what is seen at one time in one process. What would take too much memory together, has more
pictures than a camera, or would be decoded again and again from a keyframe far back, is made small once: as large as
its largest cell, with keyframes to begin at. Pure.
"""

from collections.abc import Mapping, Sequence

from portico.composer import picture
from portico.composer.commands import FRAME_MS, PIXELS_MAX, CompositionPlan, Input, Segment, seen
from portico.composer.picture import FPS, Tile
from portico.composer.source_facts import SourceFacts

PIXELS_AT_ONCE = 24_000_000
"""Of all that one command decodes, in pictures of the announced sizes: 25 of 1280x720. Measured, 8 bytes for each."""
_PIXELS_EACH = 150_000
"""What an input takes besides its picture."""
PICTURES_PER_SEC = 65
"""A recording with more, on average, is no camera and no screen of a browser."""
RUN_UP_MS, RUN_UP_SHARE = 20_000, 0.5
"""How much may be decoded in vain over the whole composition: so long, and this share of the recording's length."""
CPU_SECS, CPU_SECS_PER_SEC = 60, 3
"""What making one recording small may cost, and for each of its seconds."""
ALL_CPU_SECS, ALL_CPU_SECS_PER_SEC = 600, 10
"""What making recordings small may cost in all, and for each second of the composition."""


def needed(plan: CompositionPlan, segments: Sequence[Segment], facts: Mapping[str, SourceFacts]) -> list[str]:
    """The recordings to make small, in the order in which they are first seen."""
    chosen: set[str] = set()
    in_vain = dict.fromkeys(facts, 0)
    for segment in segments:
        inputs = seen(plan, segment)
        for recording_id, read in inputs.items():
            if recording_id in facts:
                in_vain[recording_id] += facts[recording_id].run_up_ms(max(0, read.position_ms))
        chosen |= _too_large(inputs, facts, largest_cells([segment]), chosen)
    for recording_id, found in facts.items():
        too_many = found.pictures > PICTURES_PER_SEC * (found.last_ms / 1000 + 1)
        if too_many or in_vain[recording_id] > RUN_UP_MS + RUN_UP_SHARE * found.last_ms:
            chosen.add(recording_id)
    return [recording_id for recording_id in facts if recording_id in chosen]


def largest_cells(segments: Sequence[Segment]) -> dict[str, tuple[int, int]]:
    """For each recording that is seen, the greatest width and the greatest height of its cells."""
    sizes: dict[str, tuple[int, int]] = {}
    for segment in segments:
        for tile in segment.tiles:
            if not tile.placeholder:
                width, height = sizes.get(tile.recording_id, (0, 0))
                sizes[tile.recording_id] = (max(width, tile.width), max(height, tile.height))
    return sizes


def command(path: str, size: tuple[int, int]) -> list[str]:
    """Arguments, without the output's name, that decode one recording alone and fit it into a cell of this size."""
    tile = Tile("", 0, 0, *size)
    # Of pictures that come faster than any camera's some are left out; the times of the others stay as they are.
    steady = f"[0:v]select='isnan(prev_selected_t)+gte(t-prev_selected_t\\,{0.9 / PICTURES_PER_SEC:.4f})'[s0]"
    graph = f"{steady};{picture.fitted(0, tile)};[t0]null[small]"
    return [
        *("-reinit_filter", "0", "-max_pixels", str(PIXELS_MAX), *Input(path, "0:v:0", 0).arguments),
        *("-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[small]", "-fps_mode", "passthrough"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-g", str(2 * FPS), "-threads", "1"),
        *("-map_metadata", "-1", "-f", "matroska"),
    ]


def cpu_secs(found: SourceFacts | None, plan: CompositionPlan, spent: float) -> int:
    """How much CPU time one recording may take when so much was spent on others; 0 when nothing is left."""
    last_ms = found.last_ms if found else plan.duration_ms
    left = ALL_CPU_SECS + ALL_CPU_SECS_PER_SEC * plan.frames * FRAME_MS / 1000 - spent
    return max(0, min(int(left), CPU_SECS + CPU_SECS_PER_SEC * (last_ms // 1000)))


def _too_large(
    inputs: Mapping[str, Input],
    facts: Mapping[str, SourceFacts],
    cells: Mapping[str, tuple[int, int]],
    chosen: set[str],
) -> set[str]:
    """Of what is decoded at one time, the largest that have to go so that the rest is not too much."""
    sizes = {each: facts[each].pixels for each in inputs if each in facts and each not in chosen}
    small = sum(cells[each][0] * cells[each][1] for each in inputs if each in chosen)
    total = sum(sizes.values()) + small + _PIXELS_EACH * len(inputs)
    found = set()
    for each in sorted(sizes, key=sizes.__getitem__, reverse=True):
        saved = sizes[each] - cells[each][0] * cells[each][1]
        if total <= PIXELS_AT_ONCE or saved <= 0:
            break
        found.add(each)
        total -= saved
    return found
