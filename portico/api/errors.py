"""The body of errors, the table from exceptions to status and code, and the handlers that answer with them."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from portico.api.answers import JSONResponse
from portico.core.errors import (
    Busy,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    PorticoError,
    SessionOver,
    TooManyRequests,
    Unauthenticated,
)

CATALOGUE = "https://developers.telnyx.com/docs/overview/errors/"
RETRY_AFTER_SECS = 1
_LIST_OR_ACTION_GET = {
    "rooms",
    "sessions",
    "participants",
    "room_sessions",
    "room_participants",
    "room_recordings",
    "room_compositions",
}
_LIST_OR_ACTION_POST = {"end", "kick", "mute", "unmute"}
_HTTP_TITLES = {
    400: ("10015", "Bad Request"),
    404: ("10005", "Resource not found"),
    405: ("10030", "Method not allowed"),
    408: ("10008", "Request timeout"),
    413: ("10015", "Request body too large"),
    415: ("10014", "Unsupported Media Type"),
    429: ("10011", "Too many requests"),
}


def answer(
    request: Request, status: int, faults: Sequence[Fault], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """One body that is valid against all shapes that the published specification gives to errors.

    It contradicts itself: an array for 422, one bare object for 403 and 404, {success, message} for lists and actions.
    """
    body: dict[str, Any] = {"errors": [_entry(fault) for fault in faults]}
    first = faults[0]
    if status in (403, 404):
        body |= {"code": first.code, "title": first.title, "detail": first.detail}
    if is_list_or_action(request.method, request.url.path):
        body |= {"success": False, "message": first.detail}
    return JSONResponse(body, status, headers=headers)


def is_list_or_action(method: str, path: str) -> bool:
    """Whether the specification declares the {success, message} shape for this operation."""
    last = path.rpartition("/")[2]
    return (method == "GET" and last in _LIST_OR_ACTION_GET) or (method == "POST" and last in _LIST_OR_ACTION_POST)


def unexpected(request: Request) -> Response:
    """The answer to a fault of ours: only the request id, under which the log has the traceback."""
    detail = f"An unexpected error occurred. The server's log has more about request {request.state.request_id}."
    return answer(request, 500, [Fault("10007", "Unexpected error", detail)])


def too_many_requests(request: Request, wait_secs: int) -> Response:
    """The answer to a request over the limit; the official SDKs wait for Retry-After and try again."""
    return _wait(request, TooManyRequests(wait_secs, "The limit of requests is reached"))


async def on_portico_error(request: Request, error: PorticoError) -> Response:
    """The answer to a refusal. Raises errors that only the gateway may raise: they are faults of ours here."""
    detail = str(error)
    match error:
        case Unauthenticated():
            fault = Fault("10009", "Authentication failed", detail)
            return answer(request, 401, [fault], {"WWW-Authenticate": "Bearer"})
        case Forbidden(expired=True):
            return answer(request, 403, [Fault("20006", "Expired access token", detail)])
        case Forbidden():
            return answer(request, 403, [Fault("10010", "Authorization failed", detail)])
        case NotFound():
            return answer(request, 404, [Fault("10005", "Resource not found", detail)])
        case Invalid():
            return answer(request, 422, error.faults)
        case SessionOver():
            return answer(request, 422, [Fault("10027", "Unprocessable Entity", detail)])
        case TooManyRequests():
            return _wait(request, error)
        case Busy():
            fault = Fault("10007", "Service unavailable", detail)
            return answer(request, 503, [fault], {"Retry-After": str(RETRY_AFTER_SECS)})
        case _:
            raise error


async def on_http_error(request: Request, error: HTTPException) -> Response:
    """The answer to an HTTPException: unknown paths and methods, bodies that are not JSON or too large."""
    status = error.status_code
    if status < 400:
        return Response(status_code=status, headers=error.headers)
    fallback = ("10015", HTTPStatus(status).phrase) if status < 500 else ("10007", HTTPStatus(status).phrase)
    code, title = _HTTP_TITLES.get(status, fallback)
    detail = str(error.detail)
    if status == 404:
        detail = str(NotFound())
    headers = dict(error.headers or {})
    if status == 405:
        detail = f"This resource knows only {headers.get('Allow', '')}."
    return answer(request, status, [Fault(code, title, detail)], headers)


def _wait(request: Request, refused: TooManyRequests) -> Response:
    fault = Fault(*_HTTP_TITLES[429], str(refused))
    return answer(request, 429, [fault], {"Retry-After": str(refused.wait_secs)})


def _entry(fault: Fault) -> dict[str, Any]:
    entry: dict[str, Any] = {"code": fault.code, "title": fault.title, "detail": fault.detail}
    if fault.pointer is not None:
        entry["source"] = {"pointer": _encodable(fault.pointer)}
    elif fault.parameter is not None:
        entry["source"] = {"parameter": _encodable(fault.parameter)}
    return entry | {"meta": {"url": CATALOGUE + fault.code}}


def _encodable(name: str) -> str:
    """`name` without lone surrogates: JSON of a caller may hold them, UTF-8 cannot."""
    return name.encode(errors="replace").decode()
