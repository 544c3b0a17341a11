"""A Janus of another operator, whose API and plugins are closed to clients without their secrets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portico.janus.node import JanusNode, JanusSettings
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer


@pytest.fixture
async def janus(tmp_path: Path) -> AsyncIterator[JanusNode]:
    async def on_lost(reason: str) -> None:
        pytest.fail(reason)

    theirs = JanusNode(JanusSettings(tmp_path / "theirs"), on_lost=on_lost)
    await theirs.start()
    yield theirs
    await theirs.stop()


def settings(janus: JanusNode, **secrets: str) -> dict[str, str]:
    assert janus.api_secret is not None
    return {
        "janus_url": janus.url,
        "janus_api_secret": janus.api_secret,
        "janus_admin_key": janus.admin_key,
        **secrets,
    }


async def test_a_janus_with_secrets_serves_calls_and_no_log_shows_them(
    janus: JanusNode, tmp_path: Path, portico: type[PorticoServer]
) -> None:
    server = portico(tmp_path / "data", **settings(janus), log_level="debug")
    await asyncio.to_thread(server.start)
    try:
        rooms = Rooms(server)
        room = rooms.create()
        async with rooms.browser(room) as anna, rooms.browser(room) as ben:
            await anna.join()
            assert len((await ben.join())["participants"]) == 1
    finally:
        await asyncio.to_thread(server.stop)
    assert janus.api_secret is not None
    assert janus.api_secret not in server.log and janus.admin_key not in server.log
    assert janus.is_up


async def test_a_wrong_api_secret_is_reported_at_start(
    janus: JanusNode, tmp_path: Path, portico: type[PorticoServer]
) -> None:
    server = portico(tmp_path / "data", **settings(janus, janus_api_secret="not that one"))
    with pytest.raises(AssertionError, match=f"Janus on {janus.url} refuses us"):
        await asyncio.to_thread(server.start)
    assert "Traceback" not in server.log


async def test_a_wrong_admin_key_is_reported_at_start(
    janus: JanusNode, tmp_path: Path, portico: type[PorticoServer]
) -> None:
    server = portico(tmp_path / "data", **settings(janus, janus_admin_key="not that one"))
    with pytest.raises(AssertionError, match="PORTICO_JANUS_ADMIN_KEY"):
        await asyncio.to_thread(server.start)
    assert "Traceback" not in server.log
