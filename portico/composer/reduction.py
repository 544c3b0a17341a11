"""Chooses which recorded videos are replaced by reduced copies before they are composed, and how to make these. Pure.

One command decodes all recordings that are visible in a segment. Recordings that take too much memory together, have
more pictures than a camera, or would be decoded again and again from a keyframe far back, get a reduced copy: as large
as their largest cell, with frequent keyframes. Each copy is made by a command of its own.
"""

from collections.abc import Mapping, Sequence

from portico.composer import picture
from portico.composer.commands import PIXELS_MAX, Input, visible_inputs
from portico.composer.picture import FPS, Tile
from portico.composer.plan import FRAME_MS, CompositionPlan, Segment
from portico.composer.source_facts import SourceFacts

PIXELS_AT_ONCE = 24_000_000
"""Sum over the inputs of one command, by their announced sizes: 25 of 1280x720. A pixel takes 8 bytes, as measured."""
_PIXELS_EACH = 150_000
"""What an input takes besides, in pixels."""
PICTURES_PER_SEC = 65
"""A browser's camera or screen has fewer on average; a recording with more is reduced."""
RUN_UP_MS, RUN_UP_SHARE = 20_000, 0.5
"""How much of a recording may be decoded without being shown: so long, and this share of its length besides."""
CPU_SECS, CPU_SECS_PER_SEC = 60, 3
"""CPU seconds that a reduced copy may cost: so many, and so many for each second of the recording."""
ALL_CPU_SECS, ALL_CPU_SECS_PER_SEC = 600, 10
"""CPU seconds that all reduced copies together may cost: so many, and so many for each second of the composition."""


def needed(plan: CompositionPlan, segments: Sequence[Segment], facts: Mapping[str, SourceFacts]) -> list[str]:
    """The ids of the recordings to reduce, in the order of `facts`."""
    chosen: set[str] = set()
    unshown = dict.fromkeys(facts, 0)
    for segment in segments:
        inputs = visible_inputs(plan, segment)
        for recording_id, read in inputs.items():
            if recording_id in facts:
                unshown[recording_id] += facts[recording_id].run_up_ms(max(0, read.position_ms))
        chosen |= _too_large(inputs, facts, largest_cells([segment]), chosen)
    for recording_id, found in facts.items():
        too_many = found.pictures > PICTURES_PER_SEC * (found.last_ms / 1000 + 1)
        if too_many or unshown[recording_id] > RUN_UP_MS + RUN_UP_SHARE * found.last_ms:
            chosen.add(recording_id)
    return [recording_id for recording_id in facts if recording_id in chosen]


def largest_cells(segments: Sequence[Segment]) -> dict[str, tuple[int, int]]:
    """For each visible recording, (the greatest width, the greatest height) of its cells in pixels."""
    sizes: dict[str, tuple[int, int]] = {}
    for segment in segments:
        for tile in segment.tiles:
            if not tile.placeholder:
                width, height = sizes.get(tile.recording_id, (0, 0))
                sizes[tile.recording_id] = (max(width, tile.width), max(height, tile.height))
    return sizes


def command(path: str, size: tuple[int, int]) -> list[str]:
    """Arguments, without the output's name, that make the reduced copy of one recording for cells of this size."""
    tile = Tile("", 0, 0, *size)
    # Pictures that follow each other faster than PICTURES_PER_SEC are left out; the others keep their times.
    steady = f"[0:v]select='isnan(prev_selected_t)+gte(t-prev_selected_t\\,{0.9 / PICTURES_PER_SEC:.4f})'[s0]"
    graph = f"{steady};{picture.fitted(0, tile)};[t0]null[small]"
    return [
        *("-reinit_filter", "0", "-max_pixels", str(PIXELS_MAX), *Input(path, "0:v:0", 0).arguments),
        *("-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[small]", "-fps_mode", "passthrough"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-g", str(2 * FPS), "-threads", "1"),
        *("-map_metadata", "-1", "-f", "matroska"),
    ]


def cpu_secs(found: SourceFacts | None, plan: CompositionPlan, spent: float) -> int:
    """CPU seconds that one reduced copy may take after `spent` seconds for others; 0 if nothing is left."""
    last_ms = found.last_ms if found else plan.duration_ms
    left = ALL_CPU_SECS + ALL_CPU_SECS_PER_SEC * plan.frames * FRAME_MS / 1000 - spent
    return max(0, min(int(left), CPU_SECS + CPU_SECS_PER_SEC * (last_ms // 1000)))


def _too_large(
    inputs: Mapping[str, Input],
    facts: Mapping[str, SourceFacts],
    cells: Mapping[str, tuple[int, int]],
    chosen: set[str],
) -> set[str]:
    """Of the inputs of one command, the largest that must be reduced so that the sum stays below PIXELS_AT_ONCE."""
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
