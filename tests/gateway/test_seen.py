"""A browser that receives anything is in the list of all others: asked of Janus itself, as its operator."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from portico.gateway.connection import Connection
from tests.gateway.browser import SignalingBrowser
from tests.gateway.inside import Inside, RunsInside
from tests.signaling.conversation import AUDIOBRIDGE as BRIDGE
from tests.signaling.conversation import VIDEOROOM, listener_display, participant_display, stream_display

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(tmp_path_factory: pytest.TempPathFactory, portico_inside: RunsInside) -> AsyncIterator[Inside]:
    async with portico_inside(tmp_path_factory.mktemp("seen") / "data") as program:
        yield program


async def join(browser: SignalingBrowser) -> dict[str, int]:
    """The handles of a participant by role: register, listener and mixer."""
    await browser.create()
    handles = {"register": await browser.attach(BRIDGE)}
    display = participant_display(browser.participant_id)
    await browser.request(handles["register"], {"request": "join", "display": display, "muted": True})
    handles["listener"] = await browser.attach(VIDEOROOM)
    display = listener_display(browser.participant_id)
    await browser.request(handles["listener"], {"request": "join", "ptype": "publisher", "display": display})
    handles["mixer"] = await browser.attach(BRIDGE)
    display = stream_display("audiobridge", browser.participant_id)
    await browser.request(handles["mixer"], {"request": "join", "display": display})
    return handles


async def has_left(program: Inside, room: str, browser: SignalingBrowser) -> bool:
    (session,) = await program.get(f"/v2/room_sessions?filter[room_id]={room}")
    people = await program.get(f"/v2/room_sessions/{session['id']}/participants")
    (one,) = [one for one in people if one["id"] == browser.participant_id]
    return one["left_at"] is not None


async def take_out(program: Inside, browser: SignalingBrowser, handle: int) -> None:
    """Have Janus drop a member, past the dialect, which passes no such request of a browser."""
    ((_, members),) = program.gateway.registry.open_rooms()
    (connection,) = [one for one in members if one.dialect.participant_id == browser.participant_id]
    assert isinstance(connection, Connection)
    request = {"janus": "message", "session_id": browser._session_id, "handle_id": handle}
    assert connection._janus is not None
    assert await connection._janus.send({**request, "transaction": "portico:test", "body": {"request": "leave"}})


@pytest.mark.parametrize("role", ["register", "listener"])
async def test_a_hangup_of_what_has_no_media_changes_nothing(program: Inside, role: str) -> None:
    room = await program.room()
    async with await program.browser(room) as anna, await program.browser(room) as ben:
        handles = await join(anna)
        await join(ben)
        listed = {one["display"] for one in await program.bridge(room)}
        assert (await anna.ask("hangup", handle_id=handles[role]))["janus"] == "success"
        await anna.ask("trickle", handle_id=handles[role], candidate={"completed": True})
        await anna.ask("keepalive")
        assert {one["display"] for one in await program.bridge(room)} == listed
        assert participant_display(anna.participant_id) in listed
        assert not [event for event in ben.events if "leaving" in str(event)]


@pytest.mark.parametrize("kind", ["detach", "hangup"])
async def test_without_its_register_no_connection_stays(program: Inside, kind: str) -> None:
    """`detach` ends the connection; after `hangup` the participant is listed as before."""
    room = await program.room()
    async with await program.browser(room) as anna, await program.browser(room) as ben:
        handles = await join(anna)
        await join(ben)
        await anna.ask(kind, handle_id=handles["register"])
        if kind == "detach":
            await asyncio.wait_for(anna.closed.wait(), 30)
            await ben.receives("leaving")
            assert await has_left(program, room, anna)
        displays = {one["display"] for one in await program.bridge(room)}
        assert (participant_display(anna.participant_id) in displays) == (kind == "hangup")


@pytest.mark.parametrize("events", [True, False])
async def test_a_connection_ends_when_janus_does_not_list_its_register(
    tmp_path: Path, events: bool, portico_inside: RunsInside
) -> None:
    async with portico_inside(tmp_path / "data") as program:
        if not events:
            assert program.janus._listener is not None
            await program.janus._listener.close()  # Janus may try as often as it likes
        room = await program.room()
        async with await program.browser(room) as anna, await program.browser(room) as ben:
            handles = await join(anna)
            await join(ben)
            await take_out(program, anna, handles["register"])
            await asyncio.wait_for(anna.closed.wait(), 30)
            assert anna.close_code == 4003
            async with asyncio.timeout(5):
                while not await has_left(program, room, anna):
                    await asyncio.sleep(0.02)
            assert not ben.closed.is_set()
