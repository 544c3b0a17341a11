"""Calls of portico.client on a real server: one that tests share, and one of its own for a test that kills it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from portico.client import Room
from tests.calls.call import NAMES, RestCall, official_sdk
from tests.calls.person import Person
from tests.servers import PorticoServer


@dataclass
class Call(RestCall):
    """A room and the participants in it, who leave at the end."""

    room_id: str = ""
    people: list[Person] = field(default_factory=list)
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def join(self, token: str | None = None) -> Person:
        """Join a new participant to the call's room, which is made first if there is none."""
        if not self.room_id:
            await self.create_room()
        token = token or await self.token()
        name = NAMES[len(self.people) % len(NAMES)]
        room = Room.join(self.server.base_url, self.room_id, token, context={"name": name}, messages=False)
        person = Person(room, name)
        self.people.append(person)
        return await self.stack.enter_async_context(person)

    async def gather(self, count: int) -> list[Person]:
        """Have so many participants join at the same time; return when each has received Joined about all others."""
        if not self.room_id:
            await self.create_room()
        people = await asyncio.gather(*(self.join() for _ in range(count)))
        await asyncio.gather(*(one.other(other) for one in people for other in people))
        return people

    async def act(self, action: str, participants: Any = "all", **members: Any) -> None:
        """Perform an action on the session that goes on."""
        (session,) = [session for session in await self.sessions() if session.active]
        perform = getattr(self.rest.rooms.sessions.actions, action)
        answer = await perform(session.id or "", participants=participants, extra_body=members)
        assert answer.data is not None
        assert answer.data.result == "ok"

    async def has_left(self, person: Person) -> bool:
        return (await self.participants())[person.id].left_at is not None


@contextlib.asynccontextmanager
async def calls(server: PorticoServer) -> AsyncIterator[Call]:
    """Yield a call on this server; end it after the test."""
    async with official_sdk(server) as rest:
        call = Call(server, rest)
        async with call.stack:
            yield call


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, loopback: str | None, portico: type[PorticoServer]
) -> Iterator[PorticoServer]:
    """The server that tests share: each has a room of its own."""
    with portico(tmp_path_factory.mktemp("calls") / "data", media_interface=loopback) as server:
        yield server


@pytest_asyncio.fixture
async def call(server: PorticoServer) -> AsyncIterator[Call]:
    """A call on the shared server."""
    async with calls(server) as call:
        yield call


@pytest_asyncio.fixture
async def fragile_call(own_server: PorticoServer) -> AsyncIterator[Call]:
    """A call on a server that the test may kill."""
    async with calls(own_server) as call:
        yield call
