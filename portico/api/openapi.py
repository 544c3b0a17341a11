"""The OpenAPI 3.1 document: operation() describes one operation, document() puts them together."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from types import MappingProxyType
from typing import Any

from portico import __version__
from portico.api import schema_parts, schemas
from portico.api.schema_parts import Schema
from portico.core import paging
from portico.core.casting import BodyMember
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
_WITH_RETRY_AFTER = (429, 503)
_TAGS = {
    "Rooms": "A room has settings and a name; participants meet in its sessions.",
    "Rooms Client Tokens": "A client token lets one browser join one room.",
    "Room Sessions": "A session lasts from the first join until all participants have left.",
    "Room Participants": "A participant is one join of a room.",
    "Room Recordings": "A recording is one audio or video track of one participant.",
    "Room Compositions": "A composition is one video of a session's recordings.",
    "Webhooks": "Every event is delivered to its room's URL, signed, at least once.",
    "Audit log": "Every change is noted with the API key that made it.",
    "Media nodes": "A media node is one Janus of an installation on PostgreSQL.",
}
_IN_BRACES = re.compile(r"\{(\w+)\}")
_IDENTIFIERS = {
    "room_id": "The room's id.",
    "room_session_id": "The session's id.",
    "room_participant_id": "The participant's id.",
    "room_recording_id": "The recording's id.",
    "room_composition_id": "The composition's id.",
    "webhook_delivery_id": "The delivery's id.",
}
_FLAGS = {
    "include_sessions": "Embed each room's newest sessions, at most 250 of a room.",
    "include_participants": "Embed each session's latest participants, at most 250 of a session.",
}
_KEY = "An API key of your account. One with scopes may only do what they allow: " + "; ".join(
    f"`{scope}`: {allowed}" for scope, allowed in SCOPES.items()
)
_INTRODUCTION = (
    "Create rooms, issue client tokens, and read sessions, participants and recordings. "
    "Authenticate with `Authorization: Bearer KEY`. Identifiers are UUIDs; instants are UTC. "
    "Lists come in pages: `page[number]` counts from 1, `page[size]` is at most 250; several filters must all match. "
    "A date in a filter is a calendar day in UTC; a full ISO 8601 date-time is compared exactly. "
    "Embedded sessions and participants are the newest ones, at most 10,000 of each in an answer: "
    "the lists of sessions and participants page through all."
)


@dataclass(frozen=True, slots=True)
class Description:
    """What operation() made: the members of an OpenAPI operation that do not depend on its path, and what a request
    is checked for. A key with any of `scopes` may call the operation; any key if they are empty; no key if None."""

    operation_id: str
    scopes: tuple[str, ...] | None
    has_body: bool
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the document: `text` is Markdown, and the tag one of _TAGS."""

    method: str
    path: str
    tag: str
    text: str
    description: Description


def operation(
    operation_id: str,
    summary: str,
    status: int,
    answer: str | None = None,
    *,
    body: Sequence[BodyMember] | None = None,
    body_schema: Schema | None = None,
    body_filters: Sequence[Attribute] | None = None,
    targets: Sequence[BodyMember] | None = None,
    filters: Sequence[Attribute] | None = None,
    flags: Sequence[str] = (),
    scopes: Sequence[str] | None,
) -> Description:
    """Describe an operation that succeeds with `status` and `answer`, the name of one of schemas.ANSWERS.

    `filters` and `flags` are its query parameters; with filters it is about a page of many. `scopes` are those of
    Description. At most one of four says what the body is: `body` its members, `body_schema` its JSON Schema,
    `body_filters` the filters of an action on many, `targets` the members beside which an action takes participants.
    """
    if body is not None:
        body_schema = schema_parts.body(body)
    elif body_filters is not None:
        body_schema = schemas.filtering(body_filters)
    elif targets is not None:
        body_schema = schemas.acting(targets)
    parameters = [_flag(name) for name in flags]
    if filters is not None:
        parameters += [*_filters(filters), *_page()]
    responses = {str(status): _success(answer, is_list=filters is not None and status == 200)}
    possible = _possible_errors(body_schema is not None, bool(parameters), scopes)
    responses |= {str(code): _error(code) for code in possible}
    members: dict[str, Any] = {"summary": summary, "parameters": parameters, "responses": responses}
    if body_schema is not None:
        members["requestBody"] = {"required": "required" in body_schema, "content": _json(body_schema)}
    if scopes is None or scopes:
        members["security"] = [{"bearerAuth": [scope]} for scope in scopes or ()]
    return Description(
        operation_id, None if scopes is None else tuple(scopes), body_schema is not None, MappingProxyType(members)
    )


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document. Operations stand in the order of their paths' first appearance."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _described(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Portico",
            "summary": "The Telnyx Video API on your own machine.",
            "description": _INTRODUCTION,
            "version": __version__,
        },
        "paths": paths,
        "components": {
            "schemas": schemas.RESOURCES,
            "headers": {name: _counter(*described) for name, described in _RATE_HEADERS.items()},
            "securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer", "description": _KEY}},
        },
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "security": [{"bearerAuth": []}],
    }


def _described(each: Operation) -> dict[str, Any]:
    """An OpenAPI operation object."""
    members = dict(each.description.members)
    parameters = [_identifier(name) for name in _IN_BRACES.findall(each.path)] + members.pop("parameters")
    return {
        "tags": [each.tag],
        "summary": members.pop("summary"),
        "description": cleandoc(each.text),
        "operationId": each.description.operation_id,
        **({"parameters": parameters} if parameters else {}),
        **members,
    }


def _identifier(name: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": _IDENTIFIERS[name], "schema": schema}


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
    headers = _headers(_RETRY_AFTER if code in _WITH_RETRY_AFTER else {})
    return {"description": _ERRORS[code], "headers": headers, "content": content}


def _headers(own: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The headers that every answer has, and those of this answer."""
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
