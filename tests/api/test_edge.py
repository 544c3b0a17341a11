"""What every answer has: a request id, CORS headers, and for faults of ours no details."""

from collections.abc import AsyncIterator

import pytest
import structlog
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import StreamingResponse
from structlog.testing import capture_logs

from tests.api.world import World


@pytest.mark.parametrize("given", ["a", "x" * 128, "0aA-._~!"])
async def test_sane_request_ids_are_echoed(sqlite_world: World, given: str) -> None:
    answer = await sqlite_world.anonymous.get("/v2/rooms", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", "\xe4"])
async def test_other_request_ids_are_replaced(sqlite_world: World, given: str) -> None:
    answer = await sqlite_world.anonymous.get("/v2/rooms", headers=[(b"x-request-id", given.encode("latin-1"))])
    assert len(answer.headers["x-request-id"]) == 36


@pytest.mark.parametrize("path", ["/v2/rooms", "/v2/rooms/x/actions/refresh_client_token", "/v2/nope", "/docs"])
async def test_preflights_are_answered_everywhere_without_a_key(sqlite_world: World, path: str) -> None:
    wanted = "authorization, content-type, x-stainless-lang"
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": wanted,
    }
    answer = await sqlite_world.anonymous.options(path, headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == wanted
    for method in ("GET", "POST", "PATCH", "DELETE"):
        assert method in answer.headers["access-control-allow-methods"]


async def test_pages_of_other_origins_may_read_our_headers(sqlite_world: World) -> None:
    answer = await sqlite_world.k1.get("/v2/rooms", headers={"Origin": "https://app.example"})
    exposed = answer.headers["access-control-expose-headers"].lower()
    for header in ("total-pages", "x-request-id", "x-ratelimit-remaining"):
        assert header in exposed


async def test_a_fault_of_ours_is_logged_and_not_shown(sqlite_world: World) -> None:
    await sqlite_world.db.write(lambda tx: tx.execute(text("ALTER TABLE room_counts RENAME TO elsewhere")))
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        answer = await sqlite_world.k1.get("/v2/rooms", headers={"x-request-id": "find-me"})
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["code"]) == (500, "10007")
    assert "find-me" in error["detail"]
    assert "table" not in answer.text and "sql" not in answer.text.lower()
    assert [entry["event"] for entry in logs] == ["unexpected error", "request"]
    assert logs[0]["exc_info"] is True
    assert {entry["request_id"] for entry in logs} == {"find-me"}


async def test_one_log_line_for_each_request(sqlite_world: World) -> None:
    with capture_logs() as logs:
        await sqlite_world.k1.get("/v2/rooms?filter[nope]=1")
        await sqlite_world.anonymous.get("/docs")
        await sqlite_world.anonymous.get("/v2/%1b%0a")
    assert [(entry["method"], entry["path"], entry["status"]) for entry in logs] == [
        ("GET", "/v2/rooms", 422),
        ("GET", "/v2/%1b%0a", 404),
    ]


async def test_a_fault_after_the_answer_began_cuts_it_off(sqlite_world: World) -> None:
    async def broken(request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"x"
            raise RuntimeError("broken")

        return StreamingResponse(parts())

    sqlite_world.app.add_route("/v2/broken", broken)
    with capture_logs(), pytest.raises(RuntimeError, match="broken"):
        await sqlite_world.anonymous.get("/v2/broken")


async def test_every_answer_has_an_id_whatever_went_wrong(sqlite_world: World) -> None:
    refused = []
    for method, path, body in (
        ("GET", "/v2/nope", b""),
        ("GET", "/nope", b""),
        ("PUT", "/v2/rooms", b""),
        ("OPTIONS", "/v2/rooms", b""),
        ("POST", "/v2/rooms", b"{"),
        ("POST", "/v2/rooms", b" " * 1_000_001),
        ("GET", "/v2/rooms?filter[nope]=1", b""),
    ):
        answer = await sqlite_world.k1.request(method, path, content=body, headers={"x-request-id": "mine"})
        assert answer.headers["x-request-id"] == "mine"
        refused.append(answer.status_code)
    assert refused == [404, 404, 405, 405, 400, 413, 422]
    await sqlite_world.db.write(lambda tx: tx.execute(text("ALTER TABLE room_counts RENAME TO elsewhere")))
    with capture_logs():
        answer = await sqlite_world.k1.get("/v2/rooms", headers={"x-request-id": "mine"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "mine")


async def test_ids_of_requests_are_never_given_twice(sqlite_world: World) -> None:
    answers = [await sqlite_world.anonymous.get("/v2/rooms") for _ in range(20)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 20
