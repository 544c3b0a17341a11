"""What is in front of the server dies in mid-call: the participants are together again without a click."""

import asyncio
import os
import signal
import time

import pytest
from playwright.async_api import Page

from tests.networks.calls import marks_of, meeting
from tests.networks.changes import BACK_WITHIN_SECS, is_back
from tests.networks.scenarios import OPEN, WITHOUT_RELAY, Scenario
from tests.networks.world import World
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOGETHER_WITHIN_SECS = 20.0
"""On a busy machine; docs/public-server.md has what it takes on an idle one."""


@pytest.mark.parametrize(("program", "scenario"), [("caddy", WITHOUT_RELAY), ("haproxy", OPEN)])
async def test_participants_are_together_again_after_the_program_in_front_was_killed(
    world: World, program: str, scenario: Scenario
) -> None:
    """Caddy ends the TLS of a server without TURN_DOMAIN, HAProxy that of one with it."""
    client, reach = await scenario.enter(world)
    async with meeting(client, reach) as pages:
        await asyncio.gather(*map(marks_of, pages))
        before = [await page.evaluate("stopwatch.connections.length") for page in pages]
        (pid,) = reach.server.descendants(program)
        os.kill(pid, signal.SIGKILL)
        begun = time.monotonic()

        async def took(page: Page, connections: int) -> float:
            await until(lambda: is_back(page, connections), BACK_WITHIN_SECS, "frames of a new call")
            return time.monotonic() - begun

        secs = await asyncio.gather(*map(took, pages, before))
        print(f"{program}: " + ", ".join(f"{one:.1f} s" for one in secs))
        assert max(secs) < TOGETHER_WITHIN_SECS
        for page in pages:
            assert await page.get_by_test_id("leave").is_visible()
