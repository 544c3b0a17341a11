"""Turns a composition's sources into the plan that the composer reads: instants, cells, names and files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from portico.composer.plan import AudioFile, CompositionPlan, Preset, VideoFile
from portico.core import layout
from portico.core.names import display_name
from portico.services.composition_sources import ShownParticipant, SourceRecording, Work

SCREEN = "presentation"
"""The key under which the official SDK's applications publish a shared screen."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def interval(work: Work) -> tuple[datetime, datetime] | None:
    """(Start of the first source, end of the last source); None without sources."""
    if not work.sources:
        return None
    return min(source.started_at for source in work.sources), max(source.ended_at for source in work.sources)


def make(work: Work, files: Mapping[str, Path], preset: Preset) -> CompositionPlan:
    """The plan for these sources. `files` has the path of each, by recording id."""
    during = interval(work)
    assert during is not None
    started_ms, ended_ms = _ms(during[0]), _ms(during[1])
    videos = [source for source in work.sources if source.type == "video"]
    audios = [source for source in work.sources if source.type == "audio"] if work.sound else []
    shown = [_shown(video) for video in videos]
    cameraless = _without_camera(work, videos, started_ms, ended_ms)
    if work.show_placeholders:
        shown = _while_present(work, videos, shown, started_ms, ended_ms)
    placements = layout.plan(
        work.regions,
        [*shown, *cameraless.values()],
        work.width,
        work.height,
        started_ms,
        ended_ms,
        work.show_placeholders,
    )
    named = {
        _placeholder_id(participant): display_name(participant.label, participant.context)
        for participant in work.participants
    }
    return CompositionPlan(
        work.width,
        work.height,
        started_ms,
        ended_ms - started_ms,
        placements,
        (
            *(VideoFile(each.id, str(files[each.id]), _ms(each.started_at), _name(each)) for each in videos),
            *(VideoFile(each, "", cameraless[each].started_ms, named[each]) for each in cameraless),
        ),
        tuple(AudioFile(a.id, str(files[a.id]), _ms(a.started_at), _ms(a.ended_at)) for a in audios),
        work.sound,
        preset,
    )


def _name(source: SourceRecording) -> str:
    return display_name(source.label, source.context)


def _shown(video: SourceRecording) -> layout.VideoSource:
    """The source for the layout: shown while the camera was on, within the recording's own time."""
    started, ended = _ms(video.started_at), _ms(video.ended_at)
    shown = tuple((max(begin, started), min(ended, ended if end is None else end)) for begin, end in video.shown)
    return layout.VideoSource(video.id, started, ended, shown, screen=video.stream_key == SCREEN)


def _while_present(
    work: Work, videos: Sequence[SourceRecording], shown: Sequence[layout.VideoSource], started_ms: int, ended_ms: int
) -> list[layout.VideoSource]:
    """The sources with those of cameras extended from joining to leaving: meanwhile they keep a cell."""
    present = {
        participant.participant_id: _present(participant, started_ms, ended_ms) for participant in work.participants
    }
    result = list(shown)
    cameras: dict[str, list[int]] = {}
    for index in sorted(range(len(shown)), key=lambda number: shown[number].started_ms):
        if not shown[index].screen:
            cameras.setdefault(videos[index].participant_id, []).append(index)
    for participant_id, indices in cameras.items():
        joined, left = present.get(participant_id, (ended_ms, started_ms))
        first, last = indices[0], indices[-1]
        result[first] = replace(result[first], started_ms=min(joined, result[first].started_ms))
        for index, following in pairwise(indices):
            result[index] = replace(result[index], ended_ms=max(result[index].ended_ms, result[following].started_ms))
        result[last] = replace(result[last], ended_ms=max(left, result[last].ended_ms))
    return result


def _without_camera(
    work: Work, videos: Sequence[SourceRecording], started_ms: int, ended_ms: int
) -> dict[str, layout.VideoSource]:
    """A source that is never shown for each participant without a recorded camera, by `_placeholder_id`."""
    cameras = {video.participant_id for video in videos if video.stream_key != SCREEN}
    found = {}
    for participant in work.participants:
        joined, left = _present(participant, started_ms, ended_ms)
        if participant.participant_id not in cameras and joined < left:
            found[_placeholder_id(participant)] = layout.VideoSource(_placeholder_id(participant), joined, left, ())
    return found


def _present(participant: ShownParticipant, started_ms: int, ended_ms: int) -> tuple[int, int]:
    """When a participant was in the session: (from, until) in Unix milliseconds, within the composition."""
    left = ended_ms if participant.left_at is None else _ms(participant.left_at)
    return max(started_ms, _ms(participant.joined_at)), min(ended_ms, left)


def _placeholder_id(participant: ShownParticipant) -> str:
    """What stands for a recording id in the sources of a participant without a camera."""
    return f"participant-{participant.participant_id}"


def _ms(instant: datetime) -> int:
    return (instant - _EPOCH) // _MS
