"""Who is in a TextRoom, over real data channels: present participants of its own room that may send messages.

Each attack is tried against Janus' event handler, and against the second net alone, on a Janus without one.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.e2e.bare_janus import bare_janus
from tests.gateway.browser import Refused, SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.gateway.media_peer import TextChannel
from tests.servers import PorticoServer
from tests.signaling.conversation import AUDIOBRIDGE, VIDEOROOM, listener_display, participant_display

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUT_WITHIN_SECS = 1.0
SLACK_SECS = 1.5
"""For a machine that is busy with other tests."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["events", "lists"])
async def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    portico: type[PorticoServer],
    loopback: str | None,
) -> AsyncIterator[PorticoServer]:
    """One server whose Janus reports events, and one on a Janus of another operator, which does not."""
    folder = tmp_path_factory.mktemp("texts")
    if request.param == "events":
        with portico(folder / "data", media_interface=loopback) as server:
            yield server
    else:
        async with bare_janus(loopback, string_ids=False) as janus:
            with portico(folder / "data", janus_url=janus.websocket_url) as server:
                yield server


WITH_EVENTS = pytest.mark.parametrize("server", ["events"], indirect=True, scope="module")


def has_events(server: PorticoServer) -> bool:
    return "JANUS_URL" not in {name.upper() for name in server.settings}


async def join_with_text(browser: SignalingBrowser, username: str | None = None) -> TextChannel:
    """All that the SDK does, in its order: the data channel and its TextRoom first, the participant after it."""
    await browser.create()
    text = await TextChannel(browser).__aenter__()
    try:
        text.join(text.room, username or browser.participant_id)
        await text.receives("success")
        display = participant_display(browser.participant_id)
        await browser.request(await browser.attach(AUDIOBRIDGE), {"request": "join", "display": display, "muted": True})
        body = {"request": "join", "ptype": "publisher", "display": listener_display(browser.participant_id)}
        await browser.request(await browser.attach(VIDEOROOM), body)
    except BaseException:
        await text.__aexit__(None, None, None)
        raise
    return text


def lose_packets(channel: TextChannel, *, one_in: int) -> None:
    """From now on, so many of the packets that the peer sends and receives are lost, chosen by a seeded generator."""
    chance = random.Random(1)
    send, receive = channel.transport._send, channel.transport._recv

    async def send_most(packet: bytes) -> None:
        if chance.randrange(one_in):
            await send(packet)

    async def receive_most() -> bytes:
        while True:
            packet: bytes = await receive()
            if chance.randrange(one_in):
                return packet

    channel.transport._send, channel.transport._recv = send_most, receive_most


async def wait_out(server: PorticoServer, attacker: SignalingBrowser, channel: TextChannel, name: str) -> float:
    """Seconds until the attacker is out of the room: kicked, and where events say who it was, disconnected."""
    begun = time.monotonic()
    if has_events(server):
        await asyncio.wait_for(attacker.closed.wait(), 30)
        assert attacker.close_code == 1008
    else:
        await channel.receives("kicked", username=name)
    return time.monotonic() - begun


async def test_a_participant_of_another_account_is_out_before_it_reads_anything(
    server: PorticoServer, rooms: Rooms
) -> None:
    room_a, room_b = rooms.create(), rooms.create()
    async with rooms.browser(room_a) as anna, rooms.browser(room_a) as ben, rooms.browser(room_b) as eve:
        a, b = await join_with_text(anna), await join_with_text(ben)
        e = await join_with_text(eve)
        a.say(a.room, "before")
        await b.receives("message", text="before")

        name = str(uuid4())
        e.join(a.room, name)
        joined = await a.receives("join", username=name)
        assert joined["room"] == a.room
        assert await wait_out(server, eve, e, name) < OUT_WITHIN_SECS + SLACK_SECS
        await a.receives("kicked", "leave", username=name)

        a.say(a.room, "after")
        await b.receives("message", text="after")
        if not has_events(server):
            e.say(a.room, "I am still here")
            await e.receives("error")
        assert [one["text"] for one in e.texts()] == []
        assert [one["text"] for one in b.texts()] == ["before", "after"]
        for channel in (a, b, e):
            await channel.__aexit__(None, None, None)


@WITH_EVENTS
async def test_with_events_the_window_is_a_few_milliseconds(server: PorticoServer, rooms: Rooms) -> None:
    room_a, room_b = rooms.create(), rooms.create()
    async with rooms.browser(room_a) as anna, rooms.browser(room_b) as eve:
        a = await join_with_text(anna)
        e = await join_with_text(eve)
        name = str(uuid4())
        e.join(a.room, name)
        await a.receives("join", username=name)
        begun = time.monotonic()
        await a.receives("kicked", "leave", username=name)
        print(f"kicked {(time.monotonic() - begun) * 1000:.0f} ms after the join")
        assert time.monotonic() - begun < 0.5
        for channel in (a, e):
            await channel.__aexit__(None, None, None)


async def test_without_can_send_messages_the_own_room_is_closed_as_well(server: PorticoServer, rooms: Rooms) -> None:
    room = rooms.create()
    silent = rooms.token(room, extra_body={"can_send_messages": False})
    async with rooms.browser(room) as anna, rooms.browser(room, token=silent) as mallory:
        a = await join_with_text(anna)
        await mallory.create()
        m = await TextChannel(mallory).__aenter__()
        assert m.room != a.room
        m.join(a.room, mallory.participant_id)
        assert await wait_out(server, mallory, m, mallory.participant_id) < OUT_WITHIN_SECS + SLACK_SECS
        for channel in (a, m):
            await channel.__aexit__(None, None, None)


async def test_no_browser_writes_under_anothers_name(server: PorticoServer, rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as mallory:
        a = await join_with_text(anna)
        if has_events(server):
            with pytest.raises(Refused) as refused:
                await join_with_text(mallory, username=str(uuid4()))
            assert refused.value.status == 403
            await asyncio.wait_for(mallory.closed.wait(), 30)
        else:
            name = str(uuid4())
            m = await join_with_text(mallory, username=name)
            await m.receives("kicked", username=name)
            await m.__aexit__(None, None, None)
        await a.__aexit__(None, None, None)


async def test_who_joins_the_text_room_and_no_more_does_not_stay(server: PorticoServer, rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as lurker:
        a = await join_with_text(anna)
        await lurker.create()
        text = await TextChannel(lurker).__aenter__()
        text.join(text.room, lurker.participant_id)
        await text.receives("success")
        if has_events(server):
            await asyncio.wait_for(lurker.closed.wait(), 20)
            assert lurker.close_code == 3999
        else:
            await text.receives("kicked", within=20, username=lurker.participant_id)
        for channel in (a, text):
            await channel.__aexit__(None, None, None)


@WITH_EVENTS  # the admin_key of an external Janus is its operator's to set
async def test_administration_is_closed_to_data_channels(server: PorticoServer, rooms: Rooms) -> None:
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as eve:
        a, e = await join_with_text(anna), await join_with_text(eve)
        requests: dict[str, dict[str, Any]] = {
            "create": {"room": 4711},
            "kick": {"room": a.room, "username": anna.participant_id},
            "announcement": {"room": a.room, "text": "listen"},
            "edit": {"room": a.room, "new_description": "mine"},
            "destroy": {"room": a.room},
            "allowed": {"room": a.room, "action": "enable"},
        }
        for request, members in requests.items():
            e.send(request, **members)
            assert "error_code" in await e.receives("error", transaction=f"{request}-1")
        e.send("list")
        listed = await e.receives("success", transaction="list-1")
        assert listed["list"] == []
        for channel in (a, e):
            await channel.__aexit__(None, None, None)


@WITH_EVENTS
async def test_no_message_is_lost_where_packets_are(server: PorticoServer, rooms: Rooms) -> None:
    """One packet in ten is lost in both directions: every message arrives, once and in order. SCTP sends it again."""
    room = rooms.create()
    async with rooms.browser(room) as anna, rooms.browser(room) as ben:
        a, b = await join_with_text(anna), await join_with_text(ben)
        lose_packets(a, one_in=10)
        sent = [f"message {number}" for number in range(20)]
        for text in sent:
            a.say(a.room, text)
        await b.receives("message", text=sent[-1], within=60.0)
        assert [one["text"] for one in b.texts()] == sent
        for channel in (a, b):
            await channel.__aexit__(None, None, None)
