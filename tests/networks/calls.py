"""A call of two participants in one browser, and what it took: time to the first frame, and the paths of its media."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, Page

from tests.e2e.person import GREEN, Person
from tests.servers import PorticoServer
from tests.web.test_meeting_page import post

STOPWATCH = Path(__file__).parent / "stopwatch.js"
WITHIN_SECS = 45.0
"""How long each step of a call may take on a busy machine."""
_FRAMES = 5


@dataclass(frozen=True)
class Client:
    """A browser on a machine of the lab."""

    browser: Browser
    site: str
    """The origin of a customer's site on the same machine."""


@dataclass(frozen=True)
class Reach:
    """A server, and the address by which clients reach it."""

    server: PorticoServer
    base_url: str

    @property
    def meeting_link(self) -> str:
        """The printed link, at the address of this reach."""
        found = re.search(r"/meet/\S+#\S+", self.server.log)
        assert found, self.server.log
        return self.base_url + found.group()


@dataclass(frozen=True)
class Route:
    """The selected candidate pair of one peer connection."""

    local: str
    """Type of the browser's candidate: host, srflx, prflx or relay."""
    protocol: str
    relay: str
    """Protocol between the browser and the relay: udp, tcp or tls; empty without a relay."""
    remote: str
    family: int
    """4 or 6, of the server's address."""

    @classmethod
    def read(cls, report: dict[str, Any]) -> Self:
        return cls(*(report[name] for name in ("local", "protocol", "relay", "remote", "family")))

    def __str__(self) -> str:
        by = f"relay over {self.relay.upper()}" if self.local == "relay" else f"direct over {self.protocol.upper()}"
        return f"{by}, IPv{self.family}"


@dataclass(frozen=True)
class Outcome:
    """What the second participant of a call measured, from the opening of the signaling socket."""

    connected_ms: int
    """Until the first peer connection was connected."""
    first_frame_ms: int
    """Until the first frame of the other participant was decoded."""
    routes: frozenset[Route]
    """Of all peer connections of both participants."""


async def marks_of(page: Page, *, within: float = WITHIN_SECS) -> tuple[int, int]:
    """Wait for the first decoded frame; returns milliseconds until connected, and until that frame."""
    try:
        await page.wait_for_function("() => stopwatch.marks.first_frame !== undefined", timeout=within * 1000)
    except Exception as late:
        raise AssertionError(f"no frame within {within} s: {await page.evaluate('stopwatch.states()')}") from late
    marks = await page.evaluate("stopwatch.marks")
    return marks["connected"], marks["first_frame"]


async def routes_of(*pages: Page) -> frozenset[Route]:
    """The paths of all connected peer connections."""
    reports = [report for page in pages for report in await page.evaluate("stopwatch.paths()")]
    return frozenset(Route.read(report) for report in reports)


async def sends(page: Page) -> None:
    """Wait until the page has sent frames."""
    await page.wait_for_function(f"() => stopwatch.sent >= {_FRAMES}", timeout=WITHIN_SECS * 1000)


@contextlib.asynccontextmanager
async def sdk_call(client: Client, reach: Reach) -> AsyncIterator[tuple[Person, Person]]:
    """Anna and Ben on a customer's page with the unmodified SDK; Ben publishes, Anna subscribes."""
    room = await asyncio.to_thread(post, reach.server, "/v2/rooms", {})
    path = f"/v2/rooms/{room['id']}/actions/generate_join_client_token"
    people: list[Person] = []
    try:
        for name in ("Ben", "Anna"):
            script = f"{reach.base_url}/connect.js"
            person = await Person.open(client.browser, client.site, script, name, first_script=STOPWATCH)
            people.append(person)
            token = (await asyncio.to_thread(post, reach.server, path, {}))["token"]
            await person.knock(room["id"], token, name)
            await person.wait_for("connected", within=WITHIN_SECS)
            if name == "Ben":
                await person.publish(tone=440, colour=GREEN)
                await sends(person.page)
        ben, anna = people
        await anna.subscribe(ben)
        yield anna, ben
    finally:
        await asyncio.gather(*(person.close() for person in people))


@contextlib.asynccontextmanager
async def meeting(client: Client, reach: Reach) -> AsyncIterator[tuple[Page, Page]]:
    """Anna and Ben on the meeting page, both with camera and microphone; Ben is there when Anna joins."""
    contexts = []
    pages: list[Page] = []
    try:
        for name in ("Ben", "Anna"):
            context = await client.browser.new_context()
            contexts.append(context)
            await context.add_init_script(path=STOPWATCH)
            page = await context.new_page()
            pages.append(page)
            await page.goto(reach.meeting_link)
            await page.locator("[data-testid=camera][data-on=true]").wait_for(timeout=WITHIN_SECS * 1000)
            await page.get_by_test_id("name").fill(name)
            await page.get_by_test_id("join").click()
            await page.get_by_test_id("leave").wait_for(timeout=WITHIN_SECS * 1000)
            await sends(page)
        ben, anna = pages
        yield anna, ben
    finally:
        await asyncio.gather(*(context.close() for context in contexts))


async def measure_sdk(client: Client, reach: Reach) -> Outcome:
    """One call with the SDK."""
    async with sdk_call(client, reach) as (anna, ben):
        return Outcome(*await marks_of(anna.page), await routes_of(anna.page, ben.page))


async def measure_meeting(client: Client, reach: Reach) -> Outcome:
    """One call on the meeting page."""
    async with meeting(client, reach) as (anna, ben):
        return Outcome(*await marks_of(anna), await routes_of(anna, ben))
