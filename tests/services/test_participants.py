"""Joining and leaving, on both databases: who is admitted, what is written, that a refusal leaves nothing behind."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from portico.core.errors import IdentityTaken, JoinRefused, RoomFull, RoomGone
from portico.core.model import RoomSettings
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import gateways, participants, rooms, sessions
from tests.factories import NOW, a_gateway, a_participant, a_room, an_account, fact_names, facts, gateway_of, row, rows

SECOND = timedelta(seconds=1)


async def test_the_first_to_join_begins_the_session(database: Database) -> None:
    def join(tx: Transaction) -> None:
        room_id = a_room(tx)
        joined = a_participant(tx, room_id, context='{"name": "Alice"}')
        session, participant = (
            row(tx, schema.room_sessions, joined.session_id),
            row(tx, schema.room_participants, joined.participant_id),
        )
        assert (session.room_id, session.active, session.created_at, session.ended_at) == (room_id, True, NOW, None)
        assert (participant.session_id, participant.context) == (joined.session_id, '{"name": "Alice"}')
        assert (participant.joined_at, participant.updated_at, participant.left_at) == (NOW, NOW, None)
        assert joined.room_id == room_id
        assert facts(tx, room_id) == [
            ("session.started", {"session_id": joined.session_id, "room_id": room_id}),
            (
                "participant.joined",
                {
                    "session_id": joined.session_id,
                    "room_id": room_id,
                    "participant_id": joined.participant_id,
                    "context": '{"name": "Alice"}',
                },
            ),
        ]

    await database.write(join)


async def test_the_second_joins_the_same_session(database: Database) -> None:
    def join(tx: Transaction) -> None:
        room_id = a_room(tx)
        one, two = a_participant(tx, room_id), a_participant(tx, room_id, now=NOW + SECOND)
        assert one.session_id == two.session_id
        assert fact_names(tx, room_id) == ["session.started", "participant.joined", "participant.joined"]

    await database.write(join)


@pytest.mark.parametrize(
    "context",
    [
        None,
        "",
        "Alice",
        '{"role":"agent","name":"Zoë 😀"}',
        "  \t\r\n ",
        "'; DROP TABLE rooms; --",
        "\\u0000",
        "x" * 24_000,
    ],
)
async def test_the_context_passes_byte_for_byte(database: Database, context: str | None) -> None:
    def join(tx: Transaction) -> None:
        room_id = a_room(tx)
        joined = a_participant(tx, room_id, context=context)
        participants.leave(tx, joined.participant_id, "left", now=NOW)
        assert row(tx, schema.room_participants, joined.participant_id).context == context
        assert [payload["context"] for name, payload in facts(tx, room_id) if "participant" in name] == [context] * 2

    await database.write(join)


async def test_leaving_is_a_row_and_an_event(database: Database) -> None:
    def leave(tx: Transaction) -> None:
        room_id = a_room(tx)
        joined = a_participant(tx, room_id, context="Alice")
        later = NOW + timedelta(seconds=34, microseconds=999_999)
        assert participants.leave(tx, joined.participant_id, "kicked", now=later)
        participant = row(tx, schema.room_participants, joined.participant_id)
        assert (participant.left_at, participant.left_reason, participant.updated_at) == (later, "kicked", later)
        assert facts(tx, room_id)[-1] == (
            "participant.left",
            {
                "session_id": joined.session_id,
                "room_id": room_id,
                "participant_id": joined.participant_id,
                "context": "Alice",
                "duration_secs": 34,
                "left_reason": "kicked",
            },
        )
        assert row(tx, schema.room_sessions, joined.session_id).active, "the grace period is not over"

    await database.write(leave)


async def test_leaving_twice_changes_nothing(database: Database) -> None:
    def leave(tx: Transaction) -> None:
        room_id = a_room(tx)
        joined = a_participant(tx, room_id)
        assert participants.leave(tx, joined.participant_id, "kicked", now=NOW)
        before = _everything(tx)
        assert not participants.leave(tx, joined.participant_id, "left", now=NOW + SECOND)
        assert _everything(tx) == before

    await database.write(leave)


async def test_the_leave_of_an_unknown_participant_leaves_no_trace(database: Database) -> None:
    def leave(tx: Transaction) -> None:
        a_participant(tx, a_room(tx))
        before = _everything(tx)
        assert not participants.leave(tx, str(uuid4()), "left", now=NOW)
        assert _everything(tx) == before

    await database.write(leave)


async def test_a_clock_that_was_set_back_makes_no_negative_duration(database: Database) -> None:
    def leave(tx: Transaction) -> None:
        room_id = a_room(tx)
        joined = a_participant(tx, room_id)
        participants.leave(tx, joined.participant_id, "left", now=NOW - timedelta(hours=1))
        assert facts(tx, room_id)[-1][1]["duration_secs"] == 0

    await database.write(leave)


async def test_a_clock_that_was_set_back_holds_no_end_of_a_session_up(database: Database) -> None:
    def leave(tx: Transaction) -> None:
        room_id = a_room(tx)
        joined = a_participant(tx, room_id)
        set_back, second = NOW - timedelta(hours=1), timedelta(seconds=1)
        participants.leave(tx, joined.participant_id, "left", now=set_back)
        assert not sessions.stale_exist(tx, now=set_back + second, grace=2 * second)
        assert sessions.end_stale(tx, now=set_back + 2 * second, grace=2 * second) != []
        assert facts(tx, room_id)[-1][1]["duration_secs"] == 0

    await database.write(leave)


async def test_a_full_room_refuses_and_has_a_place_again_when_a_participant_leaves(database: Database) -> None:
    def fill(tx: Transaction) -> tuple[str, str]:
        room_id = a_room(tx, max_participants=2)
        first = a_participant(tx, room_id)
        a_participant(tx, room_id)
        return room_id, first.participant_id

    room_id, first = await database.write(fill)
    await _refuses(database, RoomFull, room_id)
    await database.write(partial(participants.leave, participant_id=first, reason="left", now=NOW))
    await database.write(partial(a_participant, room_id=room_id))
    await _refuses(database, RoomFull, room_id)


async def test_a_lowered_limit_refuses_new_joins_and_sends_no_participant_away(database: Database) -> None:
    def fill_and_lower(tx: Transaction) -> str:
        room_id = a_room(tx, max_participants=5)
        for _ in range(4):
            a_participant(tx, room_id)
        rooms.update(tx, an_account(tx), room_id, {"max_participants": 2}, now=NOW)
        assert len(rows(tx, schema.room_participants, left_at=None)) == 4
        return room_id

    await _refuses(database, RoomFull, await database.write(fill_and_lower))


async def test_those_of_an_earlier_session_take_no_place(database: Database) -> None:
    def two_sessions(tx: Transaction) -> None:
        room_id = a_room(tx, max_participants=2)
        first = [a_participant(tx, room_id) for _ in range(2)]
        sessions.end(tx, first[0].session_id, ended_reason="Ended from API", left_reason="session_ended", now=NOW)
        second = [a_participant(tx, room_id) for _ in range(2)]
        assert {joined.session_id for joined in first}.isdisjoint(joined.session_id for joined in second)

    await database.write(two_sessions)


@pytest.mark.parametrize("present", [True, False], ids=["still there", "gone"])
@pytest.mark.parametrize("elsewhere", [True, False], ids=["another room", "the same room"])
async def test_an_identity_is_good_once(database: Database, present: bool, elsewhere: bool) -> None:
    def join(tx: Transaction) -> tuple[str, str]:
        room_id = a_room(tx)
        joined = a_participant(tx, room_id)
        if not present:
            participants.leave(tx, joined.participant_id, "left", now=NOW)
        return a_room(tx) if elsewhere else room_id, joined.participant_id

    room_id, used = await database.write(join)
    await _refuses(database, IdentityTaken, room_id, participant_id=used)


async def test_an_unknown_room_refuses(database: Database) -> None:
    await _refuses(database, RoomGone, str(uuid4()))


async def test_a_deleted_room_refuses(database: Database) -> None:
    def delete(tx: Transaction) -> str:
        room_id = a_room(tx)
        rooms.delete(tx, an_account(tx), room_id, now=NOW)
        return room_id

    await _refuses(database, RoomGone, await database.write(delete))


async def test_a_room_deleted_during_a_call_ends_it_and_refuses(database: Database) -> None:
    def delete(tx: Transaction) -> str:
        room_id = a_room(tx)
        joined = a_participant(tx, room_id)
        rooms.delete(tx, an_account(tx), room_id, now=NOW + SECOND)
        assert facts(tx, room_id)[-2][1]["left_reason"] == "room_deleted"
        assert facts(tx, room_id)[-1] == (
            "session.ended",
            {"session_id": joined.session_id, "room_id": room_id, "duration_secs": 1, "ended_reason": "Room deleted"},
        )
        return room_id

    await _refuses(database, RoomGone, await database.write(delete))


async def test_a_refusal_leaves_alone_what_else_the_transaction_commits(database: Database) -> None:
    """A transaction that is rolled back for a refusal must not take its neighbours of the group commit with it."""
    room_id = await database.write(partial(a_room, max_participants=2))
    for _ in range(2):
        await database.write(partial(a_participant, room_id=room_id))
    before = await database.read(_everything)
    with pytest.raises(RoomFull):
        await database.write(
            lambda tx: (rooms.create(tx, an_account(tx), RoomSettings(), now=NOW), a_participant(tx, room_id))
        )
    assert await database.read(_everything) == before


async def test_a_join_through_a_gateway_that_was_declared_dead_leaves_no_ghost(database: Database) -> None:
    """Its row is gone, so no sweep would ever find the participant: refuse the join, or find it."""

    def reap(tx: Transaction) -> tuple[str, str]:
        gateway_id = a_gateway(tx)
        gateways.reap(tx, gateways.all_gateways(tx), now=NOW)
        return a_room(tx), gateway_id

    room_id, gateway_id = await database.write(reap)
    try:
        await database.write(partial(a_participant, room_id=room_id, gateway_id=gateway_id))
    except JoinRefused:
        return
    await database.write(lambda tx: gateways.reap(tx, gateways.all_gateways(tx), now=NOW + timedelta(days=1)))
    assert await database.read(partial(rows, table=schema.room_participants, left_at=None)) == []


async def _refuses(
    database: Database, refusal: type[JoinRefused], room_id: str, *, participant_id: str | None = None
) -> None:
    """The join raises this, and the database is as if it had never been tried."""
    gateway_id = await database.write(lambda tx: gateway_of(tx, room_id) or a_gateway(tx))
    before = await database.read(_everything)
    join: Any = partial(a_participant, room_id=room_id, participant_id=participant_id, gateway_id=gateway_id)
    with pytest.raises(refusal):
        await database.write(join)
    assert await database.read(_everything) == before


def _everything(tx: Transaction) -> list[tuple[Any, ...]]:
    return [tuple(each) for table in schema.metadata.sorted_tables for each in rows(tx, table)]
