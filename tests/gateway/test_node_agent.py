"""The agent of a media node: it destroys rooms that a killed gateway left in Janus, and hands rooms over."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from portico.db.connect import open_database
from portico.gateway.nodes import MediaNode
from portico.gateway.registry import create
from portico.runtime.host import host_id
from portico.services import gateways, media_rooms
from portico.services.media_rooms import Numbers
from portico.signaling.control import AUDIOBRIDGE, TEXTROOM, VIDEOROOM, MediaRoom
from portico.signaling.effects import CloseCode
from portico.worker.node_agent import UNHELD_SECS
from tests.factories import NOW
from tests.gateway.inside import Inside, RunsInside
from tests.waiting import until

pytestmark = [pytest.mark.one_janus, pytest.mark.postgres]


async def exist(program: Inside, media: MediaRoom) -> list[bool]:
    """Whether Janus has the three rooms."""
    numbers = ((VIDEOROOM, media.video), (AUDIOBRIDGE, media.video), (TEXTROOM, media.text))
    return [(await program.ask(plugin, {"request": "exists", "room": number}))["exists"] for plugin, number in numbers]


async def test_rooms_without_a_gateway_are_destroyed_in_janus_and_others_are_handed_over(
    portico_inside: RunsInside, postgres_url: str, tmp_path: Path
) -> None:
    async with portico_inside(tmp_path / "data", database_url=postgres_url) as program:
        agent = program.agent
        assert agent is not None and agent.unheld_secs == UNHELD_SECS
        left, held = await program.room(), await program.room()
        db = open_database(postgres_url)
        try:
            killed = await db.write(partial(gateways.register, now=NOW))
            numbers = Numbers(4711, 4712, "secret")
            enter = partial(media_rooms.enter, room_id=left, gateway_id=killed, fresh=numbers, host=host_id(), now=NOW)
            node = MediaNode(agent.node_id, program.janus, str(tmp_path / "data" / "dumps"))
            await db.write(partial(enter, prefer=agent.node_id))
            media = MediaRoom(left, numbers.video, numbers.text, numbers.secret)
            await create(node, media)
            assert await exist(program, media) == [True] * 3
            async with await program.browser(held) as anna:
                await anna.join()
                agent.unheld_secs = 1.0
                await db.write(partial(gateways.retire, gateway_id=killed, now=NOW))

                async def is_destroyed() -> bool:
                    return await exist(program, media) == [False] * 3

                await until(is_destroyed, 30)
                assert await exist(program, program.media(held)) == [True] * 3
                is_listed = partial(media_rooms.unheld_on, node_id=agent.node_id)

                async def is_forgotten() -> bool:
                    return not await db.read(is_listed)

                await until(is_forgotten, 30)
                is_open = partial(media_rooms.open_on, node_id=agent.node_id)
                at_once = asyncio.Event()
                at_once.set()
                await agent.hand_over(at_once)
                assert await db.read(is_open) == [held], "a second signal ends the hand-over"
                await agent.hand_over(asyncio.Event())
                assert await db.read(is_open) == []
                await asyncio.wait_for(anna.closed.wait(), 30)
                assert anna.close_code == CloseCode.RESTART
        finally:
            await db.close()
