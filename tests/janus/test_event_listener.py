"""The events of a real Janus' event handler, and the limits of the listener."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portico.janus.event_listener import FRAME_MAX, EventListener
from portico.janus.node import AUDIOBRIDGE, JanusNode, JanusSettings
from tests.janus.conftest import Losses
from tests.waiting import until_at_pace as until


async def test_janus_reports_what_its_plugins_report(tmp_path: Path, janus_binary: Path, losses: Losses) -> None:
    frames: list[Any] = []
    node = JanusNode(JanusSettings(tmp_path, binary=janus_binary), on_lost=losses, on_event=frames.append)
    await node.start()
    try:
        await until(lambda: node.reports_events, 10)
        await node.request(AUDIOBRIDGE, {"request": "create", "room": 7, "admin_key": node.admin_key})
        await until(lambda: "'event': 'created', 'room': 7" in str(frames), 5)
    finally:
        await node.stop()
    assert not node.reports_events


async def test_a_restarted_janus_reports_again(tmp_path: Path, janus_binary: Path, losses: Losses) -> None:
    frames: list[Any] = []
    node = JanusNode(JanusSettings(tmp_path, binary=janus_binary), on_lost=losses, on_event=frames.append)
    await node.start()
    try:
        first = node.pid
        assert node._process is not None
        await node._process.kill()
        await until(lambda: node.is_up and node.pid != first and node.reports_events, 20)
        await node.request(AUDIOBRIDGE, {"request": "create", "room": 8, "admin_key": node.admin_key})
        await until(lambda: "'event': 'created', 'room': 8" in str(frames), 5)
    finally:
        await node.stop()


@pytest.fixture
def frames() -> list[Any]:
    return []


async def test_only_who_knows_the_path_is_let_in_and_only_one(frames: list[Any]) -> None:
    listener = await EventListener.open(frames.append)
    root = listener.url.rpartition("/")[0]
    try:
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"{root}/guess")
            assert refused.value.status == 404
            async with http.ws_connect(listener.url) as socket:
                with pytest.raises(aiohttp.WSServerHandshakeError) as second:
                    await http.ws_connect(listener.url)
                assert second.value.status == 409
                await socket.send_str('{"type": 64}')
                while not frames:
                    await asyncio.sleep(0.01)
    finally:
        await listener.close()
    assert frames == [{"type": 64}]


async def test_what_cannot_be_handled_does_not_end_the_connection() -> None:
    taken: list[Any] = []

    def take(frame: object) -> None:
        taken.append(frame)
        raise ValueError("not this one")

    listener = await EventListener.open(take)
    try:
        async with aiohttp.ClientSession() as http, http.ws_connect(listener.url) as socket:
            for text in ("{", '{"a": 1}', "[1]"):
                await socket.send_str(text)
            await until(lambda: len(taken) == 2, 5)
    finally:
        await listener.close()


async def test_a_frame_beyond_the_bound_ends_the_connection(frames: list[Any]) -> None:
    listener = await EventListener.open(frames.append)
    try:
        async with aiohttp.ClientSession() as http, http.ws_connect(listener.url) as socket:
            with contextlib.suppress(ConnectionError):  # it is closed before all of the frame was taken
                await socket.send_str('"' + "x" * FRAME_MAX + '"')
            async with asyncio.timeout(5):
                message = await socket.receive()
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    finally:
        await listener.close()
    assert frames == []
