"""The lease of a gateway: which participants are lost with it, when they left, and that none stays in a room."""

import asyncio
import threading
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from portico.core.targets import Targets
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import gateways, moderation, participants, rooms, sessions
from tests.factories import NOW, a_gateway, a_participant, a_room, an_account, fact_names, facts, row, rows

SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=5)
LOCKED_WITHIN_SECS = 10.0


async def test_a_gateway_that_has_changed_its_row_is_left_alone(database: Database) -> None:
    def live(tx: Transaction) -> None:
        gateway_id = a_gateway(tx)
        joined = a_participant(tx, a_room(tx), gateway_id=gateway_id)
        seen = gateways.all_gateways(tx)
        assert gateways.beat(tx, gateway_id, NOW + SECOND)
        assert gateways.reap(tx, seen, now=NOW + timedelta(hours=1)) == 0
        assert gateways.beat(tx, gateway_id, NOW - timedelta(hours=1)), "whatever its clock says"
        assert row(tx, schema.room_participants, joined.participant_id).left_at is None

    await database.write(live)


async def test_a_gateway_sees_the_others_and_not_itself(database: Database) -> None:
    def look(tx: Transaction) -> None:
        ours, other = a_gateway(tx), a_gateway(tx, NOW + SECOND)
        seen = gateways.look(tx, ours, now=NOW, grace=GRACE)
        assert seen.others == [(other, NOW + SECOND)]
        assert not seen.stale_sessions

    await database.write(look)


async def test_a_successor_knows_the_gateways_of_its_data_dir_alone(database: Database) -> None:
    def look(tx: Transaction) -> None:
        former = gateways.register(tx, NOW, "node-a")
        gateways.register(tx, NOW, "node-b")
        a_gateway(tx)
        assert gateways.of_node(tx, "node-a") == {former: NOW}

    await database.write(look)


async def test_the_people_of_a_dead_gateway_left_when_it_was_last_seen(database: Database) -> None:
    def die(tx: Transaction) -> None:
        room_id, dead, alive = a_room(tx), a_gateway(tx), a_gateway(tx)
        lost = a_participant(tx, room_id, gateway_id=dead)
        stays = a_participant(tx, a_room(tx), gateway_id=alive)
        gateways.beat(tx, dead, NOW + 3 * SECOND)
        a_day_later = NOW + timedelta(days=1)
        died = {dead: NOW + 3 * SECOND}
        assert gateways.reap(tx, died, now=a_day_later) == 1

        gone = row(tx, schema.room_participants, lost.participant_id)
        assert (gone.left_at, gone.left_reason) == (NOW + 3 * SECOND, "timeout")
        assert row(tx, schema.room_participants, stays.participant_id).left_at is None
        name, payload = facts(tx, room_id)[-1]
        assert (name, payload["duration_secs"], payload["left_reason"]) == ("participant.left", 3, "timeout")
        assert rows(tx, schema.events, room_id=room_id)[-1].occurred_at == NOW + 3 * SECOND
        assert not gateways.beat(tx, dead, a_day_later), "it learns that it was declared dead"
        assert gateways.beat(tx, alive, a_day_later)

    await database.write(die)


async def test_what_is_found_out_late_is_delivered_from_then_on(database: Database) -> None:
    """The day of the retries begins when the event is recorded, not when it happened."""

    def die(tx: Transaction) -> None:
        room_id = a_room(tx, webhook_event_url="http://127.0.0.1:9/")
        a_participant(tx, room_id)
        a_day_later = NOW + timedelta(days=1)
        gateways.reap(tx, gateways.all_gateways(tx), now=a_day_later)
        sessions.end_stale(tx, now=a_day_later, grace=GRACE)
        late = [each for each in rows(tx, schema.webhook_deliveries) if each.created_at == a_day_later]
        assert [each.event_type for each in late] == ["video.room.participant.left", "video.room.session.ended"]
        assert {(each.due_at, each.first_at) for each in late} == {(a_day_later, a_day_later)}

    await database.write(die)


async def test_who_joined_after_the_last_beat_left_when_they_joined(database: Database) -> None:
    def die(tx: Transaction) -> None:
        room_id, dead = a_room(tx), a_gateway(tx)
        joined = a_participant(tx, room_id, gateway_id=dead, now=NOW + 4 * SECOND)
        gateways.reap(tx, gateways.all_gateways(tx), now=NOW + timedelta(days=1))
        gone = row(tx, schema.room_participants, joined.participant_id)
        assert (gone.joined_at, gone.left_at) == (NOW + 4 * SECOND, NOW + 4 * SECOND)
        assert facts(tx, room_id)[-1][1]["duration_secs"] == 0

    await database.write(die)


async def test_the_session_of_a_dead_gateway_ended_when_it_became_empty(database: Database) -> None:
    def die(tx: Transaction) -> None:
        room_id, dead = a_room(tx), a_gateway(tx)
        joined = a_participant(tx, room_id, gateway_id=dead)
        gateways.beat(tx, dead, NOW + SECOND)
        a_day_later = NOW + timedelta(days=1)
        gateways.reap(tx, gateways.all_gateways(tx), now=a_day_later)
        assert gateways.look(tx, "no gateway", now=a_day_later, grace=GRACE).stale_sessions
        assert sessions.end_stale(tx, now=a_day_later, grace=GRACE) == [room_id]
        assert fact_names(tx, room_id)[-2:] == ["participant.left", "session.ended"]
        session = row(tx, schema.room_sessions, joined.session_id)
        assert (session.ended_at, session.updated_at) == (NOW + SECOND, a_day_later)
        assert facts(tx, room_id)[-1][1]["duration_secs"] == 1

    await database.write(die)


async def test_participants_who_are_still_connected_are_taken_back(database: Database) -> None:
    def come_back(tx: Transaction) -> None:
        room_id, empty_room, full_room = a_room(tx), a_room(tx), a_room(tx, max_participants=1)
        ours = a_gateway(tx)
        stays, connected, gone, squeezed = (
            a_participant(tx, room, gateway_id=ours).participant_id
            for room in (room_id, room_id, empty_room, full_room)
        )
        participants.leave(tx, stays, "left", now=NOW)
        later = NOW + timedelta(seconds=20)
        gateways.reap(tx, gateways.all_gateways(tx), now=later)
        other = a_gateway(tx)
        a_participant(tx, full_room, gateway_id=other, now=NOW + SECOND)
        sessions.end(
            tx,
            row(tx, schema.room_participants, gone).session_id,
            ended_reason="stale",
            left_reason="left",
            now=later,
        )
        new = gateways.register(tx, later)
        participant_ids = [stays, connected, gone, squeezed]
        assert gateways.take_back(tx, new, participant_ids, now=later, grace=timedelta(minutes=1)) == [connected]
        back = row(tx, schema.room_participants, connected)
        assert (back.left_at, back.left_reason, back.gateway_id, back.joined_at) == (None, None, new, NOW)
        names = [
            (name, payload["participant_id"]) for name, payload in facts(tx, room_id) if "participant_id" in payload
        ]
        assert [name for name, id_ in names if id_ == connected] == [
            "participant.joined",
            "participant.left",
            "participant.joined",
        ]
        session = row(tx, schema.room_sessions, back.session_id)
        assert session.active and session.empty_at is None

    await database.write(come_back)


async def test_participants_of_one_session_are_on_any_gateways(database: Database) -> None:
    def join(tx: Transaction) -> None:
        room_id, ours, other = a_room(tx), a_gateway(tx), a_gateway(tx)
        there, here = (a_participant(tx, room_id, gateway_id=one) for one in (other, ours))
        assert there.session_id == here.session_id
        gateways.reap(tx, {other: NOW}, now=NOW)
        assert row(tx, schema.room_participants, there.participant_id).left_at == NOW
        assert row(tx, schema.room_participants, here.participant_id).left_at is None

    await database.write(join)


async def test_who_left_before_is_not_touched(database: Database) -> None:
    def die(tx: Transaction) -> None:
        room_id, dead = a_room(tx), a_gateway(tx)
        joined = a_participant(tx, room_id, gateway_id=dead)
        participants.leave(tx, joined.participant_id, "kicked", now=NOW)
        assert gateways.reap(tx, gateways.all_gateways(tx), now=NOW) == 0
        assert row(tx, schema.room_participants, joined.participant_id).left_reason == "kicked"
        assert rows(tx, schema.gateways, id=dead) == []

    await database.write(die)


async def test_a_step_is_bounded_and_the_steps_reach_all_participants(database: Database) -> None:
    def crowd(tx: Transaction) -> None:
        for _ in range(3):
            dead, room_id = a_gateway(tx), a_room(tx, max_participants=50)
            for _ in range(9):
                a_participant(tx, room_id, gateway_id=dead)

    await database.write(crowd)
    step: Any = partial(gateways.reap, dead=await database.read(gateways.all_gateways), now=NOW, limit=10)
    steps = [await database.write(step) for _ in range(4)]
    assert steps == [10, 10, 7, 0]
    assert await database.read(partial(rows, table=schema.room_participants, left_at=None)) == []
    assert await database.read(partial(rows, table=schema.gateways)) == []


async def test_a_gateway_whose_people_were_partly_closed_does_not_come_back_to_life(database: Database) -> None:
    """A gateway that beats again between two steps of the sweep must learn that rows of its participants are closed."""

    def die_and_beat(tx: Transaction) -> None:
        room_id, dead = a_room(tx), a_gateway(tx)
        for _ in range(2):
            a_participant(tx, room_id, gateway_id=dead)
        assert gateways.reap(tx, gateways.all_gateways(tx), now=NOW, limit=1) == 1
        assert not gateways.beat(tx, dead, NOW + SECOND)

    await database.write(die_and_beat)


async def test_a_gateway_that_retires_with_people_in_rooms_leaves_no_ghosts(database: Database) -> None:
    """A stop waits a bounded time for its connections; the sweep must find participants who have not left by then."""

    def retire(tx: Transaction) -> None:
        gateway_id = a_gateway(tx)
        a_participant(tx, a_room(tx), gateway_id=gateway_id)
        gateways.retire(tx, gateway_id, NOW)
        gateways.reap(tx, gateways.all_gateways(tx), now=NOW + timedelta(days=1))
        assert rows(tx, schema.room_participants, left_at=None) == []

    await database.write(retire)


# What a gateway learns of its participants.


async def test_a_gateway_learns_who_left_and_why_and_who_is_muted(database: Database) -> None:
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


async def test_a_gateway_learns_of_its_own_participants_only(database: Database) -> None:
    def change(tx: Transaction) -> None:
        mine, other = a_gateway(tx), a_gateway(tx)
        ours = a_participant(tx, a_room(tx), gateway_id=mine)
        theirs = a_participant(tx, a_room(tx), gateway_id=other)
        for one in (ours, theirs):
            moderation.end(tx, an_account(tx), one.session_id, now=NOW + SECOND)
        assert set(_changes(tx, mine, NOW)) == {ours.participant_id}
        assert set(_changes(tx, other, NOW)) == {theirs.participant_id}

    await database.write(change)


async def test_a_gateway_learns_that_the_room_was_deleted(database: Database) -> None:
    def change(tx: Transaction) -> None:
        room_id, gateway_id = a_room(tx), a_gateway(tx)
        joined = a_participant(tx, room_id, gateway_id=gateway_id)
        rooms.delete(tx, an_account(tx), room_id, now=NOW + SECOND)
        assert _changes(tx, gateway_id, NOW + SECOND) == {joined.participant_id: ("room_deleted", False)}

    await database.write(change)


def _changes(tx: Transaction, gateway_id: str, since: datetime) -> dict[str, tuple[str | None, bool]]:
    changed = gateways.changes(tx, gateway_id, since)
    assert all((each.left_at is None) == (each.left_reason is None) for each in changed)
    return {each.id: (each.left_reason, each.audio_muted) for each in changed}


async def test_a_participant_who_leaves_during_a_full_step_hides_no_other(postgres_url: str) -> None:
    """A step that closed fewer than its limit, because one left by themselves, may not have seen all participants."""
    database = open_database(postgres_url)
    try:
        assert await _reap_while_a_participant_leaves(database, people=3, limit=2) == []
    finally:
        await database.close()


async def _reap_while_a_participant_leaves(database: Database, *, people: int, limit: int) -> list[Any]:
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
    step: Any = partial(gateways.reap, dead=await database.read(gateways.all_gateways), now=NOW, limit=limit)
    reaping = asyncio.create_task(database.write(step))
    await _until_a_transaction_waits_for_a_lock(database)
    waited_for.set()
    await leaving
    await reaping
    while await database.write(step):
        pass
    return await database.read(partial(rows, table=schema.room_participants, room_id=room_id, left_at=None))


async def _until_a_transaction_waits_for_a_lock(database: Database) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(LOCKED_WITHIN_SECS):
        while not await database.read(lambda tx: tx.exec_driver_sql(query).scalar_one()):
            await asyncio.sleep(0.005)
