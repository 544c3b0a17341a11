"""From what a composition is to show to the plan of its film: instants, cells, names and files."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from portico.core import layout
from portico.media.film import AudioFile, FilmPlan, Preset, VideoFile
from portico.services.compositions import Source, Work

NAME_LENGTH_MAX = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def interval(work: Work) -> tuple[datetime, datetime] | None:
    """From the first to the last moment of anything that is seen or heard; None when there is nothing."""
    if not work.sources:
        return None
    return min(source.started_at for source in work.sources), max(source.ended_at for source in work.sources)


def make(work: Work, files: Mapping[str, Path], preset: Preset) -> FilmPlan:
    """The film of these sources, whose files are given by recording id."""
    during = interval(work)
    assert during is not None
    started_ms, ended_ms = _ms(during[0]), _ms(during[1])
    videos = [source for source in work.sources if source.type == "video"]
    audios = [source for source in work.sources if source.type == "audio"] if work.sound else []
    placements = layout.plan(
        work.regions,
        [_shown(video) for video in videos],
        work.width,
        work.height,
        started_ms,
        ended_ms,
        work.show_placeholders,
    )
    return FilmPlan(
        work.width,
        work.height,
        started_ms,
        ended_ms - started_ms,
        placements,
        tuple(VideoFile(each.id, str(files[each.id]), _ms(each.started_at), name(each)) for each in videos),
        tuple(AudioFile(a.id, str(files[a.id]), _ms(a.started_at), _ms(a.ended_at)) for a in audios),
        work.sound,
        preset,
    )


def name(source: Source) -> str:
    """What to write where somebody has no picture: the token's label, else a name in the context, else the context."""
    if source.label:
        return source.label[:NAME_LENGTH_MAX]
    context = source.context or ""
    try:
        members = json.loads(context)
    except (ValueError, RecursionError):
        return context[:NAME_LENGTH_MAX]
    named = members.get("name") if isinstance(members, dict) else members
    return named[:NAME_LENGTH_MAX] if isinstance(named, str) else ""


def _shown(video: Source) -> layout.Source:
    started, ended = _ms(video.started_at), _ms(video.ended_at)
    shown = tuple((begin, ended if end is None else end) for begin, end in video.shown)
    return layout.Source(video.id, started, ended, shown)


def _ms(instant: datetime) -> int:
    return (instant - _EPOCH) // _MS
