"""Recordings of a media node that does not come back are completed without a file, once its time is over."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import uuid4

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import jobs, nodes, recordings
from portico.services.nodes import NodeAddress
from portico.worker.recordings.lost import LostRecordings
from tests.clocks import Clock
from tests.factories import NOW, fact_names, row, rows
from tests.recorded import a_recorded_participant, gone, milliseconds, recording_of

DAY = timedelta(days=1)
NODE = "01234567"
ADDRESS = NodeAddress("ws://127.0.0.1:8188", None, "key", None, "/var/lib/mjr", "1.4.1")


def lose_a_recording(tx: Transaction) -> tuple[str, str, str]:
    """(room, recording of sound that began, one of video without a packet) of a node that is then lost."""
    assert nodes.register(tx, NODE, ADDRESS, now=NOW) == 1
    person = a_recorded_participant(tx)
    mjr_name = f"{NODE}_{uuid4()}"
    assert recordings.begin(tx, person.participant_id, "self", mjr_name, now=NOW)
    assert recordings.first_media(tx, mjr_name, "audio", [[milliseconds(NOW), None]], now=NOW)
    sound, pictures = (recording_of(tx, mjr_name, kind) for kind in ("audio", "video"))
    gone(tx, person.participant_id, now=NOW + timedelta(minutes=1))
    assert nodes.mark_lost(tx, NODE, epoch=1, now=NOW)
    return person.room_id, sound, pictures


def node_jobs(tx: Transaction) -> list[str]:
    return sorted(job.subject for job in rows(tx, schema.jobs) if job.kind == jobs.convert_recording_at(f"{NODE}_"))


async def test_a_recording_waits_a_day_for_its_node_and_is_completed_without_a_file(database: Database) -> None:
    room_id, sound, pictures = await database.write(lose_a_recording)
    clock = Clock(NOW + DAY - timedelta(seconds=1))
    lost = LostRecordings(database, after=DAY, clock=clock)
    await lost.complete()
    assert await database.read(node_jobs) == sorted([sound, pictures]), "the node may still come back"
    clock.now = NOW + DAY
    await lost.complete()
    await lost.complete()

    def check(tx: Transaction) -> None:
        assert node_jobs(tx) == []
        recording = row(tx, schema.room_recordings, sound)
        assert (recording.status, recording.object_key, recording.completed_at) == ("completed", None, NOW + DAY)
        assert rows(tx, schema.room_recordings, id=pictures) == [], "it never began: no event has to follow"
        assert fact_names(tx, room_id).count("recording.completed") == 1

    await database.read(check)


async def test_a_node_that_is_back_keeps_its_recordings(database: Database) -> None:
    _, sound, pictures = await database.write(lose_a_recording)
    await database.write(
        partial(nodes.register, node_id=NODE, address=replace(ADDRESS, version="1.4.2"), now=NOW + DAY)
    )
    await LostRecordings(database, after=DAY, clock=Clock(NOW + 2 * DAY)).complete()
    assert await database.read(node_jobs) == sorted([sound, pictures])
