"""From a request to its endpoint: FastAPI describes the operations; calling them through it costs more than most do.

What an endpoint takes is worked out once: the request, identifiers in the path, and what our own dependencies give.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

Call = Callable[[Request], Awaitable[Any]]
_NOT_TAKEN = (
    "query_params",
    "header_params",
    "cookie_params",
    "body_params",
    "websocket_param_name",
    "http_connection_param_name",
    "response_param_name",
    "background_tasks_param_name",
    "security_scopes_param_name",
)


class Operations(BaseRoute):
    """All these routes as one, found by the path's noun and then by its pattern."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._by_noun: defaultdict[str, list[tuple[APIRoute, Call]]] = defaultdict(list)
        for route in routes:
            assert isinstance(route, APIRoute)
            self._by_noun[_noun(route.path)].append((route, caller(route.dependant)))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """PARTIAL when the path is known and the method is not."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path, method = scope["path"], scope["method"]
        partial: Scope | None = None
        for route, call in self._by_noun.get(_noun(path), ()):
            if found := route.path_regex.match(path):
                chosen: dict[str, Any] = {
                    "path_params": found.groupdict(),
                    "endpoint": call,
                    "operation_id": route.operation_id,
                    "sufficient_scopes": sufficient_scopes(route),
                }
                if route.methods and method in route.methods:
                    return Match.FULL, chosen
                partial = chosen | {"endpoint": _no_such_method}
        return (Match.NONE, {}) if partial is None else (Match.PARTIAL, partial)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await scope["endpoint"](Request(scope, receive, send))
        await response(scope, receive, send)


def sufficient_scopes(route: APIRoute) -> tuple[str, ...]:
    """Any of these lets a key call the operation, as the document says under `security`; none: every key may."""
    security = (route.openapi_extra or {}).get("security", [])
    return tuple(scope for each in security for scope in each["bearerAuth"])


def caller(dependant: Dependant) -> Call:
    """Calls a function with what it takes from a request, in the order of its parameters; async functions only.

    ValueError for whatever an endpoint of ours has no use for, such as typed query parameters.
    """
    function = dependant.call
    if function is None or any(getattr(dependant, kind) for kind in _NOT_TAKEN):
        raise ValueError(f"{function} takes something that no endpoint of ours takes")
    request_name = dependant.request_param_name
    of_path = [field.name for field in dependant.path_params]
    of_functions = [(str(each.name), caller(each)) for each in dependant.dependencies]

    async def call(request: Request) -> Any:
        taken: dict[str, Any] = {name: request.path_params[name] for name in of_path}
        if request_name is not None:
            taken[request_name] = request
        for name, function_of in of_functions:
            taken[name] = await function_of(request)
        return await function(**taken)

    return call


async def _no_such_method(request: Request) -> Any:
    raise HTTPException(405)


def _noun(path: str) -> str:
    """`rooms` of `/v2/rooms/...`."""
    return path.split("/", 3)[2] if path.startswith("/v2/") else ""
