"""Recorded facts: in the transaction that made them, in order, with ids of their own."""

from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from portico.core.events import ParticipantJoined, SessionStarted
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import events
from tests.factories import NOW, a_participant, a_room, an_account, fact_names, rows


async def test_an_event_is_the_whole_fact(database: Database) -> None:
    def record(tx: Transaction) -> None:
        account_id, room_id = an_account(tx), a_room(tx)
        events.record(tx, account_id, ParticipantJoined("s", room_id, "p", 'Zoë "😀"\n'), NOW)
        (event,) = rows(tx, schema.events)
        assert (event.account_id, event.room_id, event.occurred_at) == (account_id, room_id, NOW)
        assert event.event_type == "video.room.participant.joined"
        assert event.payload == {"session_id": "s", "room_id": room_id, "participant_id": "p", "context": 'Zoë "😀"\n'}
        assert UUID(event.id).version == 4

    await database.write(record)


async def test_events_are_numbered_in_the_order_of_recording_whatever_the_clock_says(database: Database) -> None:
    def record(tx: Transaction) -> list[str]:
        account_id, room_id = an_account(tx), a_room(tx)
        for n in range(20):
            events.record(tx, account_id, SessionStarted(str(n), room_id), NOW - timedelta(seconds=n))
        return [event.payload["session_id"] for event in rows(tx, schema.events)]

    assert await database.write(record) == [str(n) for n in range(20)]


async def test_a_number_is_never_used_twice(database: Database) -> None:
    """A sweep may delete the newest event; a reader that remembers the last number must still see what comes next."""

    def record(tx: Transaction) -> int:
        account_id, room_id = an_account(tx), a_room(tx)
        events.record(tx, account_id, SessionStarted("s", room_id), NOW)
        (event,) = rows(tx, schema.events)
        tx.execute(schema.events.delete())
        return int(event.seq)

    first = await database.write(record)
    assert await database.write(record) > first


async def test_no_fact_no_event(database: Database) -> None:
    class Crash(Exception):
        pass

    def join_and_crash(tx: Transaction, room_id: str) -> None:
        a_participant(tx, room_id)
        raise Crash

    room_id = await database.write(a_room)
    with pytest.raises(Crash):
        await database.write(partial(join_and_crash, room_id=room_id))
    for table in (schema.events, schema.room_sessions, schema.room_participants):
        assert await database.read(partial(rows, table=table)) == []
    await database.write(partial(a_participant, room_id=room_id))
    assert await database.read(partial(fact_names, room_id=room_id)) == ["session.started", "participant.joined"]
