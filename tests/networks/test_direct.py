"""Media without a relay: IPv4, IPv6, both, two translated sides, and an address that changes in mid-call."""

import pytest

from tests.networks import lab as networks
from tests.networks.calls import Outcome, Reach, measure_meeting, measure_sdk
from tests.networks.conftest import Clients
from tests.networks.lab import Lab

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST_FRAME_MS = 30_000
"""What a first frame takes at most on a machine that is busy; docs/networks.md has what it takes on an idle one."""


def expect(outcome: Outcome, *routes: str) -> None:
    """The call used these routes and no other, and was fast enough."""
    print(outcome)
    assert {str(route) for route in outcome.routes} == set(routes)
    assert outcome.first_frame_ms < FIRST_FRAME_MS


async def test_a_call_on_an_open_network_uses_udp(lab: Lab, clients: Clients, direct_4: Reach) -> None:
    client = await clients.on("four")
    expect(await measure_sdk(client, direct_4), "direct over UDP, IPv4")
    expect(await measure_meeting(client, direct_4), "direct over UDP, IPv4")


async def test_a_client_without_ipv4_uses_ipv6(lab: Lab, clients: Clients, direct_6: Reach) -> None:
    client = await clients.on("six")
    expect(await measure_sdk(client, direct_6), "direct over UDP, IPv6")


async def test_a_client_with_both_families_is_connected_directly(lab: Lab, clients: Clients, direct_6: Reach) -> None:
    """The family of signaling does not bind media: Janus offers both, and the browser chooses."""
    outcome = await measure_sdk(await clients.on("both"), direct_6)
    print(outcome)
    assert {route.protocol for route in outcome.routes} == {"udp"}
    assert "relay" not in {route.local for route in outcome.routes}
    assert outcome.first_frame_ms < FIRST_FRAME_MS


async def test_both_sides_may_be_behind_a_translation(lab: Lab, clients: Clients, inside: Reach) -> None:
    """The client's address is masqueraded; the server has a private address, which 1:1 NAT maps to MEDIA_ADDRESS."""
    lab.set_filter(networks.TWO_NATS)
    client = await clients.on("four")
    expect(await measure_sdk(client, inside), "direct over UDP, IPv4")
