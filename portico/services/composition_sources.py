"""What a composition is made of: the recordings and participants of its session, read for one request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from portico.core.composition_request import EVERY_SOURCE
from portico.core.model import Region
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import recordings

RECORDINGS = schema.room_recordings
PARTICIPANTS = schema.room_participants
SESSIONS = schema.room_sessions
_SOURCE_MEMBERS = ("id", "type", "codec", "object_key", "started_at", "ended_at", "stream_key", "participant_id")


@dataclass(frozen=True, slots=True)
class SourceRecording:
    """A completed recording whose picture or sound is in a composition, and what is known of its participant."""

    id: str
    type: str
    codec: str
    object_key: str
    started_at: datetime
    ended_at: datetime
    stream_key: str
    participant_id: str
    shown: tuple[tuple[int, int | None], ...]
    """Intervals in which the track was enabled, in Unix milliseconds."""
    label: str | None
    context: str | None


@dataclass(frozen=True, slots=True)
class ShownParticipant:
    """A participant of the session, who gets a tile with a name where placeholders are shown."""

    participant_id: str
    joined_at: datetime
    left_at: datetime | None
    label: str | None
    context: str | None


@dataclass(frozen=True, slots=True)
class Work:
    """The inputs of a composition. `sources` are the videos that some region shows and, with sound, all audio."""

    composition_id: str
    width: int
    height: int
    regions: tuple[Region, ...]
    sound: bool
    show_placeholders: bool
    sources: tuple[SourceRecording, ...]
    participants: tuple[ShownParticipant, ...] = ()
    """All participants of the session, where placeholders are shown; else empty."""


def goes_on(tx: Transaction, session_id: str) -> bool:
    """Whether the session is active, or a recording of it, also one that REST does not show yet, is not completed."""
    active = select(SESSIONS.c.id).where(SESSIONS.c.id == session_id, SESSIONS.c.active)
    unfinished = (RECORDINGS.c.session_id == session_id) & (RECORDINGS.c.status != recordings.COMPLETED)
    return any(tx.execute(each).first() for each in (active, select(RECORDINGS.c.id).where(unfinished).limit(1)))


def videos_of(tx: Transaction, session_id: str) -> set[str]:
    """The ids of the session's video recordings that have media."""
    videos = (RECORDINGS.c.session_id == session_id) & (RECORDINGS.c.type == recordings.VIDEO)
    visible = select(RECORDINGS.c.id).where(videos, RECORDINGS.c.started_at.is_not(None))
    return {row.id for row in tx.execute(visible)}


def region_of(name: str, members: dict[str, Any]) -> Region:
    """The region of this name with the members of a `video_layout`."""
    return Region(name, **(members | {"video_sources": tuple(members["video_sources"])}))


def sources_of(
    tx: Transaction, session_id: str, regions: Sequence[Region], *, sound: bool
) -> tuple[SourceRecording, ...]:
    """The session's recordings with a file that the regions show and, with `sound`, all audio; by their start."""
    named = {source for region in regions for source in region.video_sources}
    wanted = [RECORDINGS.c.type == recordings.AUDIO] if sound else []
    video = RECORDINGS.c.type == recordings.VIDEO
    wanted.append(video if EVERY_SOURCE in named else video & RECORDINGS.c.id.in_(named))
    rows = tx.execute(
        select(
            *(RECORDINGS.c[name] for name in (*_SOURCE_MEMBERS, "shown")),
            PARTICIPANTS.c.label,
            PARTICIPANTS.c.context,
        )
        .join(PARTICIPANTS, PARTICIPANTS.c.id == RECORDINGS.c.participant_id)
        .where(RECORDINGS.c.session_id == session_id, RECORDINGS.c.object_key.is_not(None), or_(*wanted))
        .order_by(RECORDINGS.c.started_at, RECORDINGS.c.id)
    )
    return tuple(_source(dict(row._mapping)) for row in rows)


def participants_of(tx: Transaction, session_id: str) -> tuple[ShownParticipant, ...]:
    """All participants that the session has had, by their join."""
    rows = PARTICIPANTS.c
    columns = (rows.id, rows.joined_at, rows.left_at, rows.label, rows.context)
    chosen = select(*columns).where(rows.session_id == session_id).order_by(rows.joined_at, rows.id)
    return tuple(ShownParticipant(*row) for row in tx.execute(chosen))


def _source(row: dict[str, Any]) -> SourceRecording:
    shown = tuple((begun, ended) for begun, ended in row["shown"])
    return SourceRecording(**(row | {"shown": shown}))
