"""Which path a call takes in each network, and how soon media flow: the SDK, the meeting page, the Python client."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.networks import scenarios
from tests.networks.calls import Outcome, assert_routes, measure_meeting, measure_sdk
from tests.networks.machines import with_names
from tests.networks.scenarios import SCENARIOS, Scenario
from tests.networks.world import World
from tests.web.test_meeting_page import post

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST_FRAME_MS = 30_000
"""What a first frame takes at most on a machine that is busy; docs/networks.md has what it takes on an idle one."""


def expect(outcome: Outcome, scenario: Scenario) -> None:
    """Assert that the call used the routes of the scenario, and was fast enough."""
    print(outcome)
    assert_routes(outcome.routes, scenario.routes)
    assert outcome.first_frame_ms < FIRST_FRAME_MS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_a_call_of_the_sdk_takes_the_path_of_its_network(world: World, scenario: Scenario) -> None:
    """Direct UDP where it passes, else the relay over UDP, over TCP, over TLS on port 443."""
    expect(await measure_sdk(*await scenario.enter(world), scenario.routes), scenario)


@pytest.mark.parametrize("scenario", [scenarios.OPEN, scenarios.ONLY_PORT_443], ids=lambda scenario: scenario.name)
async def test_the_meeting_page_takes_the_same_paths(world: World, scenario: Scenario) -> None:
    expect(await measure_meeting(*await scenario.enter(world), scenario.routes), scenario)


async def test_a_client_from_code_goes_from_udp_over_tcp_to_tls(world: World, tmp_path: Path) -> None:
    """Through TCP port 443 alone: the ways to the relay are tried one after another, each for some seconds."""
    reach = world.server("server")
    world.lab.set_filter(*scenarios.ONLY_PORT_443.filters)
    room = await asyncio.to_thread(post, reach.server, "/v2/rooms", {})
    path = f"/v2/rooms/{room['id']}/actions/generate_join_client_token"
    token = (await asyncio.to_thread(post, reach.server, path, {}))["token"]
    command = with_names(world.lab["four"], tmp_path, reach.hosts)
    program = (sys.executable, "-m", "tests.networks.caller", reach.base_url, room["id"], token)
    environment = os.environ | {"SSL_CERT_FILE": str(reach.authority)}
    running = await asyncio.create_subprocess_exec(
        *command, *program, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(running.communicate(), 200)
    finally:
        if running.returncode is None:
            running.kill()
    assert out.decode().split() == ["tls", "tls"], err.decode()
