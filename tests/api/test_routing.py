"""From a request to its endpoint: which paths are operations, and what is checked before the endpoint is called."""

from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Operations, Router
from tests.api.world import World

ID = "0CCC7B54-4DF3-4BCA-A65A-35A1ECC777F0"


def made() -> Starlette:
    """Operations that need no key, before an application with pages of its own."""
    router = Router("Rooms")
    described = operation("Show", "Show what was called", 200, "Room", scopes=None)

    @router.get("/things/{room_id}", described)
    @router.post("/things/{room_id}", operation("Take", "Take a body", 200, "Room", body=(), scopes=None))
    @router.delete("/things/{room_id}/parts", described)
    @router.get(
        "/things/all", described
    )  # decorators run from the last to the first, and the first path that fits counts
    async def show(call: Call) -> Response:
        return JSONResponse([call.operation_id, call.object_id, call.body])

    async def page(request: Request) -> Response:
        return JSONResponse("page")

    app = Starlette(routes=[Route("/v2/things/{name}/later", page)])
    app.state.api = None
    app.router.redirect_slashes = False
    app.user_middleware.append(Middleware(Operations, routes=router.routes))
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "answer"),
    [
        ("GET", "/v2/things/all", 200, ["Show", "", None]),
        ("GET", f"/v2/things/{ID}", 200, ["Show", ID.lower(), None]),
        ("POST", f"/v2/things/{ID}", 200, ["Take", ID.lower(), {}]),
        ("DELETE", f"/v2/things/{ID}/parts", 200, ["Show", ID.lower(), None]),
        ("GET", f"/v2/things/{ID}/later", 200, "page"),
        ("GET", "/v2/things/%C3%A9", 404, None),
        ("GET", "/v2/things/", 404, None),
        ("GET", "/v2/things", 404, None),
        ("GET", f"/v2/things/{ID}/", 404, None),
        ("GET", f"//v2/things/{ID}", 404, None),
        ("GET", "/v2/nothing", 404, None),
        ("GET", "/v2/", 404, None),
        ("GET", "/v2", 404, None),
        ("GET", "/", 404, None),
        ("POST", "/v2/things/all", 405, None),
        ("PUT", f"/v2/things/{ID}", 405, None),
        ("HEAD", f"/v2/things/{ID}", 405, None),
        ("GET", f"/v2/things/{ID}/parts", 405, None),
    ],
)
async def test_the_path_decides_and_then_the_method(method: str, path: str, status: int, answer: object) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(made()), base_url="http://portico") as client:
        answered = await client.request(method, path)
    assert answered.status_code == status
    assert answer is None or answered.json() == answer


@pytest.mark.parametrize(
    ("path", "key", "body", "status"),
    [
        ("/v2/rooms/nonsense", "Bearer wrong", b"{", 401),
        ("/v2/rooms/nonsense", None, b"{", 404),
        (f"/v2/rooms/{UUID(int=0)}", None, b"{", 400),
        (f"/v2/rooms/{UUID(int=0)}", None, b"{}", 404),
    ],
)
async def test_the_key_is_checked_first_then_the_path_then_the_body(
    sqlite_world: World, path: str, key: str | None, body: bytes, status: int
) -> None:
    headers = {"Authorization": key} if key else {}
    answer = await sqlite_world.k1.patch(path, content=body, headers=headers)
    assert answer.status_code == status
