"""History: which sessions are forgotten and which never, in steps; and old entries of the audit log."""

from datetime import timedelta
from functools import partial

from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import audit, compositions, history, recordings
from portico.worker.retention import forget_history
from tests.factories import NOW, a_gateway, a_participant, a_room, an_account, row, rows
from tests.recorded import a_recorded_participant, a_recording, over

DAY = timedelta(days=1)
BEFORE = NOW + 10 * DAY


def ended(tx: Transaction, *, people: int = 1, at_day: float = 1) -> str:
    """A session with so many participants that ended on that day: its id."""
    room_id, gateway_id = a_room(tx, max_participants=50), a_gateway(tx)
    joined = [a_participant(tx, room_id, gateway_id=gateway_id, context="Alice") for _ in range(people)]
    over(tx, joined[0].session_id, now=NOW + at_day * DAY)
    return joined[0].session_id


def left(tx: Transaction) -> set[str]:
    """The sessions that are there."""
    return {each.id for each in rows(tx, schema.room_sessions)}


async def test_old_sessions_go_with_their_participants_and_new_ones_stay(database: Database) -> None:
    old, new = await database.write(ended), await database.write(partial(ended, at_day=10))
    token = {"grant_id": "f" * 18}

    def show_token(tx: Transaction) -> None:
        for person in rows(tx, schema.room_participants):
            tx.execute(schema.participant_tokens.insert().values(participant_id=person.id, **token))

    await database.write(show_token)
    assert await forget_history(database, before=BEFORE) == 2, "a session and its participant"
    assert await database.read(left) == {new}
    for table in (schema.room_participants, schema.participant_tokens):
        assert len(await database.read(partial(rows, table=table))) == 1
    assert old != new and await forget_history(database, before=BEFORE) == 0


async def test_what_is_live_or_still_referred_to_is_never_forgotten(database: Database) -> None:
    def make(tx: Transaction) -> dict[str, str]:
        active, recorded, composed = a_recorded_participant(tx), a_recorded_participant(tx), a_recorded_participant(tx)
        recording_id = a_recording(tx, recorded.participant_id)
        body = {"session_id": composed.session_id}
        make = partial(compositions.create, regions_max=16, sound_by_default=True, now=NOW)
        composition_id = make(tx, an_account(tx), body).id
        for person in (recorded, composed):
            over(tx, person.session_id, now=NOW)
        return {active.session_id: "", recorded.session_id: recording_id, composed.session_id: composition_id}

    kept = await database.write(make)
    assert await forget_history(database, before=BEFORE) == 0
    assert await database.read(left) == set(kept)

    def free(tx: Transaction) -> None:
        _, recording_id, composition_id = kept.values()
        recordings.delete(tx, an_account(tx), recording_id, now=NOW)
        compositions.delete(tx, an_account(tx), composition_id, now=NOW)

    await database.write(free)
    assert await forget_history(database, before=BEFORE) == 4
    assert len(await database.read(left)) == 1, "the active one"


async def test_one_step_is_bounded_however_many_were_in_a_session(database: Database) -> None:
    session_id = await database.write(partial(ended, people=5))
    step = partial(history.forget_sessions, session_ids=[session_id], before=BEFORE, limit=2)
    assert [await database.write(step) for _ in range(5)] == [2, 2, 1, 1, 0]


async def test_a_session_of_which_a_composition_was_asked_for_meanwhile_stays(database: Database) -> None:
    def make(tx: Transaction) -> str:
        person = a_recorded_participant(tx)
        a_recording(tx, person.participant_id)
        over(tx, person.session_id, now=NOW)
        return person.session_id

    session_id = await database.write(make)
    assert await database.write(partial(history.forget_sessions, session_ids=[session_id], before=BEFORE)) == 0
    assert await database.read(partial(row, table=schema.room_sessions, row_id=session_id))


async def test_old_entries_of_the_audit_log_go_in_steps(database: Database) -> None:
    def make(tx: Transaction) -> None:
        for day in range(5):
            note = partial(audit.record, tx, account_id=an_account(tx), key_id=None, operation="o", object_id=None)
            note(now=NOW + day * DAY)

    await database.write(make)
    step = partial(history.forget_audit_events, before=NOW + 3 * DAY, limit=2)
    assert [await database.write(step) for _ in range(3)] == [2, 1, 0]
    assert len(await database.read(partial(rows, table=audit.AUDIT))) == 2
