"""What a client leaves behind: no task, socket or thread, however it ends."""

import asyncio
import threading
from pathlib import Path

import aioice
import pytest

from portico.client import Picture, Tone
from portico.client.peer import Peer, check_consent
from tests.client.parts import client, until_sound
from tests.gateway.conftest import Rooms
from tests.waiting import until

DESCRIPTORS = Path("/proc/self/fd")


class Traces:
    """The tasks, threads and open descriptors that are there now, to compare with later."""

    def __init__(self) -> None:
        self._before = self._now()

    async def are_gone(self) -> None:
        """Wait until there are no more tasks, threads and descriptors than before."""
        await until(lambda: all(now <= before for now, before in zip(self._now(), self._before, strict=True)), 15)

    @staticmethod
    def _now() -> tuple[int, int, int]:
        return len(asyncio.all_tasks()), threading.active_count(), len(list(DESCRIPTORS.iterdir()))


async def test_a_client_that_ends_or_is_cancelled_at_any_moment_leaves_nothing_behind(rooms: Rooms) -> None:
    room_id = rooms.create()
    anna = client(rooms, room_id, "Anna")  # its token is requested before the count begins
    traces = Traces()

    async def take_part() -> None:
        async with anna:
            await anna.publish(audio=Tone(440), video=Picture(320, 180, 5))
            inside.set()
            await until_sound(anna.audio(), 1, there=True)  # which never comes: it is cancelled here

    inside = asyncio.Event()
    task = asyncio.create_task(take_part())
    await asyncio.wait_for(inside.wait(), 40)
    task.cancel()
    task.cancel()  # an impatient caller
    with pytest.raises(asyncio.CancelledError):
        await task
    await traces.are_gone()

    # Cancelled at moments all over the join.
    for moment in (0.0, 0.01, 0.03, 0.08, 0.2, 0.4):
        ben = client(rooms, room_id, "Ben")
        joining = asyncio.create_task(ben.__aenter__())
        await asyncio.sleep(moment)
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
        await ben.leave()
    await traces.are_gone()


async def test_readers_that_stop_in_the_middle_end_their_subscription(rooms: Rooms) -> None:
    room_id = rooms.create()
    async with client(rooms, room_id, "Anna") as anna, client(rooms, room_id, "Ben", messages=False) as ben:
        await anna.publish(audio=Tone(440), video=Picture(320, 180, 5))
        await until(lambda: ben.participants and "self" in ben.participants[0].streams)
        (person,) = ben.participants
        await anext(person.video())  # which starts the thread that decodes pictures
        await until(lambda: not ben._listening._shared)
        traces = Traces()
        async for _ in person.audio():
            break
        async for _ in person.video():
            break
        await traces.are_gone()


async def test_a_media_connection_that_is_cancelled_at_any_step_leaves_no_socket() -> None:
    traces = Traces()
    is_done, steps = False, 0
    while not is_done:
        peer = Peer([])
        peer.channel("chat")
        offering = asyncio.create_task(peer.offer())
        for _ in range(steps):
            await asyncio.sleep(0)
        is_done = offering.done()
        offering.cancel()
        await asyncio.gather(offering, return_exceptions=True)
        await peer.close()
        steps += 1
    assert steps > 2
    await traces.are_gone()


async def test_consent_checks_that_begin_after_the_close_end_at_once() -> None:
    connection = aioice.Connection(ice_controlling=True)
    await connection.close()
    await asyncio.wait_for(check_consent(connection), 1)
