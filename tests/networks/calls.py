"""Performs a call of two participants in one browser, and measures the time to the first frame and its paths."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, Page

from tests.e2e.person import GREEN, Person
from tests.networks.machines import Hosts
from tests.servers import PorticoServer
from tests.web.test_meeting_page import post

STOPWATCH = Path(__file__).parent / "stopwatch.js"
WITHIN_SECS = 45.0
"""How long each step of a call may take on a busy machine."""
SETTLES_SECS = 15.0
_FRAMES = 5


@dataclass(frozen=True)
class Client:
    """A browser on a machine of the lab."""

    browser: Browser
    site: str
    """The origin of a customer's site on the same machine."""


@dataclass(frozen=True)
class Reach:
    """A server, and how clients reach it."""

    server: PorticoServer
    base_url: str
    hosts: Hosts = field(default_factory=dict)
    """The addresses of its names."""
    authority: Path | None = None
    """The root certificate by which its certificates are checked."""

    @property
    def meeting_link(self) -> str:
        """The meeting link, with the address by which clients reach the server."""
        link = self.server.meeting_link
        return self.base_url + link[link.index("/meet/") :]


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
    gathered: frozenset[str]
    """The relay protocols of all candidates that the browser has gathered; empty text for those without a relay."""

    @classmethod
    def read(cls, report: dict[str, Any]) -> Self:
        names = ("local", "protocol", "relay", "remote", "family")
        local, protocol, relay, remote, family = (report[name] for name in names)
        return cls(local, protocol, relay, remote, family, frozenset(report["gathered"]))

    def __str__(self) -> str:
        """The family is that between the browser and the server, which a relay hides."""
        if self.local == "relay":
            return f"relay over {self.relay.upper()}"
        return f"direct over {self.protocol.upper()}, IPv{self.family}"

    def is_best_of(self, expected: Collection[str]) -> bool:
        """Return whether this is an expected route, or the browser has no candidate for any expected route.

        Chromium stops gathering as soon as one path works, and gives up the relay addresses that it is still waiting
        for: where TLS answers before TCP, which happens on a busy machine, there is no candidate over TCP.
        """
        has_direct = any(route.startswith("direct") for route in expected)
        has_expected = any(f"relay over {protocol.upper()}" in expected for protocol in self.gathered)
        return str(self) in expected or not (has_direct or has_expected)


@dataclass(frozen=True)
class Outcome:
    """What the second participant of a call measured, from the opening of the signaling socket."""

    connected_ms: int
    """Until the first peer connection was connected."""
    first_frame_ms: int
    """Until the first frame of the other participant was decoded."""
    routes: tuple[Route, ...]
    """The routes of all peer connections of both participants."""


async def marks_of(page: Page, *, within: float = WITHIN_SECS) -> tuple[int, int]:
    """Wait for the first decoded frame; returns milliseconds until connected, and until that frame."""
    try:
        await page.wait_for_function("() => stopwatch.marks.first_frame !== undefined", timeout=within * 1000)
    except Exception as late:
        raise AssertionError(f"no frame within {within} s: {await page.evaluate('stopwatch.states()')}") from late
    marks = await page.evaluate("stopwatch.marks")
    return marks["connected"], marks["first_frame"]


async def routes_of(*pages: Page) -> tuple[Route, ...]:
    """The paths of all connected peer connections."""
    reports = [report for page in pages for report in await page.evaluate("stopwatch.paths()")]
    return tuple(map(Route.read, reports))


async def settled_routes(expected: Collection[str], *pages: Page) -> tuple[Route, ...]:
    """Wait until each path is the best of its browser, which begins with one that works and changes to a better one."""
    deadline = time.monotonic() + SETTLES_SECS
    while True:
        found = await routes_of(*pages)
        if all(route.is_best_of(expected) for route in found) or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.1)


def assert_routes(routes: Collection[Route], expected: Collection[str]) -> None:
    """Assert that each connection has the best route of its browser, and that most connections have an expected one."""
    assert all(route.is_best_of(expected) for route in routes), routes
    assert 2 * sum(str(route) in expected for route in routes) > len(routes), routes


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
async def meeting_of(client: Client, reach: Reach, name: str) -> AsyncIterator[Page]:
    """The meeting page of one participant, who has joined and sends camera and microphone."""
    context = await client.browser.new_context()
    try:
        await context.add_init_script(path=STOPWATCH)
        page = await context.new_page()
        await page.goto(reach.meeting_link)
        await page.locator("[data-testid=camera][data-on=true]").wait_for(timeout=WITHIN_SECS * 1000)
        await page.get_by_test_id("name").fill(name)
        await page.get_by_test_id("join").click()
        await page.get_by_test_id("leave").wait_for(timeout=WITHIN_SECS * 1000)
        await sends(page)
        yield page
    finally:
        await context.close()


@contextlib.asynccontextmanager
async def meeting(client: Client, reach: Reach, others: Client | None = None) -> AsyncIterator[tuple[Page, Page]]:
    """Anna and Ben on the meeting page; Ben is there when Anna joins, in the same browser or in that of `others`."""
    async with meeting_of(others or client, reach, "Ben") as ben, meeting_of(client, reach, "Anna") as anna:
        yield anna, ben


async def measure_sdk(client: Client, reach: Reach, routes: Collection[str]) -> Outcome:
    """One call with the SDK. Waits until the paths are the best for `routes`, up to SETTLES_SECS."""
    async with sdk_call(client, reach) as (anna, ben):
        return Outcome(*await marks_of(anna.page), await settled_routes(routes, anna.page, ben.page))


async def measure_meeting(client: Client, reach: Reach, routes: Collection[str]) -> Outcome:
    """One call on the meeting page. Waits as measure_sdk does."""
    async with meeting(client, reach) as (anna, ben):
        return Outcome(*await marks_of(anna), await settled_routes(routes, anna, ben))
