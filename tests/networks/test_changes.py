"""A path that changes in mid-call: the meeting page joins again by one that works, the SDK reports the end."""

import time

import pytest

from tests.networks.calls import assert_routes, marks_of, sdk_call
from tests.networks.changes import BACK_WITHIN_SECS, block_udp, measure_change, move
from tests.networks.lab import CLIENT
from tests.networks.scenarios import OPEN, WITHOUT_UDP
from tests.networks.world import World

REPORTED_WITHIN_SECS = 25.0
"""5 s at most until the next keepalive, 10 s without an answer, and the rest for a busy machine."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_media_come_back_after_the_address_has_changed(world: World) -> None:
    took, routes = await measure_change(world, move, OPEN.routes)
    print(f"{took:.1f} s, {routes}")
    assert_routes(routes, OPEN.routes)


async def test_media_come_back_by_the_relay_after_udp_was_blocked(world: World) -> None:
    took, routes = await measure_change(world, block_udp, WITHOUT_UDP.routes)
    print(f"{took:.1f} s, {routes}")
    assert_routes(routes, WITHOUT_UDP.routes)


async def test_the_sdk_reports_the_end_of_its_socket_after_the_address_has_changed(world: World) -> None:
    """The browser itself reports nothing for a minute: connect.js ends the silent socket."""
    client, reach = await OPEN.enter(world)
    try:
        async with sdk_call(client, reach) as (anna, _):
            await marks_of(anna.page)
            move(world)
            begun = time.monotonic()
            ended = await anna.wait_for("disconnected", "timed_out", within=BACK_WITHIN_SECS)
            print(f"{ended.at - begun:.1f} s")
            assert ended.at - begun < REPORTED_WITHIN_SECS
    finally:
        world.lab.move(OPEN.client, CLIENT)
