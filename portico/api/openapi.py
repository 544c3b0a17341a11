"""The OpenAPI 3.1 document: each endpoint describes itself with operation(), document() puts it together."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.routing import BaseRoute

from portico import __version__
from portico.api import schema_parts, schemas
from portico.api.schema_parts import Schema
from portico.core import paging
from portico.core.casting import Member
from portico.core.filters import Attribute
from portico.core.scopes import SCOPES

_ERRORS = {
    400: "The body is not JSON.",
    401: "No valid API key.",
    403: "The API key lacks the scope, or the refresh token is not good for this room or has expired.",
    404: "No such resource in your account.",
    408: "The body did not arrive in time.",
    413: "The body is larger than one megabyte.",
    415: "The body is not declared as JSON.",
    422: "Something in the request is wrong; every wrong member is named.",
    429: "More requests, or more wrong API keys, than the limit allows; try again after Retry-After.",
    500: "A fault of the server, written to its log under the request id.",
    503: "The server has more to do than it can; try again after Retry-After.",
}
_RATE_HEADERS = {
    "x-ratelimit-limit": ("Requests that may be made at once when none was made for a while.", 0),
    "x-ratelimit-remaining": ("Requests that are left of them.", 0),
    "x-ratelimit-reset": ("Seconds until all of them are there again.", 1),
}
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
_TOLD_TO_WAIT = (429, 503)
_FLAGS = {
    "include_sessions": "Embed each room's newest sessions, at most 250 of a room.",
    "include_participants": "Embed each session's latest participants, at most 250 of a session.",
}
_KEY = "An API key of your account. One with scopes may only do what they allow: " + "; ".join(
    f"`{scope}`: {allowed}" for scope, allowed in SCOPES.items()
)
_INTRODUCTION = (
    "Create rooms, hand out client tokens, and see who met when. "
    "Authenticate with `Authorization: Bearer KEY`. Identifiers are UUIDs; instants are UTC. "
    "Lists come in pages: `page[number]` counts from 1, `page[size]` is at most 250; several filters must all match. "
    "A date in a filter is a calendar day in UTC; a full ISO 8601 date-time is compared exactly. "
    "Embedded sessions and participants are the newest ones, at most 10,000 of each in an answer: "
    "the lists of sessions and participants page through all."
)


def operation(
    operation_id: str,
    summary: str,
    status: int,
    answer: str | None = None,
    *,
    body: Sequence[Member] | None = None,
    body_schema: Schema | None = None,
    body_filters: Sequence[Attribute] | None = None,
    targets: Sequence[Member] | None = None,
    filters: Sequence[Attribute] | None = None,
    flags: Sequence[str] = (),
    scopes: Sequence[str] | None,
) -> dict[str, Any]:
    """Arguments of a route decorator. `answer` names one of schemas.ANSWERS; `filters` say which of many it is about.
    A key with any of the `scopes` may call it; every key if they are empty, and anybody without a key if None.
    The body is of these members, or `body_schema`, or the filters of an action on many, or `targets` beside which an
    action takes participants."""
    extra: dict[str, Any] = {}
    if body is not None:
        body_schema = schema_parts.body(body)
    if body_schema is not None:
        extra["requestBody"] = {"required": "required" in body_schema, "content": _json(body_schema)}
    if body_filters is not None:
        content = {"application/json": {"schema": schemas.filtering(body_filters)}}
        extra["requestBody"] = {"required": False, "content": content}
    if targets is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas.acting(targets)}}}
    parameters = [_flag(name) for name in flags]
    if filters is not None:
        parameters += [*_filters(filters), *_page()]
    if parameters:
        extra["parameters"] = parameters
    if scopes is None or scopes:
        extra["security"] = [{"bearerAuth": [scope]} for scope in scopes or ()]
    declared: dict[int | str, Any] = {status: _success(answer, is_list=filters is not None and status == 200)}
    declared |= {code: _error(code) for code in _possible_errors("requestBody" in extra, bool(parameters), scopes)}
    return {
        "operation_id": operation_id,
        "summary": summary,
        "status_code": status,
        "response_class": Response,
        "responses": declared,
        "openapi_extra": extra,
    }


def document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The whole description of these routes."""
    described = get_openapi(
        title="Portico",
        version=__version__,
        openapi_version="3.1.0",
        summary="The Telnyx Video API on your own machine.",
        description=_INTRODUCTION,
        routes=routes,
        tags=[
            {"name": "Rooms", "description": "A room is a place with settings; people meet in its sessions."},
            {"name": "Rooms Client Tokens", "description": "A client token lets one browser join one room."},
            {"name": "Room Sessions", "description": "A session lasts from the first join until everybody has left."},
            {"name": "Room Participants", "description": "A participant is one join of one person."},
            {"name": "Room Recordings", "description": "A recording is one audio or video track of one participant."},
            {"name": "Room Compositions", "description": "A composition is one film of a session's recordings."},
            {"name": "Webhooks", "description": "Every event is delivered to its room's URL, signed, at least once."},
            {"name": "Audit log", "description": "Every change is noted with the API key that made it."},
        ],
    )
    _forget_validation_of_fastapi(described)
    components = described.setdefault("components", {})
    components["schemas"] = schemas.RESOURCES
    components["headers"] = {name: _counter(*said) for name, said in _RATE_HEADERS.items()}
    components["securitySchemes"] = {"bearerAuth": {"type": "http", "scheme": "bearer", "description": _KEY}}
    described["security"] = [{"bearerAuth": []}]
    return described


def _forget_validation_of_fastapi(described: dict[str, Any]) -> None:
    """FastAPI adds its own 422 to whatever has a path parameter; ours are text, which is never wrong in that sense."""
    for item in described["paths"].values():
        for declared in item.values():
            if "HTTPValidationError" in str(declared["responses"].get("422")):
                del declared["responses"]["422"]


def _possible_errors(has_body: bool, has_query: bool, scopes: Sequence[str] | None) -> list[int]:
    codes = [403] if scopes is None else [401, 403] if scopes else [401]
    codes += [404, 429, 500, 503]
    if has_body:
        codes += [400, 408, 413, 415, 422]
    elif has_query:
        codes += [422]
    return sorted(codes)


def _success(answer: str | None, *, is_list: bool) -> dict[str, Any]:
    if answer is None:
        return {"description": "Done; no content.", "headers": _headers()}
    total_pages = {"Total-Pages": {"description": "As in meta.", "schema": {"type": "integer"}}}
    headers = _headers(total_pages if is_list else {})
    return {"description": "Success.", "headers": headers, "content": _json(schemas.ANSWERS[answer])}


def _error(code: int) -> dict[str, Any]:
    content = _json({"$ref": "#/components/schemas/Errors"})
    headers = _headers(_RETRY_AFTER if code in _TOLD_TO_WAIT else {})
    return {"description": _ERRORS[code], "headers": headers, "content": content}


def _headers(own: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Those that an answer has of its own, beside those that every answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in _RATE_HEADERS} | dict(own)


def _counter(description: str, minimum: int) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": {"type": "integer", "minimum": minimum}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _flag(name: str) -> dict[str, Any]:
    return _parameter(name, _FLAGS[name], {"type": "boolean", "default": False})


def _filters(attributes: Sequence[Attribute]) -> list[dict[str, Any]]:
    parameters = []
    for attribute in attributes:
        name = f"filter[{attribute.name}]"
        if attribute.kind == "date":
            day = {"type": "string", "examples": ["2026-03-26"]}
            for operator, meaning in (("eq", "on"), ("gte", "on or after"), ("lte", "on or before")):
                description = f"{attribute.description} Matches {meaning} this date."
                parameters.append(_parameter(f"{name}[{operator}]", description, day))
        else:
            kinds: dict[str, dict[str, Any]] = {
                "uuid": {"type": "string", "format": "uuid"},
                "boolean": {"type": "boolean"},
                "choice": {"type": "string", "enum": list(attribute.choices)},
                "at_least": {"type": "integer", "minimum": 0},
            }
            spelled = f"{name}[{attribute.operators[0]}]" if attribute.shows_operator else name
            schema = kinds.get(attribute.kind, {"type": "string"})
            parameters.append(_parameter(spelled, attribute.description, schema))
    return parameters


def _page() -> list[dict[str, Any]]:
    size = {"type": "integer", "minimum": 1, "maximum": paging.SIZE_MAX, "default": paging.SIZE_DEFAULT}
    return [
        _parameter("page[number]", "Which page, counted from 1.", {"type": "integer", "minimum": 1, "default": 1}),
        _parameter("page[size]", "How many results on a page.", size),
    ]
