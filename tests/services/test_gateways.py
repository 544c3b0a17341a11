"""The lease of a gateway: who is lost with it, when they left, and that nobody stays as a ghost."""

import asyncio
import threading
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from portico.core.targets import Targets
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import gateways, moderation, participants, rooms, sessions
from portico.services.gateways import LEASE
from tests.factories import NOW, a_gateway, a_participant, a_room, an_account, fact_names, facts, row, rows

SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=5)
TICK = timedelta(microseconds=1)
LOCKED_WITHIN_SECS = 10.0


async def test_a_gateway_that_beats_lives(database: Database) -> None:
    def live(tx: Transaction) -> None:
        gateway_id = a_gateway(tx)
        joined = a_participant(tx, a_room(tx), gateway_id=gateway_id)
        assert gateways.beat(tx, gateway_id, NOW + LEASE - TICK)
        now = NOW + LEASE + LEASE - 2 * TICK
        assert not gateways.sweep_is_due(tx, now=now, grace=GRACE)
        assert gateways.reap(tx, unseen_since=now - LEASE) == 0
        assert row(tx, schema.room_participants, joined.participant_id).left_at is None

    await database.write(live)


async def test_the_people_of_a_dead_gateway_left_when_it_was_last_seen(database: Database) -> None:
    def die(tx: Transaction) -> None:
        room_id, dead, alive = a_room(tx), a_gateway(tx), a_gateway(tx, NOW + LEASE)
        lost = a_participant(tx, room_id, gateway_id=dead)
        stays = a_participant(tx, room_id, gateway_id=alive)
        gateways.beat(tx, dead, NOW + 3 * SECOND)
        now = NOW + 3 * SECOND + LEASE
        assert not gateways.sweep_is_due(tx, now=now - TICK, grace=GRACE)
        assert gateways.sweep_is_due(tx, now=now, grace=GRACE)
        assert gateways.reap(tx, unseen_since=now - LEASE) == 1

        gone = row(tx, schema.room_participants, lost.participant_id)
        assert (gone.left_at, gone.left_reason) == (NOW + 3 * SECOND, "timeout")
        assert row(tx, schema.room_participants, stays.participant_id).left_at is None
        name, payload = facts(tx, room_id)[-1]
        assert (name, payload["duration_secs"], payload["left_reason"]) == ("participant.left", 3, "timeout")
        assert not gateways.beat(tx, dead, now), "it learns that it was declared dead"
        assert gateways.beat(tx, alive, now)
        assert not gateways.sweep_is_due(tx, now=now, grace=GRACE)

    await database.write(die)


async def test_who_joined_after_the_last_beat_left_when_they_joined(database: Database) -> None:
    def die(tx: Transaction) -> None:
        room_id, dead = a_room(tx), a_gateway(tx)
        joined = a_participant(tx, room_id, gateway_id=dead, now=NOW + 4 * SECOND)
        gateways.reap(tx, unseen_since=NOW)
        gone = row(tx, schema.room_participants, joined.participant_id)
        assert (gone.joined_at, gone.left_at) == (NOW + 4 * SECOND, NOW + 4 * SECOND)
        assert facts(tx, room_id)[-1][1]["duration_secs"] == 0

    await database.write(die)


async def test_the_session_of_a_dead_gateway_ends_by_itself(database: Database) -> None:
    def die(tx: Transaction) -> None:
        room_id, dead = a_room(tx), a_gateway(tx)
        a_participant(tx, room_id, gateway_id=dead)
        now = NOW + LEASE
        gateways.reap(tx, unseen_since=now - LEASE)
        assert gateways.sweep_is_due(tx, now=now, grace=GRACE)
        assert sessions.end_stale(tx, now=now, grace=GRACE) == [room_id]
        assert fact_names(tx, room_id)[-2:] == ["participant.left", "session.ended"]

    await database.write(die)


async def test_who_left_before_is_not_touched(database: Database) -> None:
    def die(tx: Transaction) -> None:
        room_id, dead = a_room(tx), a_gateway(tx)
        joined = a_participant(tx, room_id, gateway_id=dead)
        participants.leave(tx, joined.participant_id, "kicked", now=NOW)
        assert gateways.reap(tx, unseen_since=NOW) == 0
        assert row(tx, schema.room_participants, joined.participant_id).left_reason == "kicked"
        assert rows(tx, schema.gateways, id=dead) == []

    await database.write(die)


async def test_a_step_is_bounded_and_the_steps_reach_everybody(database: Database) -> None:
    def crowd(tx: Transaction) -> None:
        for _ in range(3):
            dead, room_id = a_gateway(tx), a_room(tx, max_participants=50)
            for _ in range(9):
                a_participant(tx, room_id, gateway_id=dead)

    await database.write(crowd)
    step: Any = partial(gateways.reap, unseen_since=NOW, limit=10)
    steps = [await database.write(step) for _ in range(4)]
    assert steps == [10, 10, 7, 0]
    assert await database.read(partial(rows, table=schema.room_participants, left_at=None)) == []
    assert await database.read(partial(rows, table=schema.gateways)) == []


async def test_a_gateway_whose_people_were_partly_closed_does_not_come_back_to_life(database: Database) -> None:
    """Between two steps of the sweep it beats again: it must hear that rows of its participants are closed."""

    def die_and_beat(tx: Transaction) -> None:
        room_id, dead = a_room(tx), a_gateway(tx)
        for _ in range(2):
            a_participant(tx, room_id, gateway_id=dead)
        assert gateways.reap(tx, unseen_since=NOW, limit=1) == 1
        assert not gateways.beat(tx, dead, NOW + LEASE)

    await database.write(die_and_beat)


async def test_a_gateway_that_retires_with_people_in_rooms_leaves_no_ghosts(database: Database) -> None:
    """A stop waits a bounded time for its connections; who has not left by then must be found by somebody."""

    def retire(tx: Transaction) -> None:
        gateway_id = a_gateway(tx)
        a_participant(tx, a_room(tx), gateway_id=gateway_id)
        gateways.retire(tx, gateway_id, NOW)
        gateways.reap(tx, unseen_since=NOW + timedelta(days=1))
        assert rows(tx, schema.room_participants, left_at=None) == []

    await database.write(retire)


# What a gateway hears of its participants.


async def test_a_gateway_hears_who_left_and_why_and_who_is_muted(database: Database) -> None:
    def change(tx: Transaction) -> None:
        room_id, gateway_id, account_id = a_room(tx), a_gateway(tx), an_account(tx)
        people = [a_participant(tx, room_id, gateway_id=gateway_id) for _ in range(5)]
        ids = [one.participant_id for one in people]
        session_id = people[0].session_id
        participants.leave(tx, ids[0], "left", now=NOW + SECOND)
        moderation.kick(tx, account_id, session_id, Targets(frozenset({ids[1]})), now=NOW + SECOND)
        mute = partial(moderation.set_muted, tx, account_id, session_id, now=NOW + SECOND)
        mute(Targets(frozenset({ids[2], ids[3]})), muted=True)
        mute(Targets(frozenset({ids[3]})), muted=False)
        assert _changes(tx, gateway_id, NOW + SECOND) == {
            ids[0]: ("left", False),
            ids[1]: ("kicked", False),
            ids[2]: (None, True),
            ids[3]: (None, False),
        }
        moderation.end(tx, account_id, session_id, now=NOW + 2 * SECOND)
        assert _changes(tx, gateway_id, NOW + 2 * SECOND) == {
            ids[2]: ("session_ended", True),
            ids[3]: ("session_ended", False),
            ids[4]: ("session_ended", False),
        }
        assert set(_changes(tx, gateway_id, NOW)) == set(ids)
        assert _changes(tx, gateway_id, NOW + 3 * SECOND) == {}

    await database.write(change)


async def test_a_gateway_hears_of_its_own_participants_only(database: Database) -> None:
    def change(tx: Transaction) -> None:
        room_id, mine, other = a_room(tx), a_gateway(tx), a_gateway(tx)
        ours = a_participant(tx, room_id, gateway_id=mine)
        theirs = a_participant(tx, room_id, gateway_id=other)
        moderation.end(tx, an_account(tx), ours.session_id, now=NOW + SECOND)
        assert set(_changes(tx, mine, NOW)) == {ours.participant_id}
        assert set(_changes(tx, other, NOW)) == {theirs.participant_id}

    await database.write(change)


async def test_a_deleted_room_is_told_to_the_gateway_as_such(database: Database) -> None:
    def change(tx: Transaction) -> None:
        room_id, gateway_id = a_room(tx), a_gateway(tx)
        joined = a_participant(tx, room_id, gateway_id=gateway_id)
        rooms.delete(tx, an_account(tx), room_id, now=NOW + SECOND)
        assert _changes(tx, gateway_id, NOW + SECOND) == {joined.participant_id: ("room_deleted", False)}

    await database.write(change)


def _changes(tx: Transaction, gateway_id: str, since: datetime) -> dict[str, tuple[str | None, bool]]:
    told = gateways.changes(tx, gateway_id, since)
    assert all((each.left_at is None) == (each.left_reason is None) for each in told)
    return {each.id: (each.left_reason, each.audio_muted) for each in told}


@pytest.mark.postgres
async def test_somebody_who_leaves_during_a_full_step_hides_nobody(postgres_url: str) -> None:
    """A step that closed fewer than its limit, because one left by themselves, has not necessarily seen everybody."""
    database = open_database(postgres_url)
    try:
        assert await _reap_while_somebody_leaves(database, people=3, limit=2) == []
    finally:
        await database.close()


async def _reap_while_somebody_leaves(database: Database, *, people: int, limit: int) -> list[Any]:
    """Who is still in the room after the sweep has nothing more to do."""

    def crowd(tx: Transaction) -> tuple[str, list[str]]:
        room_id, dead = a_room(tx), a_gateway(tx)
        return room_id, sorted(a_participant(tx, room_id, gateway_id=dead).participant_id for _ in range(people))

    room_id, present = await database.write(crowd)
    left, waited_for = threading.Event(), threading.Event()

    def leave_slowly(tx: Transaction) -> None:
        participants.leave(tx, present[0], "kicked", now=NOW)
        left.set()
        assert waited_for.wait(LOCKED_WITHIN_SECS)

    leaving = asyncio.create_task(database.write(leave_slowly))
    await asyncio.to_thread(left.wait, LOCKED_WITHIN_SECS)
    step: Any = partial(gateways.reap, unseen_since=NOW, limit=limit)
    reaping = asyncio.create_task(database.write(step))
    await _until_somebody_waits_for_a_lock(database)
    waited_for.set()
    await leaving
    await reaping
    while await database.write(step):
        pass
    return await database.read(partial(rows, table=schema.room_participants, room_id=room_id, left_at=None))


async def _until_somebody_waits_for_a_lock(database: Database) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(LOCKED_WITHIN_SECS):
        while not await database.read(lambda tx: tx.exec_driver_sql(query).scalar_one()):
            await asyncio.sleep(0.005)
