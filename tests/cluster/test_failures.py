"""Calls while parts of a cluster fail: what the participants notice, and what is true when all is over."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import httpx
import pytest

from portico.client import Event, Lost, Rejoined, Room, Tone
from tests.client.parts import until_sound
from tests.cluster.cable import Cable
from tests.cluster.pairs import Pairs
from tests.gateway.browser import Refused
from tests.receiver import Receiver
from tests.waiting import until, until_in_thread

pytestmark = [pytest.mark.one_janus, pytest.mark.slow]
HERTZ = 440
REJOINED_WITHIN_SECS = 15.0


class Call:
    """Anna, who plays a tone, and Ben, who listens, through different processes with the API. All is recorded."""

    def __init__(self, pairs: Pairs, receiver: Receiver, room: str, anna: Room, ben: Room) -> None:
        self.pairs, self.receiver, self.room = pairs, receiver, room
        self.anna, self.ben = anna, ben
        self.token = pairs.rooms[0].token(room, token_ttl_secs=3600)
        self.numbers: list[tuple[int, int]] = []
        self._seen: dict[Room, list[Event]] = {anna: [], ben: []}
        self._reading = [asyncio.create_task(self._read(one)) for one in (anna, ben)]

    @property
    def node(self) -> str:
        return self.pairs.node_of(self.room)

    async def is_received(self) -> None:
        """Ben receives the tone."""
        await until_sound(self.ben.audio(), HERTZ)

    async def goes_on(self) -> None:
        """Ben receives the tone; the rooms in Janus are noted for later."""
        await self.is_received()
        self.numbers += self.pairs.numbers(self.room)

    async def rejoined(self, *people: Room, since: float, times: int = 1) -> float:
        """Seconds until these have joined again, so many times in all; then Ben receives the tone again."""
        await until(lambda: all(self.count(Rejoined, one) == times for one in people))
        took = time.monotonic() - since
        assert self.count(Lost) == len(people) * times
        await self.goes_on()
        return took

    def count(self, kind: type[Event], *people: Room) -> int:
        """How many events of this kind these have seen, without names both of them."""
        return sum(isinstance(event, kind) for one in people or self._seen for event in self._seen[one])

    def none_was_lost(self) -> None:
        """Neither of them has lost the call."""
        assert not self.count(Lost), self._seen

    async def _read(self, one: Room) -> None:
        async for event in one.events():
            self._seen[one].append(event)

    async def another_joins(self, api: int) -> None:
        async with self.pairs.rooms[api].browser(self.room, token=self.token) as newcomer:
            await newcomer.join()


@pytest.fixture(scope="module")
def fronts(pairs: Pairs) -> Iterator[list[Cable]]:
    """Addresses that lead to the first, or the second, process with the API, and to the other one without it."""
    one, other = (server.port for server in pairs.servers)
    with Cable(one, other) as first, Cable(other, one) as second:
        yield [first, second]


@asynccontextmanager
async def call(pairs: Pairs, fronts: list[Cable], node: str | None = None) -> AsyncIterator[Call]:
    """A call, on this node if one is named; after it the invariants hold."""
    others = [one for one in pairs.nodes if node not in (None, one)]
    async with Receiver() as receiver:
        room = pairs.rooms[0].create(enable_recording=True, webhook_event_url=receiver.url)
        token = pairs.rooms[0].token(room, token_ttl_secs=3600)
        for one in others:
            await change(pairs, "drain", one)
        try:
            async with (
                Room.join(fronts[0].base_url, room, token) as anna,
                Room.join(fronts[1].base_url, room, token) as ben,
            ):
                await anna.publish(audio=Tone(HERTZ))
                made = Call(pairs, receiver, room, anna, ben)
                await made.goes_on()
                assert await pairs.janus_has(made.numbers), "which the invariants ask for later"
                yield made
        finally:
            for one in others:
                await change(pairs, "resume", one)
        begun = time.monotonic()
        await pairs.invariants(room, receiver, made.numbers)
        print(f"invariants held {time.monotonic() - begun:.1f} s after the call")


async def change(pairs: Pairs, verb: str, node_id: str) -> None:
    """Drain a node, or resume it, by the command."""
    await asyncio.to_thread(pairs.command, verb, node_id)


async def test_an_api_process_and_a_worker_are_killed(pairs: Pairs, fronts: list[Cable]) -> None:
    async with call(pairs, fronts) as before:
        started = "SELECT count(*) FROM room_recordings WHERE room_id = %s AND started_at IS NOT NULL"
        await until_in_thread(lambda: pairs.query(started, before.room) == [(1,)])
    ((session,),) = pairs.query("SELECT id FROM room_sessions WHERE room_id = %s", before.room)
    async with call(pairs, fronts) as running:
        made = pairs.rooms[1].rest.room_compositions.create(session_id=str(session)).data
        assert made is not None
        worker, *_ = await until_in_thread(lambda: [one for one in pairs.workers if one.descendants()])
        begun = time.monotonic()
        for killed in (worker, pairs.servers[0]):
            killed.kill9()
        took = await running.rejoined(running.anna, since=begun)
        print(f"API process killed: rejoined after {took:.1f} s")
        assert took < REJOINED_WITHIN_SECS
        await until_in_thread(lambda: reasons(running) == ["timeout"], 40)
        print(f"row of the participant closed after {time.monotonic() - begun:.1f} s")
        status = "SELECT status FROM room_compositions WHERE id = %s"
        await until_in_thread(lambda: pairs.query(status, made.id) == [("completed",)], 120)
        print(f"composition completed after {time.monotonic() - begun:.1f} s")
        await asyncio.gather(*(asyncio.to_thread(one.start) for one in (worker, pairs.servers[0])))


def reasons(call: Call) -> list[str]:
    return [payload["left_reason"] for kind, payload in call.pairs.events(call.room) if kind == "participant.left"]


async def test_janus_and_then_a_media_process_are_killed(pairs: Pairs, fronts: list[Cable]) -> None:
    async with call(pairs, fronts) as running:
        (janus,) = pairs.nodes[running.node].descendants("janus")
        os.kill(janus, signal.SIGKILL)
        await together_again(running, "Janus", 1)
        dead = running.node
        pairs.nodes[dead].kill9()
        await together_again(running, "media process", 2)
        assert running.node != dead
        # A gateway that loses its sockets to Janus ends their connections after 5 s, or reads that the session ended.
        assert len(reasons(running)) == 4 and set(reasons(running)) <= {"media_lost", "timeout"}
        unfinished = "SELECT count(*) FROM room_recordings WHERE room_id = %s AND status <> 'completed'"
        assert pairs.query(unfinished, running.room) != [(0,)]
        await asyncio.to_thread(pairs.nodes[dead].start)  # it completes what it has recorded


async def together_again(call: Call, killed: str, times: int) -> None:
    """Both have joined again, for the time of this number."""
    took = await call.rejoined(call.anna, call.ben, since=time.monotonic(), times=times)
    print(f"{killed} killed: together again after {took:.1f} s")
    assert took < REJOINED_WITHIN_SECS


async def test_the_database_is_restarted_and_stands_still_and_a_cable_is_cut(pairs: Pairs, fronts: list[Cable]) -> None:
    async with call(pairs, fronts) as running:
        kept = pairs.rooms[0].create()
        pairs.postgres.stop()
        try:
            for number in range(len(pairs.servers)):
                await refuses(running, number)
            await running.is_received()
        finally:
            pairs.postgres.start()
        begun = time.monotonic()
        for number in range(len(pairs.servers)):
            await until_joined(running, number)
        print(f"joins again {time.monotonic() - begun:.1f} s after the database")
        assert pairs.rooms[1].rest.rooms.retrieve(kept).data is not None
        pairs.postgres.suspend()
        await asyncio.sleep(3)
        await running.is_received()
        pairs.postgres.suspend(signal.SIGCONT)
        for number in range(len(pairs.servers)):
            await until_joined(running, number)
        await cut_and_mend(running)
        running.none_was_lost()


async def cut_and_mend(call: Call) -> None:
    """Cut the cable between the API processes and the media node, until a join is refused."""
    cable, begun = call.pairs.cables[call.node], time.monotonic()
    cable.cut()
    try:
        await refuses_a_join(call, 0)
        print(f"cable cut: a join is refused after {time.monotonic() - begun:.1f} s")
        await call.is_received()
    finally:
        cable.mend()
    begun = time.monotonic()
    for number in range(len(call.pairs.servers)):
        await until_joined(call, number)
    print(f"joins again {time.monotonic() - begun:.1f} s after the cable is mended")
    await call.is_received()


async def refuses(call: Call, api: int) -> None:
    """A request and a join get 503, the request with Retry-After."""
    server = call.pairs.servers[api]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {server.api_key}"}, timeout=30) as http:
        answer = await http.post(f"{server.base_url}/v2/rooms", json={})
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) >= 1
    await refuses_a_join(call, api)


async def refuses_a_join(call: Call, api: int) -> None:
    """A join gets 503, in the handshake with Retry-After, or later as the answer to a request."""
    with pytest.raises((aiohttp.WSServerHandshakeError, Refused)) as refusal:
        await call.another_joins(api)
    assert getattr(refusal.value, "status", None) == 503
    headers = getattr(refusal.value, "headers", None)
    assert headers is None or "Retry-After" in headers


async def until_joined(call: Call, api: int, within: float = 15) -> None:
    deadline = time.monotonic() + within
    while True:
        try:
            return await call.another_joins(api)
        except (Refused, aiohttp.ClientError, TimeoutError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)


async def test_clocks_jump_and_a_machine_is_suspended(pairs: Pairs, fronts: list[Cable]) -> None:
    ours, other = pairs.nodes
    async with call(pairs, fronts, node=ours) as running:
        for step in (3600, -7200):  # it is a minute behind the others at first
            pairs.clock.set(step)
            await asyncio.sleep(2)  # longer than a clock is looked at
            known = len(running.receiver.requests)
            await running.another_joins(1)
            await running.receiver.wait_for(known + 2, within=10)
            await running.goes_on()
        running.none_was_lost()
        machine = [pairs.servers[1], pairs.workers[1], pairs.nodes[other]]
        stopped = [pid for one in machine for pid in (one.pid, *one.descendants())]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        reaped = "SELECT count(*) FROM room_participants WHERE left_reason = 'timeout' AND room_id = %s"
        try:
            await until_in_thread(lambda: pairs.query(reaped, running.room) == [(1,)])
            assert pairs.query("SELECT count(*) FROM media_nodes WHERE is_up") == [(1,)]
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        begun = time.monotonic()
        await until_joined(running, 1)
        print(f"joins again {time.monotonic() - begun:.1f} s after the suspension")
        await running.goes_on()
        running.none_was_lost()
        up = "SELECT count(*) FROM media_nodes WHERE is_up"
        await until_in_thread(lambda: pairs.query(up) == [(2,)], 30)


async def test_a_node_is_drained_and_the_store_refuses_while_a_call_is_recorded(
    pairs: Pairs, fronts: list[Cable]
) -> None:
    async with call(pairs, fronts) as running:
        drained = running.node
        await change(pairs, "drain", drained)
        try:
            room = pairs.rooms[0].create()
            async with pairs.rooms[0].browser(room) as anna:
                await anna.join()
                assert pairs.node_of(room) != drained
            await running.goes_on()
            await running.another_joins(1)  # on the drained node still
            running.none_was_lost()
        finally:
            await change(pairs, "resume", drained)
        pairs.store.refuse()
        await running.anna.leave()
        waits = "SELECT status FROM room_recordings WHERE room_id = %s AND ended_at IS NOT NULL"
        await until_in_thread(lambda: pairs.query(waits, running.room) == [("processing",)])
        await until_in_thread(lambda: "job waits" in pairs.nodes[drained].log, 60)
        pairs.store.mend()
    ((key,),) = pairs.query("SELECT object_key FROM room_recordings WHERE room_id = %s", running.room)
    assert key is not None
