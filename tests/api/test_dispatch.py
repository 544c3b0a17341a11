"""Our own way from a request to its endpoint: it calls as FastAPI would, and refuses to be made for what it cannot."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Path, Request
from fastapi.responses import JSONResponse, Response

from portico.api.dispatch import Operations


async def _upper(name: Annotated[str, Path()]) -> str:
    return name.upper()


async def _method(request: Request, name: Annotated[str, Depends(_upper)]) -> str:
    return f"{request.method} {name}"


def routed(*, ours: bool) -> FastAPI:
    """The same endpoints behind us, or behind FastAPI itself."""
    router = APIRouter(prefix="/v2")

    async def one(request: Request, said: Annotated[str, Depends(_method)], name: str) -> Response:
        return JSONResponse([said, name, request.url.path], 201)

    async def literal() -> Response:
        return JSONResponse("literal")

    router.add_api_route("/things/all", literal)
    router.add_api_route("/things/{name}", one, methods=["GET", "POST"])
    router.add_api_route("/things/{name}/parts", literal, methods=["DELETE"])
    app = FastAPI()
    app.router.redirect_slashes = False
    if ours:
        app.router.routes.append(Operations(router.routes))
    else:
        app.include_router(router)
    app.add_api_route("/v2/things/{name}/later", literal)
    return app


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/things/all"),
        ("GET", "/v2/things/a%20b"),
        ("POST", "/v2/things/%C3%A9"),
        ("POST", "/v2/things/all"),
        ("PUT", "/v2/things/x"),
        ("GET", "/v2/things/x/parts"),
        ("DELETE", "/v2/things/x/parts"),
        ("GET", "/v2/things/x/later"),
        ("GET", "/v2/things/"),
        ("GET", "/v2/things"),
        ("GET", "/v2/things/x/"),
        ("GET", "/v2/nothing"),
        ("GET", "/v2/"),
        ("GET", "/v2"),
        ("GET", "/"),
        ("GET", "//v2/things/x"),
        ("HEAD", "/v2/things/x"),
    ],
)
async def test_it_answers_as_the_framework_would(method: str, path: str) -> None:
    answers = []
    for ours in (True, False):
        transport = httpx.ASGITransport(routed(ours=ours))
        async with httpx.AsyncClient(transport=transport, base_url="http://portico") as client:
            answer = await client.request(method, path)
            answers.append((answer.status_code, answer.json() if answer.status_code < 400 else None))
    assert answers[0] == answers[1]


async def _typed(size: int) -> Response:
    return JSONResponse(size)


async def _with_body(body: dict[str, Any]) -> Response:
    return JSONResponse(body)


@pytest.mark.parametrize("endpoint", [_typed, _with_body])
def test_endpoints_that_take_anything_else_are_refused_at_start(endpoint: Any) -> None:
    router = APIRouter(prefix="/v2")
    router.add_api_route("/things", endpoint, methods=["POST"])
    with pytest.raises(ValueError, match="no endpoint of ours takes"):
        Operations(router.routes)
