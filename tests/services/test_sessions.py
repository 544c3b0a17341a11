"""Sessions by the state machine of contract section 5, on both databases."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from portico.core.errors import NotFound, SessionOver
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import participants, rooms, sessions
from tests.factories import NOW, a_participant, a_room, an_account, fact_names, facts, row, rows

SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=5)
TICK = timedelta(microseconds=1)
_end = partial(sessions.end, ended_reason="Ended from API", left_reason="session_ended")


async def test_an_empty_session_ends_after_the_grace_and_not_before(database: Database) -> None:
    def empty(tx: Transaction) -> None:
        room_id, session_id = _left_empty(tx)
        left_at = NOW + SECOND
        early = left_at + GRACE - TICK
        assert not sessions.stale_exist(tx, now=early, grace=GRACE)
        assert sessions.end_stale(tx, now=early, grace=GRACE) == []
        assert row(tx, schema.room_sessions, session_id).active
        assert rooms.retrieve(tx, an_account(tx), room_id).active_session_id == session_id

        due = left_at + GRACE
        assert sessions.stale_exist(tx, now=due, grace=GRACE)
        assert sessions.end_stale(tx, now=due, grace=GRACE) == [room_id]
        session = row(tx, schema.room_sessions, session_id)
        assert (session.active, session.ended_at, session.ended_reason) == (False, left_at, "stale")
        assert session.updated_at == due
        assert rooms.retrieve(tx, an_account(tx), room_id).active_session_id is None
        assert facts(tx, room_id)[-1] == (
            "session.ended",
            {"session_id": session_id, "room_id": room_id, "duration_secs": 1, "ended_reason": "stale"},
        )
        assert sessions.end_stale(tx, now=due, grace=GRACE) == [], "once"

    await database.write(empty)


async def test_the_events_of_a_normal_call_in_order(database: Database) -> None:
    def call(tx: Transaction) -> None:
        room_id = a_room(tx)
        people = [a_participant(tx, room_id, now=NOW + n * SECOND) for n in range(2)]
        for n, joined in enumerate(people):
            participants.leave(tx, joined.participant_id, "left", now=NOW + (10 + n) * SECOND)
        sessions.end_stale(tx, now=NOW + timedelta(minutes=1), grace=GRACE)
        assert fact_names(tx, room_id) == [
            "session.started",
            "participant.joined",
            "participant.joined",
            "participant.left",
            "participant.left",
            "session.ended",
        ]

    await database.write(call)


async def test_coming_back_within_the_grace_continues_the_session(database: Database) -> None:
    def come_back(tx: Transaction) -> None:
        room_id, session_id = _left_empty(tx)
        again = a_participant(tx, room_id, now=NOW + SECOND + GRACE - TICK)
        assert again.session_id == session_id
        assert sessions.end_stale(tx, now=NOW + timedelta(days=1), grace=GRACE) == []
        assert fact_names(tx, room_id).count("session.started") == 1
        # and the grace begins anew when they go again
        participants.leave(tx, again.participant_id, "left", now=NOW + timedelta(minutes=1))
        assert sessions.end_stale(tx, now=NOW + timedelta(minutes=1) + GRACE - TICK, grace=GRACE) == []
        assert sessions.end_stale(tx, now=NOW + timedelta(minutes=1) + GRACE, grace=GRACE) == [room_id]

    await database.write(come_back)


async def test_a_session_with_a_participant_never_goes_stale(database: Database) -> None:
    def stay(tx: Transaction) -> None:
        room_id = a_room(tx)
        stays, goes = a_participant(tx, room_id), a_participant(tx, room_id)
        participants.leave(tx, goes.participant_id, "left", now=NOW)
        assert sessions.end_stale(tx, now=NOW + timedelta(days=1), grace=GRACE) == []
        assert row(tx, schema.room_participants, stays.participant_id).left_at is None

    await database.write(stay)


async def test_an_ended_session_is_never_continued(database: Database) -> None:
    def meet_again(tx: Transaction) -> None:
        room_id, session_id = _left_empty(tx)
        sessions.end_stale(tx, now=NOW + timedelta(minutes=1), grace=GRACE)
        again = a_participant(tx, room_id, now=NOW + timedelta(minutes=1))
        assert again.session_id != session_id
        assert rooms.retrieve(tx, an_account(tx), room_id).active_session_id == again.session_id
        assert not row(tx, schema.room_sessions, session_id).active
        assert fact_names(tx, room_id)[-3:] == ["session.ended", "session.started", "participant.joined"]

    await database.write(meet_again)


async def test_no_grace_at_all_is_possible(database: Database) -> None:
    def empty(tx: Transaction) -> None:
        room_id, _ = _left_empty(tx)
        assert sessions.end_stale(tx, now=NOW + SECOND, grace=timedelta(0)) == [room_id]

    await database.write(empty)


async def test_ending_makes_all_participants_leave_first(database: Database) -> None:
    def end(tx: Transaction) -> None:
        room_id = a_room(tx)
        people = [a_participant(tx, room_id, context=str(n), now=NOW + n * SECOND) for n in range(3)]
        session_id = people[0].session_id
        participants.leave(tx, people[1].participant_id, "left", now=NOW + 5 * SECOND)
        ended_at = NOW + timedelta(seconds=84, microseconds=500_468)
        _end(tx, session_id, now=ended_at)

        assert facts(tx, room_id)[-3:] == [
            _left(people[0], "0", 84),
            _left(people[2], "2", 82),
            (
                "session.ended",
                {"session_id": session_id, "room_id": room_id, "duration_secs": 84, "ended_reason": "Ended from API"},
            ),
        ]
        assert {each.left_at for each in rows(tx, schema.room_participants)} == {NOW + 5 * SECOND, ended_at}
        session = row(tx, schema.room_sessions, session_id)
        assert (session.active, session.ended_at, session.empty_at) == (False, ended_at, None)

    await database.write(end)


async def test_ending_twice_is_session_over_and_changes_nothing(database: Database) -> None:
    def end(tx: Transaction) -> str:
        joined = a_participant(tx, a_room(tx))
        _end(tx, joined.session_id, now=NOW)
        return joined.session_id

    session_id = await database.write(end)
    before = await database.read(_facts_and_sessions)
    with pytest.raises(SessionOver, match="No private_ip for room"):
        await database.write(partial(_end, session_id=session_id, now=NOW + SECOND))
    assert await database.read(_facts_and_sessions) == before


async def test_leaving_after_the_end_is_not_reported_again(database: Database) -> None:
    def leave(tx: Transaction) -> None:
        room_id = a_room(tx)
        joined = a_participant(tx, room_id)
        _end(tx, joined.session_id, now=NOW)
        assert not participants.leave(tx, joined.participant_id, "left", now=NOW + SECOND)
        assert fact_names(tx, room_id).count("participant.left") == 1
        assert sessions.end_stale(tx, now=NOW + timedelta(days=1), grace=GRACE) == []

    await database.write(leave)


async def test_ending_the_unknown_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await database.write(partial(_end, session_id=str(uuid4()), now=NOW))


async def test_two_active_sessions_of_a_room_cannot_even_be_written(database: Database) -> None:
    def write_a_second(tx: Transaction) -> None:
        session = row(tx, schema.room_sessions, a_participant(tx, a_room(tx)).session_id)
        tx.execute(schema.room_sessions.insert().values(**{**session._mapping, "id": str(uuid4())}))

    with pytest.raises(IntegrityError):
        await database.write(write_a_second)


async def test_one_step_of_the_sweep_is_bounded_and_the_steps_reach_everything(database: Database) -> None:
    def empty_rooms(tx: Transaction) -> set[str]:
        return {_left_empty(tx)[0] for _ in range(25)}

    due = await database.write(empty_rooms)
    step: Any = partial(sessions.end_stale, now=NOW + timedelta(minutes=1), grace=GRACE, limit=10)
    steps = [await database.write(step) for _ in range(4)]
    assert [len(ended) for ended in steps] == [10, 10, 5, 0]
    assert {room_id for ended in steps for room_id in ended} == due
    assert await database.read(partial(rows, table=schema.room_sessions, active=True)) == []


async def test_a_step_of_the_sweep_that_fails_leaves_nothing_half_done(database: Database) -> None:
    class Crash(Exception):
        pass

    def sweep_and_crash(tx: Transaction) -> None:
        sessions.end_stale(tx, now=NOW + timedelta(minutes=1), grace=GRACE)
        raise Crash

    await database.write(_left_empty)
    before = await database.read(_facts_and_sessions)
    with pytest.raises(Crash):
        await database.write(sweep_and_crash)
    assert await database.read(_facts_and_sessions) == before


async def test_lost_media_ends_the_sessions_of_these_rooms_only(database: Database) -> None:
    def lose(tx: Transaction) -> None:
        lost, idle, spared = a_room(tx), a_room(tx), a_room(tx)
        joined = a_participant(tx, lost)
        a_participant(tx, spared)
        assert sessions.end_all_in(tx, [idle, lost, str(uuid4())], ended_reason="stale", now=NOW + SECOND) == 1
        assert not row(tx, schema.room_sessions, joined.session_id).active
        assert fact_names(tx, lost)[-2:] == ["participant.left", "session.ended"]
        assert facts(tx, lost)[-1][1]["ended_reason"] == "stale"
        assert fact_names(tx, spared) == ["session.started", "participant.joined"]
        assert sessions.end_all_in(tx, [lost], ended_reason="stale", now=NOW + SECOND) == 0

    await database.write(lose)


async def test_a_session_that_no_sweep_has_ended_yet_is_not_continued(database: Database) -> None:
    """The server was down for an hour, or the second between two sweeps is not over."""

    def oversleep(tx: Transaction) -> None:
        room_id, session_id = _left_empty(tx)
        back_at = NOW + timedelta(hours=1)
        again = a_participant(tx, room_id, now=back_at)
        assert again.session_id != session_id
        assert fact_names(tx, room_id)[-3:] == ["session.ended", "session.started", "participant.joined"]
        assert row(tx, schema.room_sessions, session_id).ended_reason == "stale"
        assert row(tx, schema.room_sessions, again.session_id).created_at == back_at

    await database.write(oversleep)


def _left_empty(tx: Transaction) -> tuple[str, str]:
    """A room and its session, whose only participant left one second after joining."""
    room_id = a_room(tx)
    joined = a_participant(tx, room_id)
    participants.leave(tx, joined.participant_id, "left", now=NOW + SECOND)
    return room_id, joined.session_id


def _left(joined: participants.Joined, context: str, duration_secs: int) -> tuple[str, dict[str, Any]]:
    return "participant.left", {
        "session_id": joined.session_id,
        "room_id": joined.room_id,
        "participant_id": joined.participant_id,
        "context": context,
        "duration_secs": duration_secs,
        "left_reason": "session_ended",
    }


def _facts_and_sessions(tx: Transaction) -> list[Any]:
    tables = schema.events, schema.room_sessions, schema.room_participants
    return [tuple(each) for table in tables for each in rows(tx, table)]
