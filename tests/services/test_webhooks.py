"""The outbox: what is queued for which URL, what may be claimed, and when old rows are deleted."""

import asyncio
import random
import string
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any
from uuid import uuid4

import pytest

from portico.core.errors import NotFound
from portico.core.events import SessionStarted
from portico.core.webhook import DEFAULT_TIMEOUT_SECS
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import clock, events, rooms, sessions, webhook_queue, webhooks
from portico.services.rows import DELIVERY_ROWS, Delivery
from portico.services.webhook_queue import LEASE, Load
from portico.services.webhooks import ATTEMPTS, DELIVERED, DELIVERIES, FAILED, PENDING
from tests.factories import NOW, a_participant, a_room, an_account, fact_names, row, rows

URL = "http://receiver.example/hook"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


class Crash(Exception):
    """What a transaction under test raises."""


def an_event(tx: Transaction, room_id: str, now: datetime = NOW) -> str:
    """One fact of a room that has a webhook: the id of its delivery."""
    account: str = row(tx, schema.rooms, room_id).account_id
    events.record(tx, account, SessionStarted(str(uuid4()), room_id), now)
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
    account_max: int = 100,
    load: Load | None = None,
) -> list[str]:
    """The ids that a worker gets which is at requests to these URLs already."""
    load = load or Load(account_max, origin_max, url_max)
    account = an_account(tx)
    for url in at:
        origin = webhook_queue.origin_of(url)
        load.sending.update([(account,), (account, origin), (account, origin, webhook_queue.url_head_of(url))])
    while late := overdue(tx, now):
        webhook_queue.make_ready(tx, late, now=now)
    chosen = webhook_queue.choose(tx, load, now=now, limit=limit).ready
    return [row.id for row in webhook_queue.claim(tx, chosen, now=now)]


def overdue(tx: Transaction, now: datetime) -> list[str]:
    """The ids of what waits for its time or its lease no more."""
    return webhook_queue.choose(tx, Load(50, 50, 50), now=now, limit=1).overdue


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


def one(tx: Transaction, delivery_id: str) -> Delivery:
    return DELIVERY_ROWS.one(tx, DELIVERY_ROWS.select(DELIVERIES.c.id == delivery_id))


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


async def test_the_last_events_of_a_deleted_room_are_still_sent(database: Database) -> None:
    def check(tx: Transaction) -> None:
        room_id = a_room(tx, webhook_event_url=URL)
        session_id = a_participant(tx, room_id).session_id
        rooms.delete(tx, an_account(tx), room_id, now=NOW)
        if sessions.active_of(tx, room_id) is not None:
            sessions.end(tx, session_id, ended_reason="room_deleted", left_reason="session_ended", now=NOW)
        queued_types = [row.event_type.removeprefix("video.room.") for row in rows(tx, DELIVERIES)]
        assert queued_types == fact_names(tx, room_id)
        assert queued_types == ["session.started", "participant.joined", "participant.left", "session.ended"]

    await database.write(check)


async def test_what_is_rolled_back_is_never_sent(database: Database) -> None:
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
        usual = LEASE + 2 * DEFAULT_TIMEOUT_SECS * SECOND
        assert one(tx, default).leased_until == NOW + usual
        assert one(tx, long).leased_until == NOW + LEASE + 60 * SECOND
        assert claim(tx) == claim(tx, now=NOW + usual - SECOND / 1000) == []
        assert claim(tx, now=NOW + usual) == [default]
        assert claim(tx, now=NOW + LEASE + 60 * SECOND) == [default, long]

    await database.write(check)


async def test_only_what_is_due_is_claimed_and_what_is_longest_due_comes_first(database: Database) -> None:
    def check(tx: Transaction) -> None:
        made = [a_delivery(tx) for _ in range(3)]
        for delivery_id, secs in zip(made, (30, 10, 20), strict=True):
            again_at(tx, delivery_id, NOW + secs * SECOND)
        assert overdue(tx, NOW + 10 * SECOND - SECOND / 1000) == [] and overdue(tx, NOW + 10 * SECOND) == [made[1]]
        assert claim(tx, now=NOW + 9 * SECOND) == []
        assert claim(tx, now=NOW + 30 * SECOND, limit=2) == [made[1], made[2]]
        finish(tx, made[0])
        finish(tx, made[1], delivered=False)
        finish(tx, made[2])
        assert [one(tx, each).status for each in made] == [DELIVERED, FAILED, DELIVERED]
        assert overdue(tx, NOW + DAY) == [] and claim(tx, now=NOW + DAY) == []

    await database.write(check)


async def test_a_rooms_events_are_claimed_one_after_the_other_until_they_were_tried(database: Database) -> None:
    def check(tx: Transaction) -> None:
        room_id = a_room(tx, webhook_event_url=URL)
        first, second, third = (an_event(tx, room_id) for _ in range(3))
        other = a_delivery(tx)
        assert claim(tx) == [first, other]
        assert claim(tx) == []
        again_at(tx, first, NOW + 5 * SECOND)
        assert claim(tx) == [second], "it was tried, and blocks no other"
        assert claim(tx, now=NOW + 5 * SECOND) == [first]
        finish(tx, second)
        assert claim(tx, now=NOW + 5 * SECOND) == [third]

    await database.write(check)


async def test_a_url_and_an_origin_get_their_share_and_no_more(database: Database) -> None:
    busy, beside, upper = "http://H.EXAMPLE/a", "http://H.example/b", "http://h.example/c"

    def check(tx: Transaction) -> None:
        made = {url: [a_delivery(tx, url) for _ in range(4)] for url in (busy, beside, upper, URL)}
        limits = partial(claim, tx, url_max=3, origin_max=5)
        assert limits() == [*made[busy][:3], *made[beside][:2], *made[URL][:3]]
        webhook_queue.release_all(tx)
        assert limits(at=(busy, busy)) == [*made[busy][:1], *made[beside][:2], *made[URL][:3]]
        webhook_queue.release_all(tx)
        assert limits(at=(busy,) * 3) == [*made[beside][:2], *made[URL][:3]]
        webhook_queue.release_all(tx)
        assert limits(at=(busy,) * 3 + (upper,) * 2) == made[URL][:3]
        webhook_queue.release_all(tx)
        assert limits(at=(URL,) * 3, limit=1) == made[busy][:1]

    await database.write(check)


async def test_many_for_a_full_url_do_not_hide_the_others(database: Database) -> None:
    def check(tx: Transaction) -> None:
        for _ in range(20):
            a_delivery(tx)
        other = a_delivery(tx, "http://other.example/")
        assert claim(tx, at=(URL,) * 3, url_max=3, limit=10) == [other]

    await database.write(check)


async def test_an_account_gets_its_share_and_no_more(database: Database) -> None:
    def check(tx: Transaction) -> None:
        own = [a_delivery(tx, f"http://{number}.example/") for number in range(6)]
        others = [a_delivery(tx, f"http://{number}.example/", account="other") for number in range(2)]
        assert sorted(claim(tx, account_max=3)) == sorted([*own[:3], *others])

    await database.write(check)


async def test_what_is_slow_for_one_account_is_not_slow_for_another(database: Database) -> None:
    def check(tx: Transaction) -> None:
        a_delivery(tx)
        other = a_delivery(tx, account="other")
        assert claim(tx, at=(URL,) * 3, url_max=3) == [other]

    await database.write(check)


async def test_every_receiver_has_its_turn_when_fewer_may_be_sent_than_are_ready(database: Database) -> None:
    load = Load(100, 100, 100)

    def check(tx: Transaction) -> None:
        urls = [f"http://{origin}.example/{path}" for origin in "ab" for path in "xyz"]
        made = {url: [a_delivery(tx, url) for _ in range(3)] for url in urls}
        turns = [claim(tx, limit=3, load=load) for _ in range(6)]
        assert sorted(chain(*turns)) == sorted(chain(*made.values()))
        assert [{each.origin[7] for each in map(partial(one, tx), turn)} for turn in turns[:2]] == [{"a"}, {"b"}]

    await database.write(check)


async def test_a_replayed_event_waits_only_for_earlier_ones(database: Database) -> None:
    def check(tx: Transaction) -> None:
        account, room_id = an_account(tx), a_room(tx, webhook_event_url=URL)
        first, second, third, fourth = (an_event(tx, room_id) for _ in range(4))
        for each in (first, second):
            assert claim(tx) == [each]
            finish(tx, each, delivered=False)
        for each in (first, second):
            webhooks.replay(tx, account, each, now=NOW)
        assert sorted(claim(tx)) == sorted([first, third])
        again_at(tx, first, NOW + DAY)
        assert claim(tx) == [second]
        again_at(tx, third, NOW + DAY)
        assert claim(tx) == []
        again_at(tx, second, NOW + DAY)
        assert claim(tx) == [fourth]

    await database.write(check)


async def test_a_replay_of_what_is_being_sent_comes_after_that(database: Database) -> None:
    def check(tx: Transaction) -> None:
        delivery_id = a_delivery(tx)
        (claimed,) = claim(tx)
        webhooks.replay(tx, an_account(tx), claimed, now=NOW + SECOND)
        assert claim(tx, now=NOW + SECOND) == []
        webhooks.conclude_round(tx, claimed, delivered=False, next_due=NOW + DAY, now=NOW + SECOND, since=NOW)
        assert claim(tx, now=NOW + SECOND) == [delivery_id]

    await database.write(check)


async def test_what_another_worker_delivered_after_our_lease_stays_delivered(database: Database) -> None:
    def check(tx: Transaction) -> None:
        delivery_id = a_delivery(tx)
        assert claim(tx) == claim(tx, now=NOW + DAY) == [delivery_id]
        webhooks.conclude_round(tx, delivery_id, delivered=True, next_due=None, now=NOW + DAY, since=NOW)
        webhooks.conclude_round(tx, delivery_id, delivered=False, next_due=NOW + DAY, now=NOW + DAY, since=NOW)
        assert one(tx, delivery_id).status == DELIVERED
        assert claim(tx, now=NOW + 2 * DAY) == []

    await database.write(check)


async def test_a_round_without_a_claim_is_concluded_whatever_preceded_it(database: Database) -> None:
    def check(tx: Transaction) -> None:
        delivery_id = a_delivery(tx)
        for delivered in (False, True):
            finish(tx, delivery_id, delivered=delivered)
            assert one(tx, delivery_id).status == (DELIVERED if delivered else FAILED)

    await database.write(check)


async def test_the_retries_take_as_long_when_the_clock_is_set(database: Database) -> None:
    def check(tx: Transaction) -> None:
        waits, sent = a_delivery(tx), a_delivery(tx)
        assert set(claim(tx)) == {waits, sent}
        again_at(tx, waits, NOW + SECOND)
        clock.step(tx, DAY, known=timedelta(0))
        for each in (waits, sent):
            assert abs(webhooks.first_at(tx, each) - NOW - DAY) < SECOND / 100
        webhooks.conclude_round(tx, sent, delivered=False, next_due=NOW + 2 * DAY, now=NOW + DAY, since=NOW)
        assert one(tx, sent).rounds == 1

    await database.write(check)


async def test_events_of_a_room_that_happen_at_once_are_never_forgotten(database: Database) -> None:
    """Whatever the order of commits: as long as something waits in a room, something of it may be sent."""
    room_id = await database.write(partial(a_room, webhook_event_url=URL))
    await asyncio.gather(*(database.write(partial(an_event, room_id=room_id)) for _ in range(20)))
    sent: list[str] = []
    more = [asyncio.create_task(database.write(partial(an_event, room_id=room_id))) for _ in range(20)]
    async with asyncio.timeout(30):
        while len(sent) < 40:
            for got in await database.write(claim):
                sent.append(got)
                await database.write(partial(finish, delivery_id=got))
    made = [row.id for row in await database.read(partial(rows, table=DELIVERIES))]
    assert sent == made
    await asyncio.gather(*more)


@pytest.mark.slow
@pytest.mark.parametrize("waiting", ["in one room", "in many rooms"])
async def test_choosing_looks_at_what_may_be_sent_and_not_at_what_waits(sqlite_url: str, waiting: str) -> None:
    """Counted in steps of SQLite's machine, which no load of this one changes."""
    database = open_database(sqlite_url)
    load = Load(1000, 500, 3)

    def fill(tx: Transaction, number: int) -> None:
        room_id = a_room(tx, webhook_event_url=URL)
        for _ in range(number):
            an_event(tx, room_id) if waiting == "in one room" else a_delivery(tx)

    def steps(tx: Transaction) -> int:
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += 1

        driver: Any = tx.connection.driver_connection
        driver.set_progress_handler(count, 1)
        try:
            assert webhook_queue.choose(tx, load, now=NOW, limit=100).ready == [other]
        finally:
            driver.set_progress_handler(None, 0)
        return counted

    try:
        account = await database.write(an_account)
        other = await database.write(partial(a_delivery, url="http://other.example/"))
        load.sending[account, "http://receiver.example", URL] = 3
        await database.write(partial(fill, number=10))
        few = await database.read(steps)
        await database.write(partial(fill, number=1000))
        assert await database.read(steps) <= few + 20
    finally:
        await database.close()


async def test_postgresql_finds_what_may_be_sent_by_the_index_of_it(postgres_url: str) -> None:
    database = open_database(postgres_url)

    def plans(tx: Transaction) -> list[str]:
        for _ in range(50):
            a_delivery(tx)
        tx.exec_driver_sql("SET LOCAL enable_seqscan = off")
        values = {"account_id": "a", "origin": "o", "url_head": "u", "after": "", "limit": 10}
        found = []
        for statement in (*map(webhook_queue._next_parts, range(3)), webhook_queue._of_url()):
            plan = tx.exec_driver_sql("EXPLAIN " + str(statement.compile(dialect=tx.dialect)), values)
            found.append("\n".join(row[0] for row in plan))
        return found

    try:
        for plan in await database.write(plans):
            assert "ix_webhook_deliveries_ready" in plan and "Seq Scan" not in plan and "Sort" not in plan, plan
    finally:
        await database.close()


async def test_no_worker_claims_what_another_has(database: Database) -> None:
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
        webhook_queue.release_all(tx)
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


async def test_no_account_replays_what_is_not_its_own(database: Database) -> None:
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


@pytest.mark.parametrize("url", [f"https://{'H' * 1900}/{'x' * 80}", f"https://receiver.example/{'x' * 1970}"])
async def test_the_longest_urls_are_queued(database: Database, url: str) -> None:
    """An index entry of PostgreSQL holds 2,700 bytes after compression, which random letters do not take."""
    letters = random.Random(1)
    url = "".join(letters.choice(string.ascii_lowercase + string.digits) if sign in "Hx" else sign for sign in url)

    def check(tx: Transaction) -> None:
        assert one(tx, a_delivery(tx, url)).url == url

    await database.write(check)


async def test_urls_of_former_versions_are_queued_and_claimed(database: Database) -> None:
    """Such a room has no webhook that the API would take today, and its events are facts all the same."""
    letters = random.Random(1)
    long = "".join(letters.choice(string.ascii_letters + string.digits) for _ in range(20_000))
    wide = "".join(chr(letters.randrange(0x20000, 0x2A000)) for _ in range(2000))
    urls = [f"https://h.example/{long}", f"https://h.example/{wide}", f"https://{wide}.example/", f"https://{long}/"]

    def check(tx: Transaction) -> None:
        made = [a_delivery(tx, url) for url in urls]
        assert sorted(claim(tx)) == sorted(made)
        assert one(tx, made[0]).url == urls[0]

    await database.write(check)


async def test_urls_that_begin_alike_share_a_lane(database: Database) -> None:
    """The index has only the beginning of a URL."""
    load = Load(50, 50, 2)

    def check(tx: Transaction) -> None:
        for end in "abc":
            a_delivery(tx, f"https://receiver.example/{'x' * 400}{end}")
        sending = claim(tx, load=load)
        assert len(sending) == 2
        for each in sending:
            load.begin(one(tx, each))
        assert claim(tx, load=load) == []
        for each in sending:
            load.end(one(tx, each))
        assert len(claim(tx, load=load)) == 1

    await database.write(check)
