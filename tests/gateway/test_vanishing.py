"""Browsers that vanish, while their gateway goes on."""

from tests.gateway.conftest import Rooms
from tests.waiting import until_in_thread as until


async def test_browsers_that_vanish_are_gone_and_cost_no_other_the_call(rooms: Rooms) -> None:
    """Their rows say `timeout` a moment before their connections are forgotten."""
    room = rooms.create()
    async with rooms.browser(room) as stays:
        await stays.join("stays")
        for number in range(15):
            async with rooms.browser(room) as browser:
                await browser.join(f"vanishes {number}")
                await browser.vanish()
        await until(lambda: sum(one["left_at"] is None for one in rooms.participants(room)) == 1, 10)
        await stays.ask("keepalive")
        events = [event["event_type"] for event in rooms.events(room)]
    assert events.count("video.room.participant.joined") == 16
    assert "gateway was reaped" not in rooms.server.log
