"""One Chromium, one page site and one server for all end-to-end tests, and people to fill rooms with."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser
from telnyx import AsyncTelnyx, DefaultAsyncHttpxClient
from telnyx.types import RoomParticipant
from telnyx.types.room_session import RoomSession

from tests.e2e.browser import chromium
from tests.e2e.page_server import page_server
from tests.e2e.person import Person
from tests.servers import PorticoServer
from tests.waiting import until

NAMES = ("Anna", "Ben", "Cleo", "Dora", "Emil")


@dataclass
class Call:
    """A room on a server, made with the official Python SDK, and the people in it."""

    server: PorticoServer
    browser: Browser
    site: str
    rest: AsyncTelnyx
    room_id: str = ""
    people: list[Person] = field(default_factory=list)
    seats: int = 0

    async def create_room(self, **settings: Any) -> str:
        """Makes this the call's room from now on."""
        answer = await self.rest.rooms.create(**settings)
        assert answer.data is not None and answer.data.id is not None
        self.room_id = answer.data.id
        return self.room_id

    async def token(self, room_id: str | None = None, **settings: Any) -> str:
        answer = await self.rest.rooms.actions.generate_join_client_token(room_id or self.room_id, **settings)
        assert answer.data is not None and answer.data.token is not None
        return answer.data.token

    async def newcomer(self) -> Person:
        """A person with an open page who has not joined yet."""
        name = NAMES[self.seats % len(NAMES)]
        self.seats += 1
        person = await Person.open(self.browser, self.site, f"{self.server.base_url}/connect.js", name)
        self.people.append(person)
        return person

    async def join(self, **options: Any) -> Person:
        """A new person who has joined the call's room; the room is made first if there is none."""
        if not self.room_id:
            await self.create_room()
        person = await self.newcomer()
        return await person.join(self.room_id, await self.token(), **{"context": person.name} | options)

    async def gather(self, count: int, **options: Any) -> list[Person]:
        """So many people, who arrive at the same time and have all noticed each other."""
        if not self.room_id:
            await self.create_room()
        people = await asyncio.gather(*(self.join(**options) for _ in range(count)))
        for one in people:
            for other in people:
                if other.id not in await one.roster():
                    await one.wait_for("participant_joined", other.id)
        return people

    async def sessions(self) -> list[RoomSession]:
        """The sessions that the room has had, newest first."""
        return [session async for session in self.rest.rooms.sessions.list_1(self.room_id)]

    async def participants(self) -> dict[str | None, RoomParticipant]:
        """All participants who were ever in the room, by participant id, as the API returns them."""
        pages = [self.rest.rooms.sessions.retrieve_participants(session.id or "") for session in await self.sessions()]
        return {one.id: one for page in pages async for one in page}

    async def eventually(self, what: str, true: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
        """Asks again and again until it is so, with a deadline."""
        await until(true, within, what)

    async def has_left(self, person: Person) -> bool:
        return (await self.participants())[person.id].left_at is not None

    async def close(self) -> None:
        await asyncio.gather(*(person.close() for person in self.people), return_exceptions=True)
        await self.rest.close()


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    with page_server() as origin:
        yield origin


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, loopback: str | None, portico: type[PorticoServer]
) -> Iterator[PorticoServer]:
    """The server that tests share; what they do in their own rooms does not concern the others."""
    with portico(tmp_path_factory.mktemp("shared") / "data", media_interface=loopback) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path, loopback: str | None, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    """A server that a test may kill."""
    with portico(tmp_path / "data", media_interface=loopback) as server:
        yield server


@pytest.fixture(scope="session")
def chromium_elsewhere(chromium_program: str | None) -> Callable[..., contextlib.AbstractAsyncContextManager[Browser]]:
    """Starts a Chromium of the caller's own, which finds the hosts that are named: `async with ...(host) as browser`.

    It is in the network namespace of the thread that starts it.
    """
    return chromium


async def calls(server: PorticoServer, browser: Browser, site: str) -> AsyncGenerator[Call]:
    """One call on this server, and its end."""
    # Without retries: so a connection must not be used again that the server closes at this very moment, as idle.
    http = DefaultAsyncHttpxClient(limits=httpx.Limits(keepalive_expiry=1.0))
    rest = AsyncTelnyx(
        api_key=server.api_key, base_url=f"{server.base_url}/v2", max_retries=0, timeout=10, http_client=http
    )
    call = Call(server, browser, site, rest)
    try:
        yield call
    finally:
        await call.close()


@pytest_asyncio.fixture(loop_scope="session")
async def call(server: PorticoServer, browser: Browser, site: str) -> AsyncIterator[Call]:
    """A call on the shared server."""
    async for call in calls(server, browser, site):
        yield call


@pytest_asyncio.fixture(loop_scope="session")
async def fragile_call(own_server: PorticoServer, browser: Browser, site: str) -> AsyncIterator[Call]:
    """A call on a server that the test may kill."""
    async for call in calls(own_server, browser, site):
        yield call


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the events of the pages and the server's log to the report of a failed test."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    arguments = getattr(item, "funcargs", {})
    call = arguments.get("call") or arguments.get("fragile_call")
    if report.failed and isinstance(call, Call):
        report.sections += [(f"What {person.name} saw", person.diary()) for person in call.people]
        report.sections.append(("The end of the server's log", call.server.log[-8000:]))
