"""Deliveries that overlap: replays, retries, failovers and Retry-After, clocks and leases, many hanging receivers."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from portico.db import schema
from portico.services import webhooks
from portico.worker.webhooks.deliveries import PER_URL_MAX
from tests.receiver import Receiver, hang, held, retry_after, status
from tests.waiting import WITHIN_SECS
from tests.worker.webhooks.outbox import SECOND, Outbox


async def test_the_pause_that_the_primary_requests_counts_behind_a_failover_too(outbox: Outbox) -> None:
    async with Receiver(retry_after("120")) as primary, Receiver(status(500)) as failover:
        room_id = await outbox.room(primary.url, failover.url)
        await outbox.worker()
        await outbox.event(room_id)
        delivery = await outbox.delivery(room_id, rounds=1)
        assert delivery.due_at - outbox.clock.now >= 120 * SECOND


async def test_a_replay_of_what_is_just_being_sent_comes_after_it(outbox: Outbox) -> None:
    go = asyncio.Event()
    async with Receiver(held(go, status(410))) as old, Receiver() as new:
        room_id = await outbox.room(old.url)
        await outbox.worker()
        await outbox.event(room_id)
        await old.wait_for(1, WITHIN_SECS)
        delivery = await outbox.delivery(room_id)
        mended = schema.rooms.update().values(webhook_event_url=new.url)
        await outbox.database.write(lambda tx: tx.execute(mended))
        again = partial(webhooks.replay, account_id=None, delivery_id=delivery.id, now=outbox.clock.now + SECOND)
        await outbox.database.write(again)
        go.set()
        await outbox.move_to(outbox.clock.now + 2 * SECOND)
        await new.wait_for(1, WITHIN_SECS)


async def test_a_worker_whose_clock_leaps_does_not_send_twice_at_once(outbox: Outbox) -> None:
    async with Receiver(otherwise=hang()) as receiver, Receiver() as other:
        await outbox.worker()
        await outbox.event(await outbox.room(receiver.url))
        await receiver.wait_for(1, WITHIN_SECS)
        await outbox.move_to(outbox.clock.now + timedelta(seconds=31))
        await outbox.event(await outbox.room(other.url))
        await other.wait_for(1, WITHIN_SECS)
        assert len(receiver.requests) == 1


async def test_many_hanging_receivers_leave_room_for_one_that_answers(outbox: Outbox) -> None:
    async with AsyncExitStack() as stack, Receiver() as quick:
        hanging = [await stack.enter_async_context(Receiver(otherwise=hang())) for _ in range(20)]
        await outbox.events_of_rooms([one.url for one in hanging for _ in range(PER_URL_MAX)], timeout_secs=20)
        await outbox.worker()
        for one in hanging:
            await one.wait_for(5, WITHIN_SECS)
        await outbox.event(await outbox.room(quick.url))
        await quick.wait_for(1, WITHIN_SECS)
