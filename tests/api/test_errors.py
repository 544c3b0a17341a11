"""The error body, for everything that can be refused."""

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from portico.api.errors import is_list_or_action
from portico.core.errors import Busy, SessionOver
from tests.api.world import World


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2/nope", "/v2/rooms/", "/rooms", "/v2/rooms/x/recordings", "/"])
async def test_unknown_paths(sqlite_world: World, path: str) -> None:
    answer = await sqlite_world.k1.get(path)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "10005")
    assert answer.json()["detail"] == "The requested resource or URL could not be found."


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v2/rooms", "GET, POST"),
        ("POST", "/v2/rooms/x", "DELETE, GET, PATCH"),
        ("OPTIONS", "/v2/rooms", "GET, POST"),
        ("GET", "/v2/rooms/x/actions/refresh_client_token", "POST"),
    ],
)
async def test_methods_that_a_path_does_not_know(sqlite_world: World, method: str, path: str, allowed: str) -> None:
    answer = await sqlite_world.k1.request(method, path)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (405, "10030")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (Busy("Later."), 503, "10007"),
        (SessionOver(), 422, "10027"),
        (HTTPException(429), 429, "10011"),
        (HTTPException(418), 418, "10015"),
        (HTTPException(502), 502, "10007"),
    ],
)
async def test_other_refusals(sqlite_world: World, raised: Exception, status: int, code: str) -> None:
    async def refuse(request: Request) -> Response:
        raise raised

    sqlite_world.app.add_route("/v2/refuse", refuse)
    answer = await sqlite_world.k1.get("/v2/refuse")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)


def test_where_the_specification_wants_success_and_message() -> None:
    assert is_list_or_action("GET", "/v2/rooms")
    assert is_list_or_action("GET", "/v2/rooms/x/sessions")
    assert is_list_or_action("POST", "/v2/room_sessions/x/actions/kick")
    assert not is_list_or_action("POST", "/v2/rooms")
    assert not is_list_or_action("GET", "/v2/rooms/x")
    assert not is_list_or_action("DELETE", "/v2/room_recordings")


@pytest.mark.parametrize(
    ("body", "pointer"), [(b'{"\\ud800": "x"}', "/?"), (b'{"status": {"\\udfff": 1}}', "/status/?")]
)
async def test_names_that_are_no_text_can_be_answered(sqlite_world: World, body: bytes, pointer: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await sqlite_world.k1.post("/v2/webhook_deliveries/actions/replay", content=body, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["source"]) == (422, {"pointer": pointer})
