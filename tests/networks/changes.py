"""Changes the path in the middle of a call, and measures how long media are away."""

import time
from collections.abc import Callable, Collection

from playwright.async_api import Page

from tests.networks.calls import Route, marks_of, meeting, settled_routes
from tests.networks.lab import CLIENT, CLIENT_MOVED, NO_UDP
from tests.networks.scenarios import OPEN
from tests.networks.world import World
from tests.waiting import until

BACK_WITHIN_SECS = 120.0
_NEW_FRAMES = 5


def move(world: World) -> None:
    """Give the client another address."""
    world.lab.move(OPEN.client, CLIENT_MOVED)


def block_udp(world: World) -> None:
    """Drop UDP from now on."""
    world.lab.set_filter(NO_UDP)


async def measure_change(
    world: World, change: Callable[[World], None], expected: Collection[str]
) -> tuple[float, tuple[Route, ...]]:
    """Change the path of Anna on the meeting page; seconds until she sees Ben again, and the routes settled on.

    Ben is in another browser, whose path does not change with the address of Anna.
    """
    client, reach = await OPEN.enter(world)
    others = await world.client("both", OPEN.server)
    try:
        async with meeting(client, reach, others) as (anna, _):
            await marks_of(anna)
            before = await anna.evaluate("stopwatch.connections.length")
            change(world)
            begun = time.monotonic()
            await until(lambda: is_back(anna, before), BACK_WITHIN_SECS, "new frames after the change")
            took = time.monotonic() - begun
            return took, await settled_routes(expected, anna)
    finally:
        world.lab.set_filter()
        world.lab.move(OPEN.client, CLIENT)


async def is_back(page: Page, before: int) -> bool:
    """Whether frames arrive on peer connections that were made after the first `before`."""
    return bool(
        await page.evaluate(
            "([before, least]) => stopwatch.connections.length > before && stopwatch.frames >= least"
            " && stopwatch.marks.first_frame !== undefined",
            [before, _NEW_FRAMES],
        )
    )
