"""Compositions: when one begins, what it is made of, and what becomes of it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from portico.core.errors import Invalid, NotFound
from portico.core.filters import Condition
from portico.core.model import Composition, Region
from portico.core.object_keys import composition_key
from portico.core.paging import Page
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import compositions, jobs, recordings, webhooks
from portico.services.composition_sources import Work
from portico.services.compositions import CompositionFile
from portico.services.webhooks import DELIVERIES
from tests.factories import NOW, a_participant, a_room, an_account, fact_names, facts, row, rows
from tests.recorded import (
    SECOND,
    a_recorded_participant,
    a_recording,
    converted,
    gone,
    link,
    milliseconds,
    over,
    started,
)

COMPOSITIONS, JOBS = schema.room_compositions, schema.jobs
LATER = NOW + timedelta(minutes=5)
OWN_URL = "http://127.0.0.1:2/composition"


def wanted(tx: Transaction, session_id: str, *, account: str = "default", **members: Any) -> Composition:
    """A composition of this session, as the API asks for it."""
    return compositions.create(
        tx,
        an_account(tx, account),
        {"session_id": session_id, **members},
        regions_max=16,
        sound_by_default=True,
        now=NOW,
    )


def begun(tx: Transaction, composition_id: str) -> Work:
    work = compositions.begin(tx, composition_id, now=LATER)
    assert isinstance(work, Work)
    return work


def composition(composition_id: str) -> CompositionFile:
    return CompositionFile(2_600_000, "0" * 64, f"compositions/{composition_id}.mp4", NOW, NOW + 84.5 * SECOND)


def sources(*ids: str) -> dict[str, Any]:
    return {"only": {"video_sources": list(ids)}}


async def test_what_is_asked_for_is_queued(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        layout = {"z": {"video_sources": "*"}, "a": {"x_pos": "640", "video_sources": ["*"]}}
        made = wanted(tx, person.session_id, video_layout=layout, resolution="1280x720")
        assert (made.status, made.progress, made.created_at, made.started_at) == ("enqueued", 0.0, NOW, None)
        assert (made.room_id, made.session_id) == (person.room_id, person.session_id)
        found = compositions.retrieve(tx, an_account(tx), made.id)
        assert found == made
        assert list(found.video_layout) == ["z", "a"], "the order counts"
        assert found.video_layout["a"]["width"] == 640
        assert [(job.kind, job.subject, job.due_at) for job in rows(tx, JOBS)] == [(jobs.COMPOSE, made.id, NOW)]

    await database.write(check)


async def test_what_is_not_there_cannot_be_composed(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person, other, foreign = (
            a_recorded_participant(tx),
            a_recorded_participant(tx),
            a_recorded_participant(tx, account="other"),
        )
        video, audio = a_recording(tx, person.participant_id), a_recording(tx, person.participant_id, "audio")
        elsewhere = a_recording(tx, other.participant_id)
        unseen = rows(tx, schema.room_recordings, mjr_name=stream_without_media(tx, person.participant_id))[0].id
        with pytest.raises(Invalid) as caught:
            wanted(tx, person.session_id, video_layout=sources(video, audio, elsewhere, str(uuid4()), unseen))
        at = "/video_layout/only/video_sources"
        assert [(fault.code, fault.pointer) for fault in caught.value.faults] == [
            ("10017", f"{at}/{index}") for index in (1, 2, 3, 4)
        ]
        for session_id in (foreign.session_id, str(uuid4()), "S"):
            with pytest.raises(Invalid) as caught:
                wanted(tx, session_id, video_layout=sources(video))
            assert [(fault.code, fault.pointer) for fault in caught.value.faults] == [("10017", "/session_id")]
        assert rows(tx, COMPOSITIONS) == []
        assert (
            wanted(tx, person.session_id.upper(), video_layout=sources(video.upper())).session_id == person.session_id
        )

    await database.write(check)


def stream_without_media(tx: Transaction, participant_id: str) -> str:
    mjr_name = "mjr-without-media"
    assert recordings.begin(tx, participant_id, "self", mjr_name, now=NOW)
    return mjr_name


async def test_it_waits_for_the_session_and_its_recordings(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        composition = wanted(tx, person.session_id)
        recording_id = started(tx, person.participant_id)
        mjr_name = row(tx, schema.room_recordings, recording_id).mjr_name
        assert compositions.begin(tx, composition.id, now=NOW) is None, "the session is active"
        recordings.end(tx, mjr_name, now=LATER)
        over(tx, person.session_id, now=LATER)
        assert compositions.begin(tx, composition.id, now=LATER) is None, "both tracks are unfinished"
        recordings.complete(tx, recording_id, converted(tx, recording_id), link, now=LATER)
        assert compositions.begin(tx, composition.id, now=LATER) is None, "the other may still turn out to hold sound"
        assert compositions.retrieve(tx, an_account(tx), composition.id).status == "enqueued"
        recordings.discard(tx, rows(tx, schema.room_recordings, mjr_name=mjr_name, type="audio")[0].id)
        assert begun(tx, composition.id).composition_id == composition.id
        assert compositions.retrieve(tx, an_account(tx), composition.id).status == "processing"

    await database.write(check)


async def test_a_finished_recording_wakes_what_waits_for_it(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        wanted(tx, person.session_id)
        (job,) = jobs.claim(tx, [jobs.COMPOSE], now=NOW, lease=SECOND, limit=1)
        jobs.again(tx, job.id, None, due_at=LATER)
        assert jobs.claim(tx, [jobs.COMPOSE], now=NOW, lease=SECOND, limit=1) == []
        a_recording(tx, person.participant_id)
        assert [each.id for each in jobs.claim(tx, [jobs.COMPOSE], now=NOW, lease=SECOND, limit=1)] == [job.id]

    await database.write(check)


async def test_everything_that_the_composition_needs(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        tx.execute(schema.room_participants.update().values(label="Alice", context='{"role":"agent"}'))
        second = a_recording(tx, person.participant_id, seconds=20, now=NOW + SECOND)
        first = a_recording(tx, person.participant_id, seconds=30)
        sound = a_recording(tx, person.participant_id, "audio", seconds=30)
        over(tx, person.session_id, now=LATER)
        layout = {
            "main": {"video_sources": [second]},
            "corner": {"x_pos": 600, "y_pos": 400, "z_pos": 1, "width": 200, "height": 100, "max_rows": 2}
            | {"video_sources": [first, second]},
        }
        made = wanted(tx, person.session_id, video_layout=layout, resolution="800x600", show_placeholders=True)
        work = begun(tx, made.id)
        assert (work.width, work.height, work.sound, work.show_placeholders) == (800, 600, True, True)
        assert work.regions == (
            Region("main", 0, 0, 0, 800, 600, None, None, (second,)),
            Region("corner", 600, 400, 1, 200, 100, None, 2, (first, second)),
        )
        assert {source.id for source in work.sources} == {first, second, sound}
        start = milliseconds(NOW)
        shown = next(source for source in work.sources if source.id == first)
        assert (shown.type, shown.codec, shown.stream_key) == ("video", "vp8", "self")
        assert shown.object_key == f"recordings/{person.session_id}/{first}.webm"
        assert (shown.started_at, shown.ended_at) == (NOW, NOW + 30 * SECOND)
        assert shown.shown == ((start, start + 30_000),)
        assert (shown.participant_id, shown.label, shown.context) == (
            person.participant_id,
            "Alice",
            '{"role":"agent"}',
        )

    await database.write(check)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, {"a", "b", "sound"}),
        ({"audio_sources": None}, {"a", "b"}),
        ({"video_layout": {"x": {"video_sources": ["a"]}}}, {"a", "sound"}),
        ({"video_layout": {"x": {"video_sources": ["a"]}, "y": {"video_sources": "*"}}}, {"a", "b", "sound"}),
        ({"video_layout": {"x": {"video_sources": ["b", "lost"]}}, "audio_sources": []}, {"b"}),
    ],
)
async def test_only_tracks_that_the_composition_uses_are_fetched(
    database: Database, members: dict[str, Any], expected: set[str]
) -> None:
    def check(tx: Transaction) -> None:
        person, other = a_recorded_participant(tx), a_recorded_participant(tx)
        a_recording(tx, other.participant_id)
        ids = {
            "a": a_recording(tx, person.participant_id),
            "b": a_recording(tx, person.participant_id),
            "sound": a_recording(tx, person.participant_id, "audio"),
            "lost": a_recording(tx, person.participant_id),
        }
        lost = schema.room_recordings.c.id == ids["lost"]
        tx.execute(schema.room_recordings.update().where(lost).values(object_key=None))
        over(tx, person.session_id, now=LATER)
        layout = {
            name: {"video_sources": [ids.get(each, each) for each in region["video_sources"]]}
            for name, region in members.get("video_layout", {}).items()
        }
        made = wanted(tx, person.session_id, **(members | ({"video_layout": layout} if layout else {})))
        names = {recording_id: name for name, recording_id in ids.items()}
        assert {names[source.id] for source in begun(tx, made.id).sources} == expected

    await database.write(check)


async def test_a_session_without_recordings_begins_with_nothing(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        asked = wanted(tx, person.session_id)
        over(tx, person.session_id, now=LATER)
        assert begun(tx, asked.id).sources == ()

    await database.write(check)


@pytest.mark.parametrize("recorded", ["nothing", "no more", "sound only", "no media"])
async def test_what_can_never_be_made_is_refused_once_the_session_is_over(database: Database, recorded: str) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        if recorded == "no more":
            recordings.delete(tx, an_account(tx), a_recording(tx, person.participant_id), now=NOW)
        if recorded == "sound only":
            a_recording(tx, person.participant_id, "audio")
        if recorded == "no media":
            stream_without_media(tx, person.participant_id)
        silent: dict[str, Any] = {"audio_sources": None}
        assert wanted(tx, person.session_id, **silent).status == "enqueued", "something may be recorded yet"
        over(tx, person.session_id, now=LATER)
        if recorded == "no media":
            assert wanted(tx, person.session_id, **silent).status == "enqueued", "its files may turn out to hold some"
            for unseen in rows(tx, schema.room_recordings):
                recordings.discard(tx, unseen.id)
        with pytest.raises(Invalid) as refused:
            wanted(tx, person.session_id, **silent)
        assert [(fault.code, fault.pointer) for fault in refused.value.faults] == [("10027", "/session_id")]
        if recorded == "sound only":
            assert wanted(tx, person.session_id).status == "enqueued"

    await database.write(check)


def processing(tx: Transaction, **members: Any) -> Composition:
    """A composition that is being made."""
    person = a_recorded_participant(tx)
    a_recording(tx, person.participant_id)
    over(tx, person.session_id, now=LATER)
    made = wanted(tx, person.session_id, **members)
    begun(tx, made.id)
    return made


async def test_progress_can_be_read(database: Database) -> None:
    def check(tx: Transaction) -> None:
        made = processing(tx)
        for progress, shown in ((0.25, 0.25), (1.7, 1.0), (-1.0, 0.0)):
            assert compositions.set_progress(tx, made.id, progress, now=LATER)
            assert compositions.retrieve(tx, an_account(tx), made.id).progress == shown
        compositions.delete(tx, an_account(tx), made.id, now=LATER)
        assert not compositions.set_progress(tx, made.id, 0.5, now=LATER)

    await database.write(check)


async def test_one_that_was_begun_and_left_is_begun_again(database: Database) -> None:
    def check(tx: Transaction) -> None:
        made = processing(tx)
        compositions.set_progress(tx, made.id, 0.5, now=LATER)
        assert begun(tx, made.id).sources
        again = compositions.retrieve(tx, an_account(tx), made.id)
        assert (again.status, again.progress) == ("processing", 0.0)

    await database.write(check)


async def test_a_composition_is_completed_once_and_sent_to_its_own_url(database: Database) -> None:
    def check(tx: Transaction) -> None:
        own = {
            "webhook_event_url": OWN_URL,
            "webhook_event_failover_url": "http://127.0.0.1:3/",
            "webhook_timeout_secs": 7,
        }
        made = processing(tx, resolution="800x600", **own)
        assert compositions.complete(tx, made.id, composition(made.id), link, now=LATER)
        assert not compositions.complete(tx, made.id, composition(made.id), link, now=LATER)
        done = compositions.retrieve(tx, an_account(tx), made.id)
        assert (done.status, done.progress, done.size_bytes, done.duration_secs) == ("completed", 1.0, 2_600_000, 84)
        assert (done.started_at, done.ended_at, done.completed_at) == (NOW, NOW + 84.5 * SECOND, LATER)
        key = f"compositions/{made.id}.mp4"
        assert facts(tx, made.room_id)[-1] == (
            "composition.completed",
            {
                "composition_id": made.id,
                "download_url": link(key, f"composition-20260202T222527Z-{made.id[:8]}.mp4"),
                "duration_secs": 84,
                "format": "mp4",
                "resolution": "800x600",
                "room_id": made.room_id,
                "session_id": made.session_id,
                "size_mb": 2.6,
            },
        )
        (delivery,) = rows(tx, DELIVERIES, event_type="video.room.composition.completed")
        assert (delivery.url, delivery.failover_url, delivery.timeout_secs) == (OWN_URL, "http://127.0.0.1:3/", 7)
        assert delivery.origin == "http://127.0.0.1:2"
        webhooks.replay(tx, an_account(tx), delivery.id, now=LATER)
        assert row(tx, DELIVERIES, delivery.id).url == OWN_URL, "the room's URL is not for it"

    await database.write(check)


async def test_without_an_own_url_nothing_is_sent(database: Database) -> None:
    def check(tx: Transaction) -> None:
        made = processing(tx)
        assert compositions.complete(tx, made.id, composition(made.id), link, now=LATER)
        assert fact_names(tx, made.room_id)[-1] == "composition.completed"
        assert rows(tx, DELIVERIES, event_type="video.room.composition.completed") == []

    await database.write(check)


async def test_one_that_failed_says_why_once_and_to_its_own_url(database: Database) -> None:
    def check(tx: Transaction) -> None:
        made = processing(tx, webhook_event_url=OWN_URL)
        assert compositions.fail(tx, made.id, "The disk is full.", now=LATER)
        assert not compositions.fail(tx, made.id, "Again.", now=LATER)
        failed = compositions.retrieve(tx, an_account(tx), made.id)
        assert (failed.status, failed.failure, failed.completed_at) == ("failed", "The disk is full.", None)
        expected = {"composition_id": made.id, "room_id": made.room_id, "session_id": made.session_id}
        assert facts(tx, made.room_id)[-1] == ("composition.failed", expected | {"failure": "The disk is full."})
        assert fact_names(tx, made.room_id).count("composition.failed") == 1
        (delivery,) = rows(tx, DELIVERIES, event_type="video.room.composition.failed")
        assert delivery.url == OWN_URL
        webhooks.replay(tx, an_account(tx), delivery.id, now=LATER)
        assert row(tx, DELIVERIES, delivery.id).url == OWN_URL, "the room's URL is not for it"
        assert not compositions.complete(tx, made.id, composition(made.id), link, now=LATER)
        with pytest.raises(NotFound):
            compositions.begin(tx, made.id, now=LATER)

    await database.write(check)


async def test_deleting_stops_the_making(database: Database) -> None:
    def check(tx: Transaction) -> None:
        made = processing(tx)
        (job,) = jobs.claim(tx, [jobs.COMPOSE], now=LATER, lease=SECOND, limit=1)
        before = fact_names(tx, made.room_id)
        with pytest.raises(NotFound):
            compositions.delete(tx, an_account(tx, "other"), made.id, now=LATER)
        compositions.delete(tx, an_account(tx), made.id, now=LATER)
        assert not jobs.renew(tx, job.id, job.attempts, now=LATER, lease=SECOND)
        assert not compositions.complete(tx, made.id, composition(made.id), link, now=LATER)
        assert not compositions.fail(tx, made.id, "", now=LATER)
        with pytest.raises(NotFound):
            compositions.begin(tx, made.id, now=LATER)
        with pytest.raises(NotFound):
            compositions.delete(tx, an_account(tx), made.id, now=LATER)
        assert fact_names(tx, made.room_id) == before
        # Parts of it may lie in a folder, which no other job looks into.
        (clearing,) = jobs.claim(tx, [jobs.COMPOSE], now=LATER, lease=SECOND, limit=1)
        assert clearing.subject == made.id
        # The composition may have been on its way into the store.
        (late,) = rows(tx, JOBS, kind=jobs.DELETE_OBJECT)
        assert (late.subject, late.due_at) == (composition_key(made.id), LATER + compositions.ON_ITS_WAY)

    await database.write(check)


async def test_deleting_deletes_the_file(database: Database) -> None:
    def check(tx: Transaction) -> None:
        made = processing(tx)
        compositions.complete(tx, made.id, composition(made.id), link, now=LATER)
        compositions.delete(tx, an_account(tx), made.id, now=LATER)
        (job,) = rows(tx, JOBS, kind=jobs.DELETE_OBJECT)
        assert job.subject == f"compositions/{made.id}.mp4"

    await database.write(check)


async def test_lists(database: Database) -> None:
    def check(tx: Transaction) -> None:
        account = an_account(tx)
        waiting, made = wanted(tx, a_recorded_participant(tx).session_id), processing(tx)
        person = a_participant(tx, a_room(tx, account="other"))
        wanted(tx, person.session_id, account="other")

        def listed(*conditions: Condition) -> list[str]:
            return [each.id for each in compositions.list_compositions(tx, account, Page(), conditions).items]

        assert sorted(listed()) == sorted([waiting.id, made.id])
        assert listed(Condition("status", "eq", "processing")) == [made.id]
        assert listed(Condition("session_id", "eq", waiting.session_id)) == [waiting.id]
        assert listed(Condition("created_at", "ge", NOW + SECOND)) == []
        with pytest.raises(NotFound):
            compositions.retrieve(tx, an_account(tx, "other"), made.id)

    await database.write(check)


async def test_a_participant_who_left_is_shown_too(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        recording_id = a_recording(tx, person.participant_id)
        gone(tx, person.participant_id, now=LATER)
        over(tx, person.session_id, now=LATER)
        assert [source.id for source in begun(tx, wanted(tx, person.session_id).id).sources] == [recording_id]

    await database.write(check)
