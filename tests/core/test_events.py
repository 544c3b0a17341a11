"""The events of webhooks, member by member (contract section 6.1)."""

from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.core.events import (
    CompositionCompleted,
    CompositionFailed,
    Event,
    ParticipantJoined,
    ParticipantLeft,
    RecordingCompleted,
    RecordingStarted,
    SessionEnded,
    SessionStarted,
    megabytes,
    whole_seconds,
)

START = datetime(2026, 2, 2, 22, 25, 27, 521992, tzinfo=UTC)
_RECORDING = {"session_id", "room_id", "participant_id", "recording_id", "type"}
MEMBERS: dict[str, tuple[type[Event], set[str]]] = {
    "video.room.session.started": (SessionStarted, {"session_id", "room_id"}),
    "video.room.session.ended": (SessionEnded, {"session_id", "room_id", "duration_secs", "ended_reason"}),
    "video.room.participant.joined": (ParticipantJoined, {"session_id", "room_id", "participant_id", "context"}),
    "video.room.participant.left": (
        ParticipantLeft,
        {"session_id", "room_id", "participant_id", "context", "duration_secs", "left_reason"},
    ),
    "video.room.recording.started": (RecordingStarted, _RECORDING),
    "video.room.recording.completed": (
        RecordingCompleted,
        _RECORDING | {"size_mb", "download_url", "codec", "duration_secs"},
    ),
    "video.room.composition.completed": (
        CompositionCompleted,
        {
            "composition_id",
            "download_url",
            "duration_secs",
            "format",
            "resolution",
            "room_id",
            "session_id",
            "size_mb",
        },
    ),
    "video.room.composition.failed": (CompositionFailed, {"composition_id", "failure", "room_id", "session_id"}),
}


@pytest.mark.parametrize("event_type", MEMBERS)
def test_type_and_payload_members(event_type: str) -> None:
    kind, members = MEMBERS[event_type]
    assert kind.event_type == event_type
    assert {field.name for field in fields(kind)} == members


def test_no_event_type_is_missing_or_more() -> None:
    assert set(Event.__args__) == {kind for kind, _ in MEMBERS.values()}


def test_the_type_is_not_a_payload_member() -> None:
    assert asdict(SessionStarted("s", "r")) == {"session_id": "s", "room_id": "r"}


@pytest.mark.parametrize(
    ("lasted", "secs"),
    [
        (timedelta(0), 0),
        (timedelta(microseconds=999_999), 0),
        (timedelta(seconds=1), 1),
        (timedelta(seconds=84, microseconds=500_468), 84),
        (timedelta(days=2, microseconds=-1), 2 * 86400 - 1),
        (timedelta(seconds=-1), 0),
        (timedelta(microseconds=-1), 0),
    ],
)
def test_durations_are_floors_and_never_negative(lasted: timedelta, secs: int) -> None:
    assert whole_seconds(START, START + lasted) == secs


@given(st.timedeltas(timedelta(0), timedelta(days=3650)))
def test_a_duration_is_the_floor(lasted: timedelta) -> None:
    assert timedelta(0) <= lasted - timedelta(seconds=whole_seconds(START, START + lasted)) < timedelta(seconds=1)


@pytest.mark.parametrize(("size", "shown"), [(0, 0.0), (5_600_000, 5.6), (2_604_999, 2.6), (4_000, 0.0), (5_001, 0.01)])
def test_sizes_are_millions_of_bytes_to_two_decimals(size: int, shown: float) -> None:
    assert megabytes(size) == shown
