"""The rooms that the connections of a gateway are in, as rows of PostgreSQL that several gateways share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, cast

import pytest

from portico.db.connect import open_database
from portico.db.engine import Database
from portico.gateway.nodes import Janus, MediaNode, Occupation, SharedNodes
from portico.gateway.registry import Registry, RoomConnection
from portico.services import media_rooms, nodes
from portico.services.nodes import NodeAddress
from tests.clocks import Clock
from tests.factories import NOW, a_gateway, a_room
from tests.waiting import until

NODE = "01234567"
ADDRESS = NodeAddress("ws://127.0.0.1:1", None, "key", None, "/mjr", "1.4.1")


class ObedientJanus:
    """Does what it is asked for, and notes it."""

    admin_key = "key"

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []

    async def request(self, plugin: str, body: dict[str, Any], *, timeout: float = 5.0) -> dict[str, Any]:
        self.requests.append((body["request"], body.get("room")))
        return {}


@dataclass(eq=False)
class Socket:
    """A connection that only enters and leaves."""

    owner: str


class SlowLeaves(SharedNodes):
    """The placement, whose leaves reach the database when they may."""

    def __init__(
        self, db: Database, gateway_id: Callable[[], str], own: MediaNode | None, clock: Callable[[], datetime]
    ) -> None:
        super().__init__(db, gateway_id, own, clock)
        self.may_leave = asyncio.Event()

    async def leave(self, occupation: Occupation) -> bool:
        await self.may_leave.wait()
        return await super().leave(occupation)


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    db = open_database(postgres_url)
    yield db
    await db.close()


async def test_an_entry_in_the_moment_of_the_last_leave_is_not_undone_by_it(db: Database) -> None:
    await db.write(partial(nodes.register, node_id=NODE, address=ADDRESS, now=NOW))
    gateway_id, room_id = await db.write(a_gateway), await db.write(a_room)
    janus = ObedientJanus()
    placement = SlowLeaves(db, lambda: gateway_id, MediaNode(NODE, cast(Janus, janus), "/mjr"), Clock(NOW))
    registry = Registry(placement, is_alone=False)
    first, second = cast(RoomConnection, Socket("first")), cast(RoomConnection, Socket("second"))

    before = await registry.enter(room_id, first)
    registry.leave(room_id, first)
    await asyncio.sleep(0)  # the leave is on its way to the database
    entering = asyncio.create_task(registry.enter(room_id, second))
    asyncio.get_running_loop().call_later(0.3, placement.may_leave.set)
    entered = await entering
    await registry.close()

    occupation_id = entered.occupation.id
    assert occupation_id is not None
    assert await db.read(partial(media_rooms.is_open, occupation_id=occupation_id))
    destroyed = {room for request, room in janus.requests if request == "destroy"}
    assert entered.occupation.media.video not in destroyed
    assert (before.occupation.media.video in destroyed) is (before.occupation.id != occupation_id)

    registry.leave(room_id, second)
    await until(lambda: entered.occupation.media.video in {room for do, room in janus.requests if do == "destroy"})
    await registry.close()
    assert not await db.read(partial(media_rooms.is_open, occupation_id=occupation_id))
