"""Recordings that tests need, made by the services as the gateway and the worker call them."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import select

from portico.core.object_keys import recording_key
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import participants, recordings, sessions
from portico.services.participants import Joined
from portico.services.recordings import ConversionOutcome
from tests.factories import NOW, a_participant, a_room, row

SECOND = timedelta(seconds=1)
ENDINGS = {"audio": ("opus", "ogg"), "video": ("vp8", "webm")}


def link(object_key: str, file_name: str) -> str:
    """What the store would answer."""
    return f"https://files.example.com/{object_key}?filename={file_name}"


def a_stream(tx: Transaction, participant_id: str, *, key: str = "self", now: datetime = NOW) -> str:
    """Begin a recorded stream that has sent no packet yet; the name of its mjr file."""
    mjr_name = f"mjr-{uuid4().hex}"
    assert recordings.begin(tx, participant_id, key, mjr_name, now=now)
    return mjr_name


def recording_of(tx: Transaction, mjr_name: str, kind: str) -> str:
    """The id of one of an mjr file's two recordings."""
    columns = schema.room_recordings.c
    found: str = tx.execute(select(columns.id).where(columns.mjr_name == mjr_name, columns.type == kind)).scalar_one()
    return found


def started(tx: Transaction, participant_id: str, kind: str = "video", *, now: datetime = NOW) -> str:
    """A recording that goes on, enabled from its beginning."""
    mjr_name = a_stream(tx, participant_id, now=now)
    assert recordings.first_media(tx, mjr_name, kind, [[milliseconds(now), None]], now=now)
    return recording_of(tx, mjr_name, kind)


def converted(
    tx: Transaction, recording_id: str, *, seconds: float = 60, size_bytes: int = 5_600_000
) -> ConversionOutcome:
    """What becomes of a recording: so many seconds of media from its beginning, or from NOW if it had none."""
    recording = row(tx, schema.room_recordings, recording_id)
    codec, ending = ENDINGS[recording.type]
    begun = recording.started_at or NOW
    return ConversionOutcome(
        codec=codec,
        size_bytes=size_bytes,
        sha256="0" * 64,
        object_key=recording_key(recording.session_id, recording_id, ending),
        started_at=begun,
        ended_at=begun + timedelta(seconds=seconds),
        failure=None,
    )


def nothing_of(tx: Transaction, recording_id: str) -> ConversionOutcome:
    """What becomes of a recording of which nothing could be saved."""
    lost = {"codec": None, "size_bytes": 0, "sha256": None, "object_key": None, "failure": "The disk was full."}
    return replace(converted(tx, recording_id, seconds=0), **lost)  # type: ignore[arg-type]


def a_recording(
    tx: Transaction, participant_id: str, kind: str = "video", *, seconds: float = 60, now: datetime = NOW
) -> str:
    """A completed recording of one track; the stream's other track had no media. Its id."""
    mjr_name = a_stream(tx, participant_id, now=now)
    assert recordings.first_media(tx, mjr_name, kind, [[milliseconds(now), None]], now=now)
    later = now + timedelta(seconds=seconds)
    recordings.end(tx, mjr_name, now=later)
    recording_id = recording_of(tx, mjr_name, kind)
    assert recordings.complete(tx, recording_id, converted(tx, recording_id, seconds=seconds), link, now=later)
    assert recordings.discard(tx, recording_of(tx, mjr_name, "audio" if kind == "video" else "video"))
    return recording_id


def a_recorded_participant(tx: Transaction, *, account: str = "default") -> Joined:
    """Add a participant to a new room that records and has a webhook."""
    return a_participant(tx, a_room(tx, account=account, webhook_event_url="http://127.0.0.1:1/hook"))


def over(tx: Transaction, session_id: str, *, now: datetime) -> None:
    """The session ends."""
    sessions.end(tx, session_id, ended_reason="Ended from API", left_reason="session_ended", now=now)


def gone(tx: Transaction, participant_id: str, *, now: datetime) -> None:
    """Let the participant leave."""
    assert participants.leave(tx, participant_id, "left", now=now)


def milliseconds(instant: datetime) -> int:
    """Since the Unix epoch."""
    return int(instant.timestamp() * 1000)
