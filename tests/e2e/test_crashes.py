"""Janus or the server dies: all browsers are disconnected, no participant stays, and the next call works."""

import asyncio
import os
import signal

import pytest

from tests.e2e.conftest import Call
from tests.e2e.person import GREEN, RED, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

JANUS_NOTICED_WITHIN_SECS = 2.0
NEW_CALL_WITHIN_SECS = 5.0


async def _meet(call: Call) -> tuple[Person, Person]:
    """A real call of two, with media, and people of its own."""
    anna, ben = await call.gather(2)
    await anna.publish(tone=440, colour=RED)
    await ben.wait_for("stream_published", anna.id, "self")
    await ben.subscribe(anna)
    await ben.expect_sight(anna, RED)
    await ben.expect_mix(440)
    return anna, ben


async def _is_empty(call: Call) -> bool:
    sessions, people = await call.sessions(), await call.participants()
    ended = all(session.active is False and session.ended_at is not None for session in sessions)
    return ended and all(one.left_at is not None for one in people.values())


async def _new_call_works(call: Call) -> None:
    newcomers = [await call.newcomer() for _ in range(2)]
    token = await call.token()
    async with asyncio.timeout(NEW_CALL_WITHIN_SECS):
        for person in newcomers:
            await person.join(call.room_id, token)
    cleo, dora = newcomers
    await dora.publish(tone=1000, colour=GREEN)
    await cleo.wait_for("stream_published", dora.id, "self")
    await cleo.subscribe(dora)
    await cleo.expect_sight(dora, GREEN)
    await cleo.expect_mix(1000)
    assert set(await cleo.roster()) == {cleo.id, dora.id}


async def test_janus_is_killed_and_a_new_call_works(fragile_call: Call) -> None:
    call = fragile_call
    anna, ben = await _meet(call)
    (janus,) = call.server.descendants("janus")
    os.kill(janus, signal.SIGKILL)
    for person in (anna, ben):
        await person.wait_for("disconnected", within=JANUS_NOTICED_WITHIN_SECS)
    await call.eventually(
        "the session has ended and all participants have left", lambda: _is_empty(call), within=NEW_CALL_WITHIN_SECS
    )
    people = set(await call.participants())
    assert people == {anna.id, ben.id}
    await _new_call_works(call)
    assert len(await call.sessions()) == 2


async def test_hanging_janus_is_replaced(fragile_call: Call) -> None:
    call = fragile_call
    anna, ben = await _meet(call)
    (janus,) = call.server.descendants("janus")
    os.kill(janus, signal.SIGSTOP)
    for person in (anna, ben):
        await person.wait_for("disconnected", within=12)
    await call.eventually(
        "the session has ended and all participants have left", lambda: _is_empty(call), within=NEW_CALL_WITHIN_SECS
    )
    await _new_call_works(call)


async def test_server_is_killed_and_restarted(fragile_call: Call) -> None:
    call = fragile_call
    anna, ben = await _meet(call)
    call.server.kill9()
    for person in (anna, ben):
        await person.wait_for("disconnected")
    await asyncio.to_thread(call.server.restart)
    await call.eventually("no participant stays", lambda: _is_empty(call))
    assert set(await call.participants()) == {anna.id, ben.id}
    await _new_call_works(call)
    assert len(await call.sessions()) == 2


async def test_server_is_stopped_during_a_call(fragile_call: Call) -> None:
    call = fragile_call
    anna, ben = await _meet(call)
    await asyncio.to_thread(call.server.stop)
    for person in (anna, ben):
        await person.wait_for("disconnected")
    await asyncio.to_thread(call.server.start)
    await call.eventually("no participant stays", lambda: _is_empty(call))
