"""The whole program in the process of the test, on a port of its own: for what only Janus' operator may ask."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from portico.app import build
from portico.config.settings import Settings
from portico.gateway.checks import Checks
from portico.gateway.server import Gateway
from portico.janus.node import AUDIOBRIDGE, TEXTROOM, VIDEOROOM, JanusNode
from portico.signaling import control
from portico.signaling.control import MediaRoom
from portico.worker.node_agent import NodeAgent
from tests.gateway.browser import SignalingBrowser


@dataclass
class Inside:
    """Has what a SignalingBrowser needs of a server, and the gateway with its Janus."""

    base_url: str
    api_key: str
    gateway: Gateway
    janus: JanusNode
    checks: Checks
    http: aiohttp.ClientSession
    agent: NodeAgent | None
    """None on SQLite."""

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        async with self.http.post(self.base_url + path, json=body or {}) as answer:
            assert answer.status < 300, await answer.text()
            return (await answer.json())["data"]

    async def get(self, path: str) -> Any:
        async with self.http.get(self.base_url + path) as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.json())["data"]

    async def room(self, **settings: Any) -> str:
        room_id: str = (await self.post("/v2/rooms", settings))["id"]
        return room_id

    async def token(self, room_id: str, **settings: Any) -> str:
        path = f"/v2/rooms/{room_id}/actions/generate_join_client_token"
        token: str = (await self.post(path, settings))["token"]
        return token

    async def browser(self, room_id: str, **settings: Any) -> SignalingBrowser:
        return SignalingBrowser(self, room_id, await self.token(room_id, **settings))

    def media(self, room_id: str) -> MediaRoom:
        """The numbers and the secret of a room that has a connection."""
        (found,) = [room for room, _ in self.gateway.registry.open_rooms() if room.room_id == room_id]
        return found

    async def ask(self, plugin: str, body: dict[str, Any]) -> dict[str, Any]:
        """As Janus' operator."""
        return await self.janus.request(plugin, body)

    async def bridge(self, room_id: str) -> list[dict[str, Any]]:
        """Members of the AudioBridge, as Janus lists them."""
        listed: list[dict[str, Any]] = (await self.ask(AUDIOBRIDGE, control.list_members(self.media(room_id))))[
            "participants"
        ]
        return listed

    async def texts(self, room_id: str) -> list[dict[str, Any]]:
        """Members of the TextRoom, as Janus lists them."""
        listed: list[dict[str, Any]] = (await self.ask(TEXTROOM, control.list_text_members(self.media(room_id))))[
            "participants"
        ]
        return listed

    async def videos(self, room_id: str) -> list[dict[str, Any]]:
        """Publishers and listeners of the VideoRoom, as Janus lists them."""
        media = self.media(room_id)
        body = {"request": "listparticipants", "room": media.video, "secret": media.secret}
        listed: list[dict[str, Any]] = (await self.ask(VIDEOROOM, body))["participants"]
        return listed


RunsInside = Callable[..., contextlib.AbstractAsyncContextManager[Inside]]


@contextlib.asynccontextmanager
async def inside(data_dir: Path, **settings: Any) -> AsyncIterator[Inside]:
    """Serves until the block ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        api_key = f"KEY{secrets.token_hex(16)}"
        chosen = Settings(data_dir=data_dir, port=port, api_key=api_key, **settings)
        async with build.running(chosen) as program:
            server = uvicorn.Server(
                uvicorn.Config(program.app, ws="websockets-sansio", lifespan="off", log_config=None, access_log=False)
            )
            server.config.load()
            server.lifespan = server.config.lifespan_class(server.config)
            await server.startup(sockets=[listening])
            serving = asyncio.create_task(server.main_loop())
            assert program.gateway is not None and program.janus is not None and program.checks is not None
            http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {api_key}"})
            try:
                url, agent = f"http://127.0.0.1:{port}", program.agent
                yield Inside(url, api_key, program.gateway, program.janus, program.checks, http, agent)
            finally:
                await http.close()
                server.should_exit = True
                await serving
                await server.shutdown(sockets=[listening])
