"""The outbox: what is queued and for whom, what may be claimed, and what becomes of old rows."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Row

from portico.core.errors import NotFound
from portico.core.events import SessionStarted
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import events, rooms, sessions, webhooks
from portico.services.webhooks import ATTEMPTS, DELIVERED, DELIVERIES, FAILED, LEASE, PENDING, TIMEOUT_SECS, Load
from tests.factories import NOW, a_participant, a_room, an_account, fact_names, rows

URL = "http://receiver.example/hook"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


class Crash(Exception):
    """What a transaction under test raises."""


def an_event(tx: Transaction, room_id: str, now: datetime = NOW) -> str:
    """One fact of a room that has a webhook: the id of its delivery."""
    events.record(tx, an_account(tx), SessionStarted(str(uuid4()), room_id), now)
    return str(rows(tx, DELIVERIES, room_id=room_id)[-1].id)


def a_delivery(tx: Transaction, url: str = URL, now: datetime = NOW, **settings: Any) -> str:
    """The one event of a room of its own."""
    return an_event(tx, a_room(tx, webhook_event_url=url, **settings), now)


def claim(
    tx: Transaction,
    *,
    now: datetime = NOW,
    limit: int = 100,
    at: tuple[str, ...] = (),
    url_max: int = 50,
    origin_max: int = 50,
) -> list[str]:
    """The ids that a worker gets which is at requests to these URLs already."""
    origins = Counter(webhooks._origin(url) for url in at)
    load = Load(Counter(at), origins, url_max, origin_max)
    return [row.id for row in webhooks.claim(tx, load, now=now, limit=limit)]


def attempt(tx: Transaction, delivery_id: str, number: int = 1) -> None:
    webhooks.record_attempt(
        tx,
        delivery_id,
        number=number,
        url=URL,
        started_at=NOW,
        finished_at=NOW + SECOND,
        delivered=False,
        status_code=500,
        error="answered 500",
        request_headers={},
        response_headers={},
        response_body="",
    )


def finish(tx: Transaction, delivery_id: str, *, delivered: bool = True) -> None:
    """One attempt, and the last."""
    attempt(tx, delivery_id)
    webhooks.conclude_round(tx, delivery_id, delivered=delivered, next_due=None, now=NOW + SECOND)


def again_at(tx: Transaction, delivery_id: str, next_due: datetime) -> None:
    """A round that failed."""
    webhooks.conclude_round(tx, delivery_id, delivered=False, next_due=next_due, now=NOW)


def one(tx: Transaction, delivery_id: str) -> Row[Any]:
    (row,) = rows(tx, DELIVERIES, id=delivery_id)
    return row


# What is queued.


@pytest.mark.parametrize("url", [None, ""])
async def test_without_a_url_nothing_is_queued_even_with_a_failover(database: Database, url: str | None) -> None:
    def check(tx: Transaction) -> None:
        room_id = a_room(tx, webhook_event_url=url, webhook_event_failover_url=URL)
        a_participant(tx, room_id)
        assert fact_names(tx, room_id) == ["session.started", "participant.joined"]
        assert rows(tx, DELIVERIES) == []

    await database.write(check)


async def test_an_event_goes_to_where_the_room_sends_when_it_happens(database: Database) -> None:
    def check(tx: Transaction) -> None:
        account, room_id = an_account(tx), a_room(tx, webhook_event_url=URL, webhook_timeout_secs=7)
        an_event(tx, room_id)
        changes = {"webhook_event_url": "https://b.example/", "webhook_event_failover_url": URL}
        rooms.update(tx, account, room_id, changes, now=NOW)
        an_event(tx, room_id)
        rooms.update(tx, account, room_id, {"webhook_event_url": None, "webhook_timeout_secs": 9}, now=NOW)
        events.record(tx, account, SessionStarted("s", room_id), NOW)
        queued = [(row.url, row.failover_url, row.timeout_secs, row.origin) for row in rows(tx, DELIVERIES)]
        assert queued == [
            (URL, "", 7, "http://receiver.example"),
            ("https://b.example/", URL, 7, "https://b.example"),
        ]

    await database.write(check)


async def test_the_last_events_of_a_deleted_room_are_still_told(database: Database) -> None:
    def check(tx: Transaction) -> None:
        room_id = a_room(tx, webhook_event_url=URL)
        session_id = a_participant(tx, room_id).session_id
        rooms.delete(tx, an_account(tx), room_id, now=NOW)
        if sessions.active_of(tx, room_id) is not None:
            sessions.end(tx, session_id, ended_reason="room_deleted", left_reason="session_ended", now=NOW)
        told = [row.event_type.removeprefix("video.room.") for row in rows(tx, DELIVERIES)]
        assert told == fact_names(tx, room_id)
        assert told == ["session.started", "participant.joined", "participant.left", "session.ended"]

    await database.write(check)


async def test_what_is_rolled_back_is_never_told(database: Database) -> None:
    def record(tx: Transaction, room_id: str, *, crash: bool) -> None:
        an_event(tx, room_id)
        if crash:
            raise Crash

    room_id = await database.write(partial(a_room, webhook_event_url=URL))
    writes = [database.write(partial(record, room_id=room_id, crash=crash)) for crash in (True, False, True)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [Crash, type(None), Crash]
    (event,) = await database.read(partial(rows, table=schema.events))
    (delivery,) = await database.read(partial(rows, table=DELIVERIES))
    assert event.id in delivery.data


# What may be claimed.


async def test_what_is_claimed_is_leased_for_two_attempts_and_some(database: Database) -> None:
    def check(tx: Transaction) -> None:
        default, long = a_delivery(tx), a_delivery(tx, webhook_timeout_secs=30)
        assert claim(tx) == [default, long]
        usual = LEASE + 2 * TIMEOUT_SECS * SECOND
        assert one(tx, default).leased_until == NOW + usual
        assert one(tx, long).leased_until == NOW + LEASE + 60 * SECOND
        assert claim(tx) == claim(tx, now=NOW + usual - SECOND / 1000) == []
        assert claim(tx, now=NOW + usual) == [default]
        assert claim(tx, now=NOW + LEASE + 60 * SECOND) == [default, long]

    await database.write(check)


async def test_only_what_is_due_is_claimed_and_what_is_longest_due_comes_first(database: Database) -> None:
    def check(tx: Transaction) -> None:
        made = [a_delivery(tx) for _ in range(3)]
        assert webhooks.next_due_at(tx) == NOW
        for delivery_id, secs in zip(made, (30, 10, 20), strict=True):
            again_at(tx, delivery_id, NOW + secs * SECOND)
        assert webhooks.next_due_at(tx) == NOW + 10 * SECOND
        assert claim(tx, now=NOW + 9 * SECOND) == []
        assert claim(tx, now=NOW + 30 * SECOND, limit=2) == [made[1], made[2]]
        finish(tx, made[0])
        finish(tx, made[1], delivered=False)
        finish(tx, made[2])
        assert [one(tx, each).status for each in made] == [DELIVERED, FAILED, DELIVERED]
        assert webhooks.next_due_at(tx) is None and claim(tx, now=NOW + DAY) == []

    await database.write(check)


async def test_a_rooms_events_are_claimed_one_after_the_other_until_they_were_tried(database: Database) -> None:
    def check(tx: Transaction) -> None:
        room_id = a_room(tx, webhook_event_url=URL)
        first, second, third = (an_event(tx, room_id) for _ in range(3))
        other = a_delivery(tx)
        assert claim(tx) == [first, other]
        assert claim(tx) == []
        again_at(tx, first, NOW + 5 * SECOND)
        assert claim(tx) == [second], "it was tried, and blocks nobody"
        assert claim(tx, now=NOW + 5 * SECOND) == [first]
        finish(tx, second)
        assert claim(tx, now=NOW + 5 * SECOND) == [third]

    await database.write(check)


async def test_a_url_and_an_origin_get_their_share_and_no_more(database: Database) -> None:
    busy, beside, upper = "http://h.example/a", "http://h.example/b", "http://H.EXAMPLE/c"

    def check(tx: Transaction) -> None:
        made = {url: [a_delivery(tx, url) for _ in range(4)] for url in (busy, beside, upper, URL)}
        limits = partial(claim, tx, url_max=3, origin_max=5)
        assert limits() == [*made[busy][:3], *made[beside][:2], *made[URL][:3]]
        webhooks.release_all(tx)
        assert limits(at=(busy, busy)) == [*made[busy][:1], *made[beside][:2], *made[URL][:3]]
        webhooks.release_all(tx)
        assert limits(at=(busy,) * 3) == [*made[beside][:2], *made[URL][:3]]
        webhooks.release_all(tx)
        assert limits(at=(busy,) * 3 + (upper,) * 2) == made[URL][:3]
        webhooks.release_all(tx)
        assert limits(at=(URL,) * 3, limit=1) == made[busy][:1]

    await database.write(check)


async def test_many_for_a_full_url_do_not_hide_the_others(database: Database) -> None:
    def check(tx: Transaction) -> None:
        for _ in range(20):
            a_delivery(tx)
        other = a_delivery(tx, "http://other.example/")
        assert claim(tx, at=(URL,) * 3, url_max=3, limit=10) == [other]

    await database.write(check)


async def test_nobody_claims_what_another_has(database: Database) -> None:
    def fill(tx: Transaction) -> list[str]:
        return [a_delivery(tx) for _ in range(40)]

    made = await database.write(fill)
    claimed: list[str] = []
    async with asyncio.timeout(10):
        while len(claimed) < 40:
            for got in await asyncio.gather(*(database.write(partial(claim, limit=5)) for _ in range(6))):
                claimed += got
    assert sorted(claimed) == sorted(made)


async def test_leases_of_a_worker_that_is_gone_can_be_released(database: Database) -> None:
    def check(tx: Transaction) -> None:
        made = [a_delivery(tx), a_delivery(tx)]
        assert claim(tx) == made
        webhooks.release_all(tx)
        assert claim(tx) == made

    await database.write(check)


# Replaying and forgetting.


@pytest.mark.parametrize("delivered", [True, False])
async def test_a_replay_begins_anew_with_the_rooms_urls_of_now(database: Database, delivered: bool) -> None:
    later = NOW + 3 * DAY

    def check(tx: Transaction) -> None:
        account, room_id = an_account(tx), a_room(tx, webhook_event_url=URL)
        delivery_id = an_event(tx, room_id)
        finish(tx, delivery_id, delivered=delivered)
        before = one(tx, delivery_id)
        changes = {"webhook_event_url": "https://b.example/x", "webhook_event_failover_url": URL}
        rooms.update(tx, account, room_id, changes | {"webhook_timeout_secs": 3}, now=later)
        webhooks.replay(tx, account, delivery_id, now=later)
        now = one(tx, delivery_id)
        assert (now.status, now.rounds, now.due_at, now.first_at, now.finished_at) == (PENDING, 0, later, later, None)
        assert (now.url, now.failover_url, now.timeout_secs) == ("https://b.example/x", URL, 3)
        assert now.origin == "https://b.example"
        assert (now.attempts, now.data, now.created_at) == (1, before.data, before.created_at)
        assert claim(tx, now=later) == [delivery_id]

    await database.write(check)


async def test_a_replay_for_a_room_without_a_url_goes_where_it_went(database: Database) -> None:
    def check(tx: Transaction) -> None:
        account, room_id = an_account(tx), a_room(tx, webhook_event_url=URL)
        delivery_id = an_event(tx, room_id)
        finish(tx, delivery_id)
        rooms.update(tx, account, room_id, {"webhook_event_url": None}, now=NOW)
        webhooks.replay(tx, None, delivery_id, now=NOW)
        assert (one(tx, delivery_id).url, claim(tx)) == (URL, [delivery_id])

    await database.write(check)


async def test_nobody_replays_what_is_not_theirs(database: Database) -> None:
    def check(tx: Transaction) -> None:
        delivery_id = a_delivery(tx)
        finish(tx, delivery_id)
        for account, wanted in ((an_account(tx, "other"), delivery_id), (an_account(tx), str(uuid4()))):
            with pytest.raises(NotFound):
                webhooks.replay(tx, account, wanted, now=NOW)
        assert one(tx, delivery_id).status == DELIVERED

    await database.write(check)


async def test_what_is_old_and_done_goes_in_small_steps(database: Database) -> None:
    def check(tx: Transaction) -> None:
        old = [a_delivery(tx, now=NOW - DAY) for _ in range(5)]
        pending, young = a_delivery(tx, now=NOW - DAY), a_delivery(tx)
        for delivery_id in [*old, young]:
            finish(tx, delivery_id, delivered=delivery_id != old[0])
        attempt(tx, pending)
        steps: list[int] = []
        while not steps or steps[-1]:
            steps.append(webhooks.sweep(tx, before=NOW, limit=2))
        assert max(steps) <= 4 and sum(steps) == 5 + 6, "deliveries, and events"
        assert [row.id for row in rows(tx, DELIVERIES)] == [pending, young]
        assert {row.delivery_id for row in rows(tx, ATTEMPTS)} == {pending, young}
        (event,) = rows(tx, schema.events)
        assert event.occurred_at == NOW

    await database.write(check)
