"""The meeting page after its path has changed in mid-call: it joins again by a path that works."""

import pytest

from tests.networks.changes import block_udp, measure_change, move
from tests.networks.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_media_come_back_after_the_address_has_changed(world: World) -> None:
    took, routes = await measure_change(world, move)
    print(f"{took:.1f} s, {routes}")
    assert routes == {"direct over UDP, IPv4"}


async def test_media_come_back_by_the_relay_after_udp_was_blocked(world: World) -> None:
    took, routes = await measure_change(world, block_udp)
    print(f"{took:.1f} s, {routes}")
    assert routes == {"relay over TCP"}
