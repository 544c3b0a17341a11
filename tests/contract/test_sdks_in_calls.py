"""The official SDKs act on sessions with people in them: the whole program, and browsers without media."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.contract.answers import checking_client
from tests.contract.node_sdk import running
from tests.gateway.browser import SignalingBrowser
from tests.servers import PorticoServer

CLOSED_WITHIN_SECS = 5.0
Act = Callable[..., Awaitable[Any]]
"""Performs a session action, by name, with the session's id and the body's members; gives the answer's result."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    with portico(tmp_path_factory.mktemp("calls") / "data") as started:
        yield started


@pytest.fixture(params=["python", "asynchronous python", "node"])
def act(request: pytest.FixtureRequest, server: PorticoServer) -> Iterator[Act]:
    """Each of the SDKs, imported to the last: browsers that share the event loop with that would miss their pings."""
    importlib.import_module("telnyx.resources.rooms")
    from telnyx import AsyncTelnyx, Telnyx

    base_url, key = f"{server.base_url}/v2", server.api_key
    if request.param == "python":
        with checking_client() as http:
            sdk = Telnyx(api_key=key, base_url=base_url, http_client=http)

            async def act(name: str, session_id: str, **members: Any) -> Any:
                action = getattr(sdk.rooms.sessions.actions, name)
                return (await asyncio.to_thread(partial(action, session_id, **members))).data.result

            yield act
    elif request.param == "node":
        assert request.config.cache is not None
        with running(request.config.cache.mkdir("node-calls")) as made:
            called = made(server.base_url, key)

            async def act(name: str, session_id: str, **members: Any) -> Any:
                given = [members] if members else []
                answer = await asyncio.to_thread(called, f"rooms.sessions.actions.{name}", session_id, *given)
                return answer["data"]["result"]

            yield act
    else:

        async def act(name: str, session_id: str, **members: Any) -> Any:
            async with AsyncTelnyx(api_key=key, base_url=base_url) as client:
                return (await getattr(client.rooms.sessions.actions, name)(session_id, **members)).data.result

        yield act


async def test_actions_reach_the_participants_of_a_session(server: PorticoServer, act: Act) -> None:
    with checking_client(
        base_url=f"{server.base_url}/v2", headers={"Authorization": f"Bearer {server.api_key}"}
    ) as rest:
        room_id = rest.post("/rooms").json()["data"]["id"]
        token = rest.post(f"/rooms/{room_id}/actions/generate_join_client_token").json()["data"]["token"]
        async with SignalingBrowser(server, room_id, token) as anna, SignalingBrowser(server, room_id, token) as ben:
            await anna.join()
            await ben.join()
            session_id = rest.get(f"/rooms/{room_id}").json()["data"]["active_session_id"]
            assert await act("mute", session_id, participants=[anna.participant_id]) == "ok"
            assert await act("unmute", session_id, participants="all", exclude=[ben.participant_id]) == "ok"
            assert await act("kick", session_id, participants="all", exclude=[ben.participant_id]) == "ok"
            await anna.receives("kicked")
            await asyncio.wait_for(anna.closed.wait(), CLOSED_WITHIN_SECS)
            assert not ben.closed.is_set()
            assert await act("end", session_id) == "ok"
            await asyncio.wait_for(ben.closed.wait(), CLOSED_WITHIN_SECS)
            assert ben.close_code == 4000
        people = rest.get(f"/room_sessions/{session_id}/participants").json()["data"]
        assert len(people) == 2 and all(person["left_at"] for person in people)
