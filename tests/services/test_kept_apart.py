"""A row that cannot be changed keeps no other row from ending: each end is written in a savepoint."""

from datetime import timedelta

import pytest
from sqlalchemy import Table

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import gateways, participants, sessions
from tests.factories import NOW, a_gateway, a_participant, a_room, row, rows

GRACE = timedelta(seconds=5)
LATER = NOW + timedelta(minutes=1)


def break_row(tx: Transaction, table: Table, row_id: str) -> None:
    """From now on every update of this row fails, as a fault of ours in what belongs to it would make it fail."""
    when = f"BEFORE UPDATE ON {table.name} FOR EACH ROW WHEN"
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql(f"CREATE TRIGGER broken {when} OLD.id = '{row_id}' BEGIN SELECT RAISE(ABORT, 'broken'); END")
        return
    refuse = "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$ LANGUAGE plpgsql"
    tx.exec_driver_sql(refuse)
    tx.exec_driver_sql(f"CREATE TRIGGER broken {when} (OLD.id = '{row_id}') EXECUTE FUNCTION refuse()")


def mend(tx: Transaction, table: Table) -> None:
    tx.exec_driver_sql("DROP TRIGGER broken" + ("" if tx.dialect.name == "sqlite" else f" ON {table.name}"))


@pytest.mark.parametrize("limit", [1, 500])
async def test_a_leave_that_fails_keeps_no_other_participant_of_a_lost_gateway(database: Database, limit: int) -> None:
    def lose(tx: Transaction) -> None:
        people = schema.room_participants
        dead, other, room_id = a_gateway(tx), a_gateway(tx), a_room(tx)
        a_participant(tx, a_room(tx), gateway_id=other)
        broken = min(a_participant(tx, room_id, gateway_id=dead).participant_id for _ in range(3))
        break_row(tx, people, broken)
        while gateways.reap(tx, gateways.all_gateways(tx), now=LATER, limit=limit):
            pass
        assert [one.id for one in rows(tx, people, left_at=None)] == [broken]
        assert [one.id for one in rows(tx, schema.gateways)] == [dead], "by which the next sweep finds the rest"
        mend(tx, people)
        assert gateways.reap(tx, gateways.all_gateways(tx), now=LATER) == 1
        assert rows(tx, schema.gateways) == [] and row(tx, people, broken).left_reason == "timeout"

    await database.write(lose)


async def test_a_session_that_cannot_be_ended_keeps_no_other(database: Database) -> None:
    def end(tx: Transaction) -> None:
        joined = [a_participant(tx, a_room(tx)) for _ in range(3)]
        for one in joined:
            participants.leave(tx, one.participant_id, "left", now=NOW)
        broken = min(rows(tx, schema.room_sessions), key=lambda one: one.room_id)
        break_row(tx, schema.room_sessions, broken.id)
        assert len(sessions.end_stale(tx, now=LATER, grace=GRACE)) == 2
        assert [one.id for one in rows(tx, schema.room_sessions, active=True)] == [broken.id]
        mend(tx, schema.room_sessions)
        assert sessions.end_stale(tx, now=LATER, grace=GRACE) == [broken.room_id]

    await database.write(end)


async def test_a_session_that_cannot_be_ended_with_its_media_server_keeps_no_other(database: Database) -> None:
    def end(tx: Transaction) -> None:
        room_ids = [a_room(tx) for _ in range(3)]
        for room_id in room_ids:
            a_participant(tx, room_id)
        broken = min(rows(tx, schema.room_sessions), key=lambda one: one.room_id)
        break_row(tx, schema.room_sessions, broken.id)
        assert sessions.end_all_in(tx, room_ids, ended_reason="stale", now=LATER) == 2
        assert [one.id for one in rows(tx, schema.room_sessions, active=True)] == [broken.id]

    await database.write(end)
