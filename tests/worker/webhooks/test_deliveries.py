"""From a fact to a receiver: what arrives, when it is tried again, in which order, and what a crash or a hang costs.

The database, the sender and the receivers are real. The clock is moved by hand, and moving it wakes the workers.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest

from portico.core.retry import FIRST_ROUNDS, JITTER, LATER_ROUNDS
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database
from portico.services import erasure, participants, sessions, webhook_queue, webhooks
from portico.services.webhook_queue import LEASE
from portico.services.webhooks import ATTEMPTS, DELIVERED, DELIVERIES, FAILED, PENDING
from portico.worker.webhooks.deliveries import PER_URL_MAX
from portico.worker.webhooks.sender import BODY_BYTES
from tests.factories import a_participant, rows
from tests.receiver import OK, Behaviour, Exchange, Receiver, hang, held, redirect, retry_after, status
from tests.waiting import WITHIN_SECS
from tests.worker.late import LateAnswer
from tests.worker.webhooks.conftest import PUBLIC
from tests.worker.webhooks.outbox import DAY, SECOND, Outbox, sessions_of, taking


async def test_every_event_of_a_session_arrives_whole_signed_and_in_order(outbox: Outbox) -> None:
    alice, bob = str(uuid4()), str(uuid4())
    async with Receiver() as receiver:
        room_id = await outbox.room(receiver.url)
        await outbox.worker()
        start = outbox.clock.now
        join = partial(a_participant, room_id=room_id, now=start)
        session_id = (await outbox.database.write(partial(join, participant_id=alice, context='Zoë "😀"'))).session_id
        await outbox.database.write(partial(join, participant_id=bob))
        await outbox.all_delivered(3)  # a clock that leaps ends the leases of what is under way
        outbox.clock.now += 34.9 * SECOND
        await outbox.database.write(
            partial(participants.leave, participant_id=alice, reason="kicked", now=outbox.clock.now)
        )
        await outbox.all_delivered(4)
        outbox.clock.now += 10 * SECOND
        over = partial(sessions.end, ended_reason="Ended from API", left_reason="session_ended", now=outbox.clock.now)
        await outbox.database.write(partial(over, session_id=session_id))
        received = await receiver.wait_for(6, WITHIN_SECS)
        await outbox.all_delivered(6)

    here = {"session_id": session_id, "room_id": room_id}
    zoe, without_context = {"participant_id": alice, "context": 'Zoë "😀"'}, {"participant_id": bob, "context": None}
    assert [(each.event["event_type"], each.event["payload"]) for each in received] == [
        ("video.room.session.started", here),
        ("video.room.participant.joined", here | zoe),
        ("video.room.participant.joined", here | without_context),
        ("video.room.participant.left", here | zoe | {"duration_secs": 34, "left_reason": "kicked"}),
        ("video.room.participant.left", here | without_context | {"duration_secs": 44, "left_reason": "session_ended"}),
        ("video.room.session.ended", here | {"duration_secs": 44, "ended_reason": "Ended from API"}),
    ]
    for request in received:
        assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
        assert request.headers["user-agent"] == "telnyx-webhooks"
        assert request.json.keys() == {"data", "meta"}
        assert request.event.keys() == {"record_type", "event_type", "id", "occurred_at", "payload"}
        assert request.event["record_type"] == "event" and UUID(request.event["id"]).version == 4
        assert start <= datetime.strptime(request.event["occurred_at"], "%Y-%m-%dT%H:%M:%S.%f%z") <= outbox.clock.now
        assert request.json["meta"] == {"attempt": 1, "delivered_to": receiver.url}
        assert request.unwrap(PUBLIC).data.id == request.event["id"]
    assert len({request.event["id"] for request in received}) == 6
    assert len(await outbox.database.read(partial(rows, table=DELIVERIES))) == 6, "nothing was invented"


async def test_the_failover_is_tried_at_once_and_the_primary_again_after_five_seconds(outbox: Outbox) -> None:
    """Acceptance case 42."""
    second = partial(taking, outbox.clock, SECOND)
    async with Receiver(second(status(500))) as primary, Receiver(second(status(500)), path="/other") as failover:
        room_id = await outbox.room(primary.url, failover.url)
        await outbox.worker()
        start = outbox.clock.now
        await outbox.event(room_id)
        waiting = await outbox.delivery(room_id, rounds=1)
        assert (waiting.status, waiting.attempts, waiting.leased_until) == (PENDING, 2, None)
        ended = start + 2 * SECOND
        assert (1 - JITTER) * 5 * SECOND <= waiting.due_at - ended <= (1 + JITTER) * 5 * SECOND
        await outbox.move_to(waiting.due_at - SECOND / 1000)
        await outbox.move_to(waiting.due_at)
        delivered = await outbox.delivery(room_id, status=DELIVERED)

    first, third = primary.requests
    (second_request,) = failover.requests
    requests = [first, second_request, third]
    urls = [primary.url, failover.url, primary.url]
    assert [each.json["meta"] for each in requests] == [
        {"attempt": number, "delivered_to": url} for number, url in enumerate(urls, 1)
    ]
    assert len({each.data_bytes for each in requests}) == 1
    instants = [start, start + SECOND, waiting.due_at]
    assert [each.headers["telnyx-timestamp"] for each in requests] == [str(int(at.timestamp())) for at in instants]
    for request in requests:
        assert request.unwrap(PUBLIC).data.id == first.event["id"]
    log = await outbox.attempts(delivered)
    assert [(each.number, each.url, each.status_code, each.delivered) for each in log] == [
        (1, primary.url, 500, False),
        (2, failover.url, 500, False),
        (3, primary.url, 200, True),
    ]
    assert [each.started_at for each in log] == instants
    assert (delivered.started_at, delivered.finished_at, delivered.due_at) == (start, waiting.due_at, None)


@pytest.mark.parametrize(
    ("behaviour", "state", "code", "error"),
    [
        (status(204), DELIVERED, 204, None),
        (redirect("/elsewhere"), PENDING, 302, "answered 302: redirects are not followed"),
        (hang(), PENDING, None, "timed out after 1 s"),
        (status(410), FAILED, 410, "answered 410"),
    ],
    ids=["204", "302", "hang", "410"],
)
async def test_what_counts_as_delivered(
    outbox: Outbox, behaviour: Behaviour, state: str, code: int | None, error: str | None
) -> None:
    """Acceptance case 43, and 410, which ends the tries at this event and at no other."""
    async with Receiver(behaviour) as receiver:
        # A receiver that answers has ten seconds, in case the machine is busy.
        room_id = await outbox.room(receiver.url, timeout_secs=1 if code is None else 10)
        await outbox.worker()
        await outbox.event(room_id)
        (attempt,) = await outbox.attempts(await outbox.delivery(room_id, status=state, rounds=1))
        assert (attempt.status_code, attempt.error, attempt.delivered) == (code, error, state == DELIVERED)
        next_event = await outbox.event(room_id)
        received = await receiver.wait_for(2, WITHIN_SECS)
    assert received[1].event["payload"]["session_id"] == next_event
    assert {request.target for request in received} == {"/hook"}


async def test_after_410_the_failover_is_not_tried(outbox: Outbox) -> None:
    async with Receiver(status(410)) as primary, Receiver() as failover:
        room_id = await outbox.room(primary.url, failover.url)
        await outbox.worker()
        await outbox.event(room_id)
        assert (await outbox.delivery(room_id, status=FAILED)).attempts == 1
    assert not failover.requests


async def test_an_attempt_is_logged_as_what_it_was(outbox: Outbox) -> None:
    angry = taking(outbox.clock, 1.5 * SECOND, status(503, b"no\0 " * BODY_BYTES, x_why="tired"))
    async with Receiver(angry) as receiver:
        room_id = await outbox.room(receiver.url)
        await outbox.worker()
        await outbox.event(room_id)
        delivery = await outbox.delivery(room_id, rounds=1)
        (attempt,) = await outbox.attempts(delivery)
    assert (attempt.number, attempt.url, attempt.status_code) == (1, receiver.url, 503)
    assert (attempt.error, attempt.delivered) == ("answered 503", False)
    assert attempt.finished_at - attempt.started_at == 1.5 * SECOND
    assert attempt.response_headers["x-why"] == "tired"
    assert attempt.response_body.startswith("no no ") and 1000 < len(attempt.response_body) <= BODY_BYTES
    sent = receiver.requests[0].headers
    assert {name: sent[name] for name in attempt.request_headers} == attempt.request_headers
    assert "telnyx-signature-ed25519" in attempt.request_headers


# When it is tried again.


async def test_a_receiver_may_ask_for_a_longer_pause(outbox: Outbox) -> None:
    async with Receiver(retry_after("120")) as receiver:
        room_id = await outbox.room(receiver.url)
        await outbox.worker()
        await outbox.event(room_id)
        assert (await outbox.delivery(room_id, rounds=1)).due_at == outbox.clock.now + 120 * SECOND


async def test_three_rounds_and_then_growing_pauses_for_a_day(outbox: Outbox) -> None:
    async with Receiver(otherwise=status(500)) as receiver:
        room_id = await outbox.room(receiver.url)
        await outbox.worker()
        start = outbox.clock.now
        await outbox.event(room_id)
        delivery, pauses = await outbox.fail(room_id)
    assert (delivery.status, delivery.due_at) == (FAILED, None)
    assert outbox.clock.now == delivery.finished_at == start + DAY, "the last try is at the very end"
    usual = [*(FIRST_ROUNDS + LATER_ROUNDS)[1:], *[LATER_ROUNDS[-1]] * len(pauses)][: len(pauses)]
    for pause, expected in list(zip(pauses, usual, strict=True))[:-1]:
        assert abs(pause - expected) <= JITTER * expected + SECOND / 1000
    assert pauses[-1] <= (1 + JITTER) * usual[-1]
    assert len(set(pauses)) == len(pauses), "jitter"
    assert len(receiver.requests) == len(pauses) + 1 == delivery.rounds == delivery.attempts
    assert len({request.data_bytes for request in receiver.requests}) == 1
    assert [request.json["meta"]["attempt"] for request in receiver.requests] == list(range(1, delivery.attempts + 1))
    for request in receiver.requests:
        request.check_signature(PUBLIC)
    assert len(await outbox.attempts(delivery)) == delivery.attempts


async def test_a_receiver_that_was_down_for_a_day_gets_it_at_last(outbox: Outbox) -> None:
    async with Receiver() as receiver:
        room_id = await outbox.room(receiver.url)
        await receiver.stop()
        await outbox.worker()
        end = outbox.clock.now + DAY
        await outbox.event(room_id)
        delivery, _ = await outbox.fail(room_id, until=end)
        assert {each.error for each in await outbox.attempts(delivery)} == {"connection refused"}
        await receiver.start()
        await outbox.move_to(end)
        assert (await outbox.delivery(room_id, status=DELIVERED)).finished_at == end
    assert len(receiver.requests) == 1


async def test_exactly_three_rounds_as_the_original_has_them(outbox: Outbox) -> None:
    angry = retry_after("3000", 500)
    async with Receiver(otherwise=angry) as primary, Receiver(otherwise=angry) as failover:
        room_id = await outbox.room(primary.url, failover.url)
        await outbox.worker(retry_for=timedelta(0))
        await outbox.event(room_id)
        delivery, pauses = await outbox.fail(room_id)
    assert (delivery.status, delivery.rounds, delivery.attempts) == (FAILED, 3, 6)
    assert [round(pause / usual) for pause, usual in zip(pauses, FIRST_ROUNDS[1:], strict=True)] == [1, 1]
    assert (len(primary.requests), len(failover.requests)) == (3, 3)
    log = await outbox.attempts(delivery)
    assert [each.url for each in log] == [primary.url, failover.url] * 3


async def test_a_replay_goes_to_where_the_room_sends_now_and_goes_on_counting(outbox: Outbox) -> None:
    async with Receiver(otherwise=status(500)) as old, Receiver() as new:
        room_id = await outbox.room(old.url)
        await outbox.worker(retry_for=timedelta(0))
        await outbox.event(room_id)
        failed, _ = await outbox.fail(room_id)
        await outbox.database.write(lambda tx: tx.execute(schema.rooms.update().values(webhook_event_url=new.url)))
        outbox.clock.now += DAY
        await outbox.database.write(
            partial(webhooks.replay, account_id=None, delivery_id=failed.id, now=outbox.clock.now)
        )
        (request,) = await new.wait_for(1, WITHIN_SECS)
        again = await outbox.delivery(room_id, status=DELIVERED)
    assert request.json["meta"] == {"attempt": 4, "delivered_to": new.url}
    assert request.data_bytes == old.requests[0].data_bytes
    assert len(old.requests) == 3
    assert (again.attempts, len(await outbox.attempts(again))) == (4, 4)


# The order of the events of one room, and deliveries of several rooms at once.


async def test_an_event_waits_for_the_first_round_of_the_one_before_it_and_no_longer(outbox: Outbox) -> None:
    let_go = asyncio.Event()
    async with Receiver(held(let_go, status(500))) as ours, Receiver() as theirs:
        room_id, other_id = await outbox.room(ours.url), await outbox.room(theirs.url)
        await outbox.worker()
        first = await outbox.event(room_id)
        await ours.wait_for(1, WITHIN_SECS)
        second = await outbox.event(room_id)
        for count in (1, 2):  # a worker that claims these could claim the second event too
            await outbox.event(other_id)
            await theirs.wait_for(count, WITHIN_SECS)
        assert sessions_of(ours.requests) == [first]
        let_go.set()
        received = await ours.wait_for(2, WITHIN_SECS)
        assert sessions_of(received) == [first, second]
        await outbox.delivery(room_id, nth=1, status=DELIVERED)
        waiting = await outbox.delivery(room_id, rounds=1)
        assert waiting.status == PENDING and waiting.due_at > outbox.clock.now
        await outbox.move_to(waiting.due_at)
        assert sessions_of(await ours.wait_for(3, WITHIN_SECS)) == [first, second, first]


async def test_a_hanging_receiver_holds_up_no_other(outbox: Outbox) -> None:
    """It gets no more than its share of what may be under way, and the others are served meanwhile."""
    async with Receiver(otherwise=hang()) as hanging, Receiver() as quick:
        worker = await outbox.worker()
        for _ in range(PER_URL_MAX + 8):
            await outbox.event(await outbox.room(hanging.url, timeout_secs=20))
        await hanging.wait_for(PER_URL_MAX, WITHIN_SECS)
        room_id = await outbox.room(quick.url)
        for count in range(1, 21):
            await outbox.event(room_id)
            await quick.wait_for(count, WITHIN_SECS)
        await outbox.all_delivered(20)
        assert len(hanging.requests) == PER_URL_MAX
        assert worker.in_flight >= PER_URL_MAX


# More than one worker, and workers that end.


@asynccontextmanager
async def beside(database: Database) -> AsyncIterator[Database]:
    """What another process would have open."""
    opened = open_database(database.engine.url.render_as_string(hide_password=False))
    try:
        yield opened
    finally:
        await opened.close()


async def test_two_workers_deliver_each_event_once(outbox: Outbox) -> None:
    sent: dict[str, list[str]] = {}
    async with Receiver() as receiver, beside(outbox.database) as second:
        for _ in range(15):
            room_id = await outbox.room(receiver.url)
            sent[room_id] = [await outbox.event(room_id) for _ in range(4)]
        workers = await asyncio.gather(outbox.worker(), outbox.worker(database=second))
        await outbox.all_delivered(60)
        for worker in workers:
            await worker.stop()
    received: dict[str, list[str]] = {}
    for request in receiver.requests:
        payload = request.event["payload"]
        received.setdefault(payload["room_id"], []).append(payload["session_id"])
    assert received == sent
    assert {request.json["meta"]["attempt"] for request in receiver.requests} == {1}


async def test_what_a_stopped_worker_was_at_is_taken_over_after_its_lease(outbox: Outbox) -> None:
    async with Receiver(hang()) as receiver:
        room_id = await outbox.room(receiver.url, timeout_secs=20)
        stopped = await outbox.worker()
        await outbox.event(room_id)
        await receiver.wait_for(1, WITHIN_SECS)
        await stopped.stop()
        assert stopped.in_flight == 0
        leased = await outbox.delivery(room_id, status=PENDING, rounds=0)
        assert leased.leased_until == outbox.clock.now + LEASE + 2 * 20 * SECOND
        await outbox.worker()
        await outbox.move_to(leased.leased_until - SECOND)
        await outbox.move_to(leased.leased_until)
        first, second = await receiver.wait_for(2, WITHIN_SECS)
        await outbox.delivery(room_id, status=DELIVERED)
    assert second.headers["telnyx-timestamp"] == str(int(leased.leased_until.timestamp()))
    assert first.data_bytes == second.data_bytes


async def test_the_only_worker_need_not_wait_for_the_lease_of_the_one_before(outbox: Outbox) -> None:
    async with Receiver(hang()) as receiver:
        room_id = await outbox.room(receiver.url)
        stopped = await outbox.worker()
        await outbox.event(room_id)
        await receiver.wait_for(1, WITHIN_SECS)
        await stopped.stop()
        await outbox.database.write(webhook_queue.release_all)
        await outbox.worker()
        await outbox.delivery(room_id, status=DELIVERED)


async def test_what_is_claimed_while_a_worker_stops_waits_for_no_lease(outbox: Outbox) -> None:
    late = LateAnswer(outbox.database, webhook_queue.claim)
    async with Receiver() as receiver:
        room_id = await outbox.room(receiver.url)
        stopped = await outbox.worker(database=late)
        await outbox.event(room_id)
        await asyncio.wait_for(late.done.wait(), WITHIN_SECS)
        stopping = asyncio.create_task(stopped.stop())
        await asyncio.sleep(0)
        late.let_go.set()
        await asyncio.wait_for(stopping, WITHIN_SECS)
        assert receiver.requests == []
        await outbox.worker()
        await outbox.delivery(room_id, status=DELIVERED)


async def test_a_receiver_that_was_down_over_a_restart_gets_it(outbox: Outbox) -> None:
    """Acceptance case 44."""
    async with Receiver() as receiver:
        room_id = await outbox.room(receiver.url)
        await receiver.stop()
        before = await outbox.worker()
        event = await outbox.event(room_id)
        waiting = await outbox.delivery(room_id, rounds=1)
        await before.stop()
        await receiver.start()
        await outbox.worker()
        await outbox.move_to(waiting.due_at)
        (request,) = await receiver.wait_for(1, WITHIN_SECS)
        await outbox.delivery(room_id, status=DELIVERED)
    assert (sessions_of([request]), request.json["meta"]["attempt"]) == ([event], 2)


async def test_a_participant_erased_while_an_event_is_sent_is_in_no_later_request_and_no_answer(outbox: Outbox) -> None:
    secret, answered = "Alice Pleasance Liddell", asyncio.Event()

    async def echo(exchange: Exchange) -> None:
        await answered.wait()
        await exchange.answer(500, exchange.request.body, x_echo=exchange.request.data_bytes.decode())

    async with Receiver(OK, otherwise=echo) as primary, Receiver(path="/other") as failover:
        room_id = await outbox.room(primary.url, failover.url)
        join = partial(a_participant, room_id=room_id, context=secret, now=outbox.clock.now)
        alice = (await outbox.database.write(join)).participant_id
        now = outbox.clock.now
        await outbox.database.write(partial(participants.leave, participant_id=alice, reason="left", now=now))
        await outbox.worker()
        _, joined = await primary.wait_for(2, WITHIN_SECS)
        assert secret.encode() in joined.body
        await outbox.database.write(partial(erasure.erase, account_id=None, participant_id=alice, now=now))
        answered.set()
        await outbox.all_delivered(3)
        assert all(secret.encode() not in request.body for request in failover.requests)
        kept = await outbox.database.read(lambda tx: repr([*rows(tx, ATTEMPTS), *rows(tx, DELIVERIES)]))
        assert secret not in kept


async def test_a_worker_forgets_what_is_old(outbox: Outbox) -> None:
    async with Receiver() as receiver:
        room_id = await outbox.room(receiver.url)
        worker = await outbox.worker()
        await outbox.event(room_id)
        await outbox.delivery(room_id, status=DELIVERED)
        await worker.stop()
        outbox.clock.now += 2 * DAY
        await outbox.worker(keep_for=DAY)
        await outbox.until(lambda tx: not rows(tx, DELIVERIES) and not rows(tx, ATTEMPTS))


async def test_a_clock_that_is_years_ahead_forgets_nothing(outbox: Outbox) -> None:
    room_id = await outbox.room("http://127.0.0.1:1/")
    first = await outbox.worker()
    await outbox.event(room_id)
    await outbox.delivery(room_id, rounds=1)
    await first.stop()
    outbox.clock.now += 3650 * DAY
    await outbox.worker(keep_for=DAY)
    await outbox.until(lambda tx: rows(tx, schema.clock)[0].held_until)
    assert (await outbox.delivery(room_id)).url == "http://127.0.0.1:1/"
