"""One Chromium, one page site and one server for all end-to-end tests, and people to fill rooms with."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.calls.call import NAMES, RestCall, official_sdk
from tests.e2e.browser import chromium
from tests.e2e.page_server import page_server
from tests.e2e.person import Person
from tests.servers import PorticoServer


@dataclass
class Call(RestCall):
    """A room on a server, and the people in it."""

    browser: Browser
    site: str
    room_id: str = ""
    people: list[Person] = field(default_factory=list)
    seats: int = 0

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

    async def has_left(self, person: Person) -> bool:
        return (await self.participants())[person.id].left_at is not None

    async def close(self) -> None:
        await asyncio.gather(*(person.close() for person in self.people), return_exceptions=True)


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


@pytest.fixture(scope="session")
def chromium_elsewhere(chromium_program: str | None) -> Callable[..., contextlib.AbstractAsyncContextManager[Browser]]:
    """Starts a Chromium of the caller's own, which finds the hosts that are named: `async with ...(host) as browser`.

    It is in the network namespace of the thread that starts it.
    """
    return chromium


async def calls(server: PorticoServer, browser: Browser, site: str) -> AsyncGenerator[Call]:
    """One call on this server, and its end."""
    async with official_sdk(server) as rest:
        call = Call(server, rest, browser, site)
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
