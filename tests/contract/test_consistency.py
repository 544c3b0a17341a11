"""What an integrator may rely on: after a 2xx every reader sees it, and a webhook never comes before its row."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from portico.api.app import add_api
from portico.db.connect import open_database
from portico.services import api_keys, tokens, webhook_keys
from tests.contract.answers import checking_client
from tests.db.processes import others
from tests.gateway.browser import SignalingBrowser
from tests.receiver import Exchange, Receiver
from tests.servers import PorticoServer

ROUNDS = 25
PATIENT = {"webhook_timeout_secs": 30}
"""Our receiver may be slow: it asks before it answers."""


def api_process(url: str, pipe: "Connection[Any, Any]") -> None:
    """A process that serves the REST API: says its port, and ends when its pipe is closed."""
    asyncio.run(_serve(url, pipe))


async def _serve(url: str, pipe: "Connection[Any, Any]") -> None:
    database, now = open_database(url), partial(datetime.now, UTC)
    keys = await database.write(lambda tx: tokens.load_keys(tx, now()))
    app = Starlette()
    load = partial(webhook_keys.load, setting=None, folder=Path("/nowhere"), now=now())
    of_webhooks = await database.write(load)
    add_api(app, database, keys, of_webhooks, clock=now, link=lambda key, name: f"http://127.0.0.1/{key}/{name}")
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve([listening]))
    pipe.send(listening.getsockname()[1])
    try:
        await asyncio.to_thread(pipe.recv)
    except EOFError:
        server.should_exit = True
    await serving
    await database.close()


@pytest.fixture
def apis(request: pytest.FixtureRequest, database_url: str) -> Iterator[list[httpx.Client]]:
    """A client of each process: of two on PostgreSQL, of one on SQLite, which only one process may serve."""

    async def make_key() -> str:
        database = open_database(database_url)
        try:
            return await database.write(lambda tx: api_keys.create(tx, "one", datetime.now(UTC)))
        finally:
            await database.close()

    headers = {"Authorization": f"Bearer {asyncio.run(make_key())}"}
    count = 2 if database_url.startswith("postgresql") else 1
    with others(count, api_process, database_url) as processes, ExitStack() as clients:
        ports = [process.ask() for process in processes]
        yield [
            clients.enter_context(checking_client(base_url=f"http://127.0.0.1:{port}/v2", headers=headers))
            for port in ports
        ]


def test_after_a_success_every_process_shows_it(apis: list[httpx.Client]) -> None:
    writer, reader = apis[0], apis[-1]
    for number in range(ROUNDS):
        room = writer.post("/rooms", json={"unique_name": f"room {number}"}).json()["data"]
        assert reader.get(f"/rooms/{room['id']}").json()["data"] == room
        assert reader.get("/rooms").json()["data"][0] == room
        assert reader.post("/rooms", json={"unique_name": f"room {number}"}).status_code == 422
        changed = reader.patch(f"/rooms/{room['id']}", json={"max_participants": 5}).json()["data"]
        assert writer.get(f"/rooms/{room['id']}").json()["data"] == changed
        assert writer.get("/rooms").json()["meta"]["total_results"] == number % 2 + 1
        token = writer.post(f"/rooms/{room['id']}/actions/generate_join_client_token").json()["data"]
        refreshing = f"/rooms/{room['id']}/actions/refresh_client_token"
        given = {"refresh_token": token["refresh_token"]}
        assert reader.post(refreshing, json=given).status_code == 201
        if number % 2:
            for each in reader.get("/rooms").json()["data"]:
                assert reader.delete(f"/rooms/{each['id']}").status_code == 204
                assert writer.get(f"/rooms/{each['id']}").status_code == 404
            assert writer.post(refreshing, json=given).status_code == 403
            assert writer.get("/rooms").json()["data"] == []
        writer, reader = reader, writer


class AskingBack:
    """A receiver's answer to a webhook: it first asks every server for what the webhook is about."""

    def __init__(self, servers: list[PorticoServer]) -> None:
        self.servers = servers
        self.seen: list[tuple[str, str]] = []
        self.wrong: list[str] = []

    async def __call__(self, exchange: Exchange) -> None:
        event = exchange.request.event
        for server in self.servers:
            if fault := await asyncio.to_thread(self._fault, server, event["event_type"], event["payload"]):
                self.wrong.append(fault)
        payload = event["payload"]
        self.seen.append((event["event_type"], payload.get("participant_id") or payload["session_id"]))
        await exchange.answer(200)

    def _fault(self, server: PorticoServer, event_type: str, payload: dict[str, Any]) -> str | None:
        session = server.get(f"/v2/room_sessions/{payload['session_id']}")["data"]
        person = None
        if "participant" in event_type:
            person = server.get(f"/v2/room_participants/{payload['participant_id']}")["data"]
        is_true = {
            "video.room.session.started": session["id"] == payload["session_id"],
            "video.room.session.ended": not session["active"] and bool(session["ended_at"]),
            "video.room.participant.joined": person is not None and person["id"] == payload["participant_id"],
            "video.room.participant.left": person is not None and bool(person["left_at"]),
        }[event_type]
        return None if is_true else f"{event_type} before its row: {json.dumps([session, person])}"


async def calls(servers: list[PorticoServer], hook: str, count: int) -> int:
    """People come, leave, and are sent away, through all servers in turn; how many events there must be."""
    with checking_client(headers={"Authorization": f"Bearer {servers[0].api_key}"}) as client:
        for number in range(count):
            server, other = servers[number % len(servers)], servers[-1 - number % len(servers)]
            rooms = f"{server.base_url}/v2/rooms"
            room = client.post(rooms, json={"webhook_event_url": hook} | PATIENT).json()["data"]["id"]
            tokens_url = f"{other.base_url}/v2/rooms/{room}/actions/generate_join_client_token"
            token = client.post(tokens_url).json()["data"]["token"]
            async with SignalingBrowser(server, room, token) as anna, SignalingBrowser(server, room, token) as ben:
                await anna.join()
                await ben.join()
                shown = client.get(f"{other.base_url}/v2/rooms/{room}").json()["data"]["active_session_id"]
                people = client.get(f"{other.base_url}/v2/room_sessions/{shown}/participants").json()["data"]
                assert {person["id"] for person in people} == {anna.participant_id, ben.participant_id}
                actions = f"{other.base_url}/v2/room_sessions/{shown}/actions"
                kicked = client.post(f"{actions}/kick", json={"participants": [anna.participant_id]})
                assert kicked.status_code == 200
                person = client.get(f"{server.base_url}/v2/room_participants/{anna.participant_id}").json()["data"]
                assert person["left_at"] is not None
                assert client.post(f"{actions}/end").status_code == 200
                assert client.get(rooms + f"/{room}").json()["data"]["active_session_id"] is None
    return count * 6


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_a_webhook_never_precedes_its_event(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, portico: type[PorticoServer]
) -> None:
    settings: dict[str, str] = {}
    count = 1
    if kind == "postgres":
        settings, count = {"database_url": request.getfixturevalue("postgres_url")}, 2
    with ExitStack() as running:
        servers = [portico(tmp_path / "a", **settings).start()]
        running.push(servers[0].__exit__)
        for name in ["b"][: count - 1]:
            servers.append(portico(tmp_path / name, api_key=servers[0].api_key, **settings).start())
            running.push(servers[-1].__exit__)
        asking = AskingBack(servers)
        async with Receiver(otherwise=asking) as receiver:
            expected = await calls(servers, receiver.url, 4)
            await receiver.wait_for(expected, within=30)
            async with asyncio.timeout(30):
                while len(set(asking.seen)) < expected:
                    await asyncio.sleep(0.02)
    assert asking.wrong == []
    assert len(set(asking.seen)) == expected
