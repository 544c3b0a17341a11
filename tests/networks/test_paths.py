"""Which path a call takes in each network, and how soon media flow: the unmodified SDK, and the meeting page."""

import pytest

from tests.networks import scenarios
from tests.networks.calls import Outcome, assert_routes, measure_meeting, measure_sdk
from tests.networks.scenarios import SCENARIOS, Scenario
from tests.networks.world import World

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
