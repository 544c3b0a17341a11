"""Erasing one participant: their context and label are deleted everywhere; the fact of their stay remains."""

import asyncio
import json
import random
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from portico.core.errors import Invalid, NotFound
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import compositions, erasure, jobs, participants, sessions, webhooks
from portico.services.participants import Joined
from tests.factories import NOW, a_participant, an_account, facts, gateway_of, row, rows
from tests.recorded import a_recorded_participant, a_recording, gone, over, started

LATER = NOW + timedelta(hours=2)
SECRET = "Alice Pleasance Liddell"
"""In a form that JSON spells as it is, so that it would be found."""


def two_people(tx: Transaction) -> tuple[Joined, Joined]:
    """Alice, whose context names her and who has left, and Bob in the same session with a context of his own."""
    other = a_recorded_participant(tx)
    alice = a_participant(tx, other.room_id, context=json.dumps({"name": SECRET}))
    this = schema.room_participants.c.id == alice.participant_id
    tx.execute(schema.room_participants.update().where(this).values(label=SECRET))
    bob = schema.room_participants.c.id == other.participant_id
    tx.execute(schema.room_participants.update().where(bob).values(context="Bob", label="Bob"))
    tx.execute(schema.participant_tokens.insert().values(participant_id=alice.participant_id, grant_id="f" * 18))
    for delivery in rows(tx, webhooks.DELIVERIES):
        if alice.participant_id in delivery.data:
            echo(tx, delivery.id)
    gone(tx, alice.participant_id, now=LATER)
    return alice, other


def echo(tx: Transaction, delivery_id: str, sent: str | None = None, number: int = 1, **how: Any) -> None:
    """Record an attempt whose answer repeats the name that the receiver was sent."""
    answer = {"delivered": True, "status_code": 200, "error": None, "response_headers": {"x-echo": SECRET}}
    webhooks.record_attempt(
        tx,
        delivery_id,
        number=number,
        url="http://127.0.0.1:1/hook",
        started_at=NOW,
        finished_at=NOW,
        request_headers={},
        response_body=SECRET,
        sent=sent,
        **(answer | how),
    )


def sent_data(tx: Transaction, room_id: str) -> list[tuple[str, str]]:
    """The room's deliveries about Alice, as a worker has claimed them: ids and data."""
    return [(each.id, each.data) for each in rows(tx, webhooks.DELIVERIES, room_id=room_id) if SECRET in each.data]


def everything(tx: Transaction) -> str:
    """All rows of all tables, as text."""
    return repr([tuple(each) for table in schema.metadata.sorted_tables for each in rows(tx, table)])


def other_rows(tx: Transaction, participant_id: str) -> dict[str, list[str]]:
    """The rows of all other participants, by table."""
    tables = (schema.room_participants, schema.room_sessions, schema.rooms, schema.room_recordings)
    return {
        table.name: [repr(tuple(each)) for each in rows(tx, table) if participant_id not in repr(tuple(each))]
        for table in tables
    }


@pytest.mark.parametrize("keep", [False, True], ids=["recordings go", "recordings stay"])
async def test_no_text_of_an_erased_participant_is_left_anywhere(database: Database, keep: bool) -> None:
    def check(tx: Transaction) -> None:
        alice, _ = two_people(tx)
        (first, *_) = sent_data(tx, alice.room_id)
        echo(tx, first[0], number=2, status_code=None, error=f"Bad status line {SECRET!r}", delivered=False)
        assert everything(tx).count(SECRET) >= 6, "row, label, events, deliveries, answers"
        before = other_rows(tx, alice.participant_id)
        erase = partial(erasure.erase, tx, an_account(tx), alice.participant_id, keep_recordings=keep, now=LATER)
        for _ in range(2):
            erase()
        assert SECRET not in everything(tx)
        assert other_rows(tx, alice.participant_id) == before
        left = row(tx, schema.room_participants, alice.participant_id)
        assert (left.context, left.label, left.joined_at, left.left_at) == (None, None, NOW, LATER)
        departures = [payload for name, payload in facts(tx, alice.room_id) if name == "participant.left"]
        assert (departures[-1]["participant_id"], departures[-1]["context"]) == (alice.participant_id, None)
        assert departures[-1]["duration_secs"] == 7200
        sent = [json.loads(each.data) for each in rows(tx, webhooks.DELIVERIES, room_id=alice.room_id)]
        assert [each["payload"] for each in sent] == [payload for _, payload in facts(tx, alice.room_id)]

    await database.write(check)


async def test_what_was_recorded_of_them_goes_and_what_was_of_others_stays(database: Database) -> None:
    def check(tx: Transaction) -> None:
        alice, other = two_people(tx)
        theirs = a_recording(tx, other.participant_id, now=LATER)
        bob = a_participant(tx, alice.room_id, now=LATER)
        mine = [a_recording(tx, bob.participant_id, kind, now=LATER) for kind in ("video", "audio")]
        unfinished = started(tx, bob.participant_id, now=LATER)
        gone(tx, bob.participant_id, now=LATER)
        make = partial(compositions.create, regions_max=16, sound_by_default=True, now=LATER)
        made = make(tx, an_account(tx), {"session_id": alice.session_id}).id
        over(tx, alice.session_id, now=LATER)
        erasure.erase(tx, an_account(tx), bob.participant_id, now=LATER)
        assert [each.id for each in rows(tx, schema.room_recordings) if each.started_at] == [theirs]
        assert rows(tx, schema.room_compositions) == []
        files = {each.subject for each in rows(tx, schema.jobs, kind=jobs.DELETE_OBJECT)}
        assert {name.rpartition("/")[2].partition(".")[0] for name in files} == set(mine)
        assert [each for each in rows(tx, schema.jobs) if each.subject == unfinished] == []
        assert made

    await database.write(check)


async def test_recordings_and_compositions_can_be_kept(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_recorded_participant(tx)
        recording_id = a_recording(tx, person.participant_id)
        over(tx, person.session_id, now=LATER)
        make = partial(compositions.create, regions_max=16, sound_by_default=True, now=LATER)
        made = make(tx, an_account(tx), {"session_id": person.session_id}).id
        erasure.erase(tx, None, person.participant_id, keep_recordings=True, now=LATER)
        assert row(tx, schema.room_recordings, recording_id) and row(tx, schema.room_compositions, made)

    await database.write(check)


async def test_who_is_there_or_is_not_ones_own_cannot_be_erased(database: Database) -> None:
    def check(tx: Transaction) -> None:
        person = a_participant(tx, a_recorded_participant(tx).room_id, context=SECRET)
        with pytest.raises(Invalid, match="once they have left"):
            erasure.erase(tx, an_account(tx), person.participant_id, now=LATER)
        gone(tx, person.participant_id, now=LATER)
        for account_id, participant_id in ((an_account(tx, "other"), person.participant_id), (None, str(uuid4()))):
            with pytest.raises(NotFound):
                erasure.erase(tx, account_id, participant_id, now=LATER)
        assert row(tx, schema.room_participants, person.participant_id).context == SECRET

    await database.write(check)


async def test_nothing_of_a_request_that_is_under_way_is_kept(database: Database) -> None:
    """Whichever comes first: the erasure, or the answer."""
    for turn in range(10):
        alice, _ = await database.write(two_people)
        claimed = await database.read(partial(sent_data, room_id=alice.room_id))
        assert len(claimed) == 2, "joined and left"
        how: dict[str, Any] = (
            {} if turn % 2 else {"status_code": None, "error": f"Bad status line {SECRET!r}", "delivered": False}
        )
        acts: list[Callable[[Transaction], None]]
        acts = [partial(echo, delivery_id=id_, sent=data, number=2, **how) for id_, data in claimed]
        acts.append(partial(erasure.erase, account_id=None, participant_id=alice.participant_id, now=LATER))
        random.shuffle(acts)
        await asyncio.gather(*map(database.write, acts))
        assert SECRET not in await database.read(everything)


async def test_a_leave_that_was_found_out_late_is_erased(database: Database) -> None:
    """The server was down for a day: the event has the time of the leave, its delivery that of the restart."""

    def check(tx: Transaction) -> None:
        person = a_participant(tx, a_recorded_participant(tx).room_id, context=SECRET)
        late = NOW + timedelta(days=1)
        participants.leave(tx, person.participant_id, "timeout", now=late, left_at=LATER)
        erasure.erase(tx, None, person.participant_id, now=late)
        assert SECRET not in everything(tx)

    await database.write(check)


async def test_what_is_dated_before_the_join_is_erased(database: Database) -> None:
    """The clock was set back during the call."""

    def check(tx: Transaction) -> None:
        person = a_participant(tx, a_recorded_participant(tx).room_id, context=SECRET)
        earlier, gateway_id = NOW - timedelta(hours=5), gateway_of(tx, person.room_id)
        assert gateway_id is not None
        participants.leave(tx, person.participant_id, "timeout", now=NOW)
        assert participants.come_back(
            tx, person.participant_id, gateway_id=gateway_id, now=earlier, grace=sessions.GRACE
        )
        participants.leave(tx, person.participant_id, "left", now=earlier)
        erasure.erase(tx, None, person.participant_id, now=earlier)
        assert SECRET not in everything(tx)

    await database.write(check)
