"""Nothing that a browser sends crashes anything, admits an anonymous client, or makes a participant invisible.

`script/bench fuzz` does the same for as long as one likes.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.gateway.fuzzer import FuzzClient, disagreements, recorded_requests
from tests.gateway.inside import Inside, RunsInside

pytestmark = pytest.mark.asyncio(loop_scope="module")
MESSAGES = 1200
CLIENTS = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(tmp_path_factory: pytest.TempPathFactory, portico_inside: RunsInside) -> AsyncIterator[Inside]:
    async with portico_inside(tmp_path_factory.mktemp("fuzz") / "data") as program:
        yield program


@pytest.mark.parametrize("seed", [1, 2])
async def test_janus_rows_and_connections_agree_whatever_browsers_send(
    program: Inside, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    room, other = await program.room(max_participants=4), await program.room()
    janus = program.janus.pid
    token, foreign = await program.token(room), await program.token(other)
    recorded = recorded_requests()
    clients = [
        FuzzClient(program, room, [token, foreign, "x"], random.Random(f"{seed}/{number}"), recorded)
        for number in range(CLIENTS)
    ]
    for _ in range(2):
        await asyncio.gather(*(client.run(MESSAGES // 2 // CLIENTS) for client in clients))
        assert await disagreements(program, room) == []
    assert program.janus.pid == janus
    output = capsys.readouterr().out
    assert "connection failed" not in output and "Traceback" not in output
    os.kill(janus or 0, 0)
    codes = {code for client in clients for code in client.closes}
    assert codes <= {None, 1000, 1006, 1008, 4003, 4004, 4005, 4006}, codes


async def test_a_token_of_another_room_admits_no_browser(program: Inside) -> None:
    room, other = await program.room(), await program.room()
    async with await program.browser(room) as anna:
        await anna.join()
        intruder = FuzzClient(program, room, [await program.token(other)], random.Random(3), recorded_requests())
        await intruder.run(200)
        sessions = await program.get(f"/v2/room_sessions?filter[room_id]={room}")
        people = await program.get(f"/v2/room_sessions/{sessions[0]['id']}/participants")
        assert [one["id"] for one in people] == [anna.participant_id]
        assert await disagreements(program, room) == []
