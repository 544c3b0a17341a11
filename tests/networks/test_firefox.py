"""Firefox on the meeting page, in a call with Chromium."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.networks.calls import meeting_of
from tests.networks.firefox import PROGRAM, firefox, join_meeting
from tests.networks.scenarios import WITHOUT_UDP
from tests.networks.test_paths import FIRST_FRAME_MS
from tests.networks.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_firefox_is_in_a_call_with_chromium_where_udp_is_dropped(world: World, tmp_path: Path) -> None:
    if not shutil.which(PROGRAM):
        pytest.skip(f"{PROGRAM} is missing (script/setup --dev installs it).")
    client, reach = await WITHOUT_UDP.enter(world)
    machine = world.lab[WITHOUT_UDP.client]

    async def anna() -> tuple[int, set[str]]:
        async with firefox(machine, tmp_path, reach) as browser:
            return await join_meeting(browser, reach, "Anna")

    async with meeting_of(client, reach, "Ben"):
        first_frame_ms, routes = await asyncio.to_thread(machine.run, anna)
    print(f"{first_frame_ms} ms, {routes}")
    assert routes == {"relay over TCP"}
    assert first_frame_ms < FIRST_FRAME_MS
