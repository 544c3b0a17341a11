"""Recordings: none is listed before its first packet, every start is followed by one completion."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from portico.core.errors import NotFound
from portico.core.filters import Condition
from portico.core.paging import Page
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import jobs, recordings
from portico.services.webhooks import DELIVERIES
from tests.factories import NOW, an_account, fact_names, facts, row, rows
from tests.recorded import (
    SECOND,
    a_recorded_participant,
    a_recording,
    a_stream,
    converted,
    gone,
    link,
    milliseconds,
    nothing_of,
    recording_of,
    started,
)

RECORDINGS, JOBS = schema.room_recordings, schema.jobs
LATER = NOW + 90 * SECOND


def listed(tx: Transaction, *conditions: Condition, account: str = "default") -> list[str]:
    found = recordings.list_recordings(tx, an_account(tx, account), Page(), conditions)
    assert found.total_results == len(found.items)
    return [recording.id for recording in found.items]


def queued(tx: Transaction, kind: str) -> list[str]:
    return sorted(job.subject for job in rows(tx, JOBS, kind=kind))


async def test_a_stream_has_two_recordings_that_are_not_listed_yet(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        before = fact_names(tx, person.room_id)
        mjr_name = a_stream(tx, person.participant_id, key="presentation")
        both = rows(tx, RECORDINGS, mjr_name=mjr_name)
        assert {each.type for each in both} == {"audio", "video"}
        for each in both:
            assert (each.status, each.stream_key, each.shown) == ("processing", "presentation", [])
            assert (each.session_id, each.room_id) == (person.session_id, person.room_id)
            with pytest.raises(NotFound):
                recordings.retrieve(tx, an_account(tx), each.id)
            with pytest.raises(NotFound):
                recordings.delete(tx, an_account(tx), each.id, now=NOW)
        assert listed(tx) == []
        assert fact_names(tx, person.room_id) == before
        assert recordings.unfinished_mjr_names(tx) == {mjr_name}

    await database.write(check)


async def test_who_is_not_there_is_not_recorded(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        gone(tx, person.participant_id, now=NOW)
        assert not recordings.begin(tx, person.participant_id, "self", "mjr_name", now=NOW)
        assert not recordings.begin(tx, person.session_id, "self", "mjr_name", now=NOW)
        assert rows(tx, RECORDINGS) == []

    await database.write(check)


async def test_the_first_packet_starts_a_recording_once(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        mjr_name = a_stream(tx, person.participant_id)
        later = NOW + SECOND
        shown = ((milliseconds(later), None),)
        assert recordings.first_media(tx, mjr_name, "audio", shown, now=later)
        assert not recordings.first_media(tx, mjr_name, "audio", (), now=LATER)
        assert not recordings.first_media(tx, "unknown", "audio", (), now=LATER)
        recording_id = recording_of(tx, mjr_name, "audio")
        assert listed(tx) == [recording_id]
        shown_now = recordings.retrieve(tx, an_account(tx), recording_id)
        assert (shown_now.started_at, shown_now.created_at, shown_now.updated_at) == (later, later, later)
        assert (shown_now.status, shown_now.ended_at, shown_now.object_key) == ("processing", None, None)
        assert row(tx, RECORDINGS, recording_id).shown == [[milliseconds(later), None]]
        assert facts(tx, person.room_id)[-1] == (
            "recording.started",
            {
                "session_id": person.session_id,
                "room_id": person.room_id,
                "participant_id": person.participant_id,
                "recording_id": recording_id,
                "type": "audio",
            },
        )
        assert fact_names(tx, person.room_id).count("recording.started") == 1

    await database.write(check)


async def test_when_a_track_was_shown_is_kept_and_ends_with_it(database: Database) -> None:
    def check(tx: Transaction) -> None:
        mjr_name = a_stream(tx, a_recorded_participant(tx).participant_id)
        start, end = milliseconds(NOW), milliseconds(LATER)
        recordings.first_media(tx, mjr_name, "video", [[start, None]], now=NOW)
        recordings.show(tx, mjr_name, "video", [[start, start + 5], [start + 10, None]], now=NOW + SECOND)
        recordings.end(tx, mjr_name, now=LATER)
        video = row(tx, RECORDINGS, recording_of(tx, mjr_name, "video"))
        assert video.shown == [[start, start + 5], [start + 10, end]]
        assert (video.ended_at, video.updated_at, video.status) == (LATER, LATER, "processing")
        assert row(tx, RECORDINGS, recording_of(tx, mjr_name, "audio")).shown == []
        recordings.show(tx, mjr_name, "video", [], now=LATER)
        assert not recordings.first_media(tx, mjr_name, "audio", (), now=LATER)
        assert row(tx, RECORDINGS, recording_of(tx, mjr_name, "video")).shown[1] == [start + 10, end]

    await database.write(check)


async def test_no_interval_ends_before_it_began(database: Database) -> None:
    def check(tx: Transaction) -> None:
        mjr_name = a_stream(tx, a_recorded_participant(tx).participant_id)
        start = milliseconds(NOW)
        recordings.first_media(tx, mjr_name, "video", [[start, None]], now=NOW)
        recordings.end(tx, mjr_name, now=NOW - SECOND)
        assert row(tx, RECORDINGS, recording_of(tx, mjr_name, "video")).shown == [[start, start]]

    await database.write(check)


async def test_what_is_over_is_to_be_finished(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        camera, screen = a_stream(tx, person.participant_id), a_stream(tx, person.participant_id, key="presentation")
        recordings.end(tx, camera, now=NOW)
        of_camera = sorted(recording_of(tx, camera, kind) for kind in ("audio", "video"))
        assert queued(tx, jobs.CONVERT_RECORDING) == of_camera
        recordings.end(tx, "unknown", now=NOW)
        recordings.end_of_participant(tx, person.participant_id, LATER)
        of_screen = [recording_of(tx, screen, kind) for kind in ("audio", "video")]
        assert queued(tx, jobs.CONVERT_RECORDING) == sorted(of_camera + of_screen)
        assert {row(tx, RECORDINGS, each).ended_at for each in of_camera} == {NOW}
        assert {row(tx, RECORDINGS, each).ended_at for each in of_screen} == {LATER}

    await database.write(check)


async def test_a_recording_is_completed_once(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        recording_id = started(tx, person.participant_id)
        outcome = converted(tx, recording_id, seconds=84.9, size_bytes=5_604_999)
        assert recordings.complete(tx, recording_id, outcome, link, now=LATER)
        assert not recordings.complete(tx, recording_id, outcome, link, now=LATER)
        assert not recordings.complete(tx, person.session_id, outcome, link, now=LATER)
        shown = recordings.retrieve(tx, an_account(tx), recording_id)
        assert (shown.status, shown.codec, shown.size_bytes) == ("completed", "vp8", 5_604_999)
        assert (shown.started_at, shown.ended_at, shown.completed_at) == (NOW, NOW + 84.9 * SECOND, LATER)
        assert (shown.duration_secs, shown.object_key) == (84, outcome.object_key)
        name, payload = facts(tx, person.room_id)[-1]
        assert name == "recording.completed"
        assert payload == {
            "session_id": person.session_id,
            "room_id": person.room_id,
            "participant_id": person.participant_id,
            "recording_id": recording_id,
            "type": "video",
            "size_mb": 5.6,
            "download_url": link(
                f"recordings/{person.session_id}/{recording_id}.webm",
                f"recording-20260202T222527Z-video-{recording_id[:8]}.webm",
            ),
            "codec": "vp8",
            "duration_secs": 84,
        }
        assert len(rows(tx, DELIVERIES, event_type="video.room.recording.completed")) == 1
        assert recordings.unfinished_mjr_names(tx) == {row(tx, RECORDINGS, recording_id).mjr_name}, (
            "the audio is not finished"
        )

    await database.write(check)


async def test_what_could_not_be_saved_is_completed_too(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        recording_id = started(tx, person.participant_id)
        assert recordings.complete(tx, recording_id, nothing_of(tx, recording_id), link, now=LATER)
        shown = recordings.retrieve(tx, an_account(tx), recording_id)
        assert (shown.status, shown.object_key, shown.duration_secs) == ("completed", None, 0)
        payload = facts(tx, person.room_id)[-1][1]
        assert (payload["download_url"], payload["size_mb"], payload["codec"]) == (None, 0.0, None)
        recordings.delete(tx, an_account(tx), recording_id, now=LATER)
        assert queued(tx, jobs.DELETE_OBJECT) == []

    await database.write(check)


async def test_a_file_whose_first_packet_was_not_reported_starts_and_completes(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        recording_id = recording_of(tx, a_stream(tx, person.participant_id), "audio")
        assert recordings.complete(tx, recording_id, converted(tx, recording_id), link, now=LATER)
        assert fact_names(tx, person.room_id)[-2:] == ["recording.started", "recording.completed"]
        shown = recordings.retrieve(tx, an_account(tx), recording_id)
        assert (shown.started_at, shown.created_at) == (NOW, LATER)

    await database.write(check)


async def test_a_track_without_media_leaves_nothing(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        mjr_name = a_stream(tx, person.participant_id)
        before = fact_names(tx, person.room_id)
        for kind in ("audio", "video"):
            assert recordings.discard(tx, recording_of(tx, mjr_name, kind))
        assert recordings.discard(tx, person.session_id), "it is gone already"
        assert rows(tx, RECORDINGS) == []
        assert fact_names(tx, person.room_id) == before
        assert recordings.unfinished_mjr_names(tx) == set()

    await database.write(check)


async def test_what_has_started_cannot_be_discarded(database: Database) -> None:
    def check(tx: Transaction) -> None:
        recording_id = started(tx, a_recorded_participant(tx).participant_id)
        assert not recordings.discard(tx, recording_id)
        assert listed(tx) == [recording_id]

    await database.write(check)


async def test_deleting_deletes_the_file(database: Database) -> None:
    def check(tx: Transaction) -> None:
        recording_id = a_recording(tx, a_recorded_participant(tx).participant_id)
        key = row(tx, RECORDINGS, recording_id).object_key
        other = an_account(tx, "other")
        with pytest.raises(NotFound):
            recordings.delete(tx, other, recording_id, now=LATER)
        assert queued(tx, jobs.DELETE_OBJECT) == []
        recordings.delete(tx, an_account(tx), recording_id, now=LATER)
        assert queued(tx, jobs.DELETE_OBJECT) == [key]
        with pytest.raises(NotFound):
            recordings.delete(tx, an_account(tx), recording_id, now=LATER)
        assert listed(tx) == []

    await database.write(check)


async def test_one_that_goes_on_is_not_kept_when_it_is_deleted(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        recording_id = started(tx, person.participant_id)
        mjr_name = row(tx, RECORDINGS, recording_id).mjr_name
        recordings.end(tx, mjr_name, now=NOW)
        (job,) = [
            job
            for job in jobs.claim(tx, [jobs.CONVERT_RECORDING], now=NOW, lease=SECOND, limit=9)
            if job.subject == recording_id
        ]
        before = fact_names(tx, person.room_id)
        recordings.delete(tx, an_account(tx), recording_id, now=LATER)
        assert not jobs.renew(tx, job.id, job.attempts, now=NOW, lease=SECOND)
        assert not recordings.complete(tx, recording_id, nothing_of_a_dead(tx, person.session_id), link, now=LATER)
        assert fact_names(tx, person.room_id) == before
        recordings.discard(tx, recording_of(tx, mjr_name, "audio"))
        assert recordings.unfinished_mjr_names(tx) == set()

    await database.write(check)


def nothing_of_a_dead(tx: Transaction, session_id: str) -> recordings.ConversionOutcome:
    """What a worker brings for a recording that is not there any more."""
    key = f"recordings/{session_id}/gone.webm"
    return recordings.ConversionOutcome("vp8", 1, "0" * 64, key, NOW, LATER, None)


async def test_a_page_is_deleted_as_the_list_shows_it(database: Database) -> None:
    def check(tx: Transaction) -> None:
        account = an_account(tx)
        person = a_recorded_participant(tx)
        made = [a_recording(tx, person.participant_id, now=NOW + number * SECOND) for number in range(4)]
        going_on = started(tx, person.participant_id, now=NOW + 10 * SECOND)
        assert listed(tx) == [going_on, *reversed(made)]
        assert recordings.delete_page(tx, account, Page(1, 2), now=LATER) == 1, "what goes on is on the page and stays"
        assert listed(tx) == [going_on, *reversed(made[:3])]
        assert recordings.delete_page(tx, account, Page(2, 2), now=LATER) == 2
        assert listed(tx) == [going_on, made[2]]
        assert recordings.delete_page(tx, account, Page(9, 2), now=LATER) == 0

    await database.write(check)


async def test_all_are_deleted_in_steps(database: Database) -> None:
    account = await database.write(an_account)

    def fill(tx: Transaction) -> tuple[str, str]:
        person, other = a_recorded_participant(tx), a_recorded_participant(tx, account="other")
        for number in range(5):
            a_recording(tx, person.participant_id, now=NOW + number * SECOND)
        later = a_recording(tx, person.participant_id, now=LATER + SECOND)
        return later, a_recording(tx, other.participant_id)

    later, theirs = await database.write(fill)
    step = partial(recordings.delete_some, account_id=account, conditions=(), now=LATER, limit=2)
    assert [await database.write(step) for _ in range(3)] == [(2, True), (2, True), (1, False)]
    assert await database.write(listed) == [later]
    assert await database.write(partial(listed, account="other")) == [theirs]
    assert len(await database.read(lambda tx: queued(tx, jobs.DELETE_OBJECT))) == 5


async def test_many_who_delete_at_once_count_each_recording_once(database: Database) -> None:
    def fill(tx: Transaction) -> str:
        person = a_recorded_participant(tx)
        for number in range(30):
            a_recording(tx, person.participant_id, now=NOW + number * SECOND)
        return an_account(tx)

    account = await database.write(fill)

    async def delete_all() -> int:
        step = partial(recordings.delete_some, account_id=account, conditions=(), now=LATER, limit=4)
        deleted, more = 0, True
        while more:
            count, more = await database.write(step)
            deleted += count
        return deleted

    assert sum(await asyncio.gather(*[delete_all() for _ in range(6)])) == 30
    assert await database.write(listed) == []
    assert len(await database.read(lambda tx: queued(tx, jobs.DELETE_OBJECT))) == 30


async def test_completing_and_deleting_at_once_leaves_nothing_behind(database: Database) -> None:
    """Either the completion is first and the file is deleted, or the worker learns that the recording is gone."""

    def begin(tx: Transaction) -> tuple[str, list[tuple[str, recordings.ConversionOutcome]]]:
        person = a_recorded_participant(tx)
        ids = [started(tx, person.participant_id) for _ in range(20)]
        return an_account(tx), [(each, converted(tx, each)) for each in ids]

    account, going_on = await database.write(begin)
    completing = [
        database.write(partial(recordings.complete, recording_id=each, outcome=outcome, link=link, now=LATER))
        for each, outcome in going_on
    ]
    deleting = [
        database.write(partial(recordings.delete, account_id=account, recording_id=each, now=LATER))
        for each, _ in going_on
    ]
    done = await asyncio.gather(*[each for pair in zip(completing, deleting, strict=True) for each in pair])
    completed = done[::2]
    assert await database.write(listed) == []
    assert len(await database.read(lambda tx: queued(tx, jobs.DELETE_OBJECT))) == completed.count(True)


async def test_only_what_matches_and_is_completed_is_deleted(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person, other = a_recorded_participant(tx), a_recorded_participant(tx)
        here, going_on = a_recording(tx, person.participant_id), started(tx, person.participant_id)
        there = a_recording(tx, other.participant_id)
        of_session = Condition("session_id", "eq", person.session_id)
        assert recordings.delete_some(tx, an_account(tx), [of_session], now=LATER) == (1, False)
        assert here not in listed(tx)
        assert sorted(listed(tx)) == sorted([going_on, there])

    await database.write(check)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("duration_secs", "ge", 60), {"long"}),
        (Condition("duration_secs", "ge", 10), {"long", "short"}),
        (Condition("status", "eq", "processing"), {"going on"}),
        (Condition("status", "eq", "lost"), set()),
        (Condition("type", "eq", "audio"), {"short"}),
        (Condition("ended_at", "le", NOW + 10 * SECOND), {"short"}),
        (Condition("started_at", "ge", NOW + SECOND), {"going on"}),
    ],
    ids=lambda each: str(each) if isinstance(each, Condition) else ",".join(sorted(each)),
)
async def test_filters(database: Database, condition: Condition, expected: set[str]) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        names = {
            a_recording(tx, person.participant_id, seconds=60): "long",
            a_recording(tx, person.participant_id, "audio", seconds=10): "short",
            started(tx, person.participant_id, now=NOW + timedelta(hours=1)): "going on",
        }
        assert {names[each] for each in listed(tx, condition)} == expected

    await database.write(check)


async def test_an_mjr_is_converted_where_its_files_are(database: Database) -> None:
    def check(tx: Transaction) -> None:
        joined = a_recorded_participant(tx)
        for mjr_name in ("0a1b2c3d_first", "99999999_second", "nowhere"):
            assert recordings.begin(tx, joined.participant_id, "self", mjr_name, now=NOW)
            recordings.end(tx, mjr_name, now=NOW)
        kinds = sorted(each.kind for each in rows(tx, schema.jobs))
        assert kinds == sorted(2 * ["convert_recording@0a1b2c3d", "convert_recording@99999999", "convert_recording"])
        here = jobs.convert_recording_at("0a1b2c3d_")
        assert len(jobs.claim(tx, [here], now=NOW, lease=SECOND, limit=9)) == 2

    await database.write(check)


async def test_what_was_shown_goes_on_to_the_end_of_what_was_saved(database: Database) -> None:
    """After a crash a participant left when they were last seen, while their media went on."""

    def check(tx: Transaction) -> None:
        joined = a_recorded_participant(tx)
        went_on, switched_off = (a_stream(tx, joined.participant_id, key=key) for key in ("self", "presentation"))
        begun = milliseconds(NOW)
        for mjr_name, shown in ((went_on, [[begun, None]]), (switched_off, [[begun, begun + 500]])):
            assert recordings.first_media(tx, mjr_name, "video", shown, now=NOW)
        gone(tx, joined.participant_id, now=NOW + SECOND)
        for mjr_name, until in ((went_on, begun + 4000), (switched_off, begun + 500)):
            recording_id = recording_of(tx, mjr_name, "video")
            assert recordings.complete(tx, recording_id, converted(tx, recording_id, seconds=4), link, now=NOW)
            assert row(tx, schema.room_recordings, recording_id).shown == [[begun, until]]

    await database.write(check)
