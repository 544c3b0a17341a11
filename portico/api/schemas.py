"""JSON Schemas (2020-12) of everything that the API answers, and of bodies from the members that are cast."""

from collections.abc import Sequence
from typing import Any

from portico.api import bodies
from portico.core.casting import Member
from portico.core.filters import Attribute
from portico.core.model import VIDEO_CODECS

Schema = dict[str, Any]
_TYPES = {"string": "string", "url": "string", "integer": "integer", "boolean": "boolean"}


def body(members: Sequence[Member]) -> Schema:
    """What a request may hold; null is the default everywhere."""
    schema: Schema = {"type": "object", "properties": {member.name: _member(member) for member in members}}
    if required := [member.name for member in members if member.required]:
        schema["required"] = required
    return schema


def _member(member: Member) -> Schema:
    kind: str | list[str] = _TYPES[member.kind] if member.required else [_TYPES[member.kind], "null"]
    schema: Schema = {"type": kind, "description": member.description, "examples": [member.example]}
    if not member.required:
        schema["default"] = member.default
    bounds = {"minimum": member.minimum, "maximum": member.maximum, "maxLength": member.longest}
    return schema | {keyword: bound for keyword, bound in bounds.items() if bound is not None}


def filtering(attributes: Sequence[Attribute]) -> Schema:
    """A body that says by these attributes which resources are meant; null asks for nothing."""
    properties: Schema = {}
    for attribute in attributes:
        schema: Schema = {"type": ["string", "null"], "description": attribute.description}
        match attribute.kind:
            case "date":
                bound = {"type": ["string", "null"]}
                schema |= {
                    "type": ["object", "string", "null"],
                    "properties": dict.fromkeys(attribute.operators, bound),
                    "examples": [{"gte": "2026-03-26T17:00:00Z", "lte": "2026-03-26"}],
                }
            case "uuid":
                schema |= {"format": "uuid", "examples": [_ROOM_ID]}
            case "choice":
                schema |= {"enum": [*attribute.choices, None], "examples": [attribute.choices[-1]]}
            case _:
                schema |= {"examples": ["video.room.participant.joined,video.room.participant.left"]}
        properties[attribute.name] = schema
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _string(description: str, example: str | None, *, nullable: bool = False, **more: Any) -> Schema:
    kind: str | list[str] = ["string", "null"] if nullable else "string"
    return {"type": kind, "description": description, "examples": [example], **more}


def _uuid(description: str, example: str | None, *, nullable: bool = False) -> Schema:
    return _string(description, example, nullable=nullable, format="uuid")


def _instant(description: str, *, nullable: bool = False, example: str = "2026-03-26T17:51:59.588408Z") -> Schema:
    return _string(description, example, nullable=nullable, format="date-time")


def _constant(value: str) -> Schema:
    return {"type": "string", "const": value, "description": "What kind of resource this is.", "examples": [value]}


def _integer(description: str, example: int, **more: Any) -> Schema:
    return {"type": "integer", "description": description, "examples": [example], **more}


def _object(properties: Schema, *, optional: Sequence[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(name: str, description: str) -> Schema:
    return {"type": "array", "items": _ref(name), "description": description}


_ROOM_ID = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0"
_SESSION_ID = "7b61621f-62e0-4aad-ab11-9fd19e272e73"
_PARTICIPANT_ID = "5ccc7b54-4df3-4bca-a65a-35a1ecc777f5"
_EVENT_ID = "6b61621f-62e0-4aad-ab11-9fd19e272e73"
_NEVER_NULL = ("max_participants", "enable_recording", "webhook_event_failover_url")


def _setting(member: Member) -> Schema:
    schema = _member(member)
    del schema["default"]
    if member.name in _NEVER_NULL:
        schema["type"] = _TYPES[member.kind]
    return schema


ROOM = _object(
    {
        "id": _uuid("Identifies the room.", _ROOM_ID),
        **{member.name: _setting(member) for member in bodies.ROOM},
        "active_session_id": _uuid("The session that is going on, if any.", None, nullable=True),
        "video_codecs": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Codecs that participants may send.",
            "examples": [list(VIDEO_CODECS)],
        },
        "created_at": _instant("When the room was created."),
        "updated_at": _instant("When a setting last changed."),
        "record_type": _constant("room"),
        "sessions": _list("RoomSession", "The newest sessions, at most 250; only with include_sessions=true."),
    },
    optional=["sessions"],
)

SESSION = _object(
    {
        "id": _uuid("Identifies the session.", _SESSION_ID),
        "room_id": _uuid("The session's room.", _ROOM_ID),
        "active": {"type": "boolean", "description": "Whether it is going on.", "examples": [True]},
        "created_at": _instant("When the first participant was admitted."),
        "updated_at": _instant("When the session last changed."),
        "ended_at": _instant("When it ended; null while it is going on.", nullable=True),
        "record_type": _constant("room_session"),
        "participants": _list(
            "RoomParticipant", "The latest participants, at most 250; only with include_participants=true."
        ),
    },
    optional=["participants"],
)

PARTICIPANT = _object(
    {
        "id": _uuid("Identifies the participant; the client SDK knows it by the same id.", _PARTICIPANT_ID),
        "session_id": _uuid("The session joined.", _SESSION_ID),
        "context": _string("The text that the client gave at joining, unchanged.", "Alice", nullable=True),
        "joined_at": _instant("When the participant was admitted."),
        "updated_at": _instant("When the participant last changed."),
        "left_at": _instant("When the participant left; null while present.", nullable=True),
        "record_type": _constant("room_participant"),
    }
)

META = _object(
    {
        "total_pages": _integer("Pages that hold anything.", 3, minimum=0),
        "total_results": _integer("Results on all pages together.", 55, minimum=0),
        "page_number": _integer("This page, counted from 1.", 1, minimum=1),
        "page_size": _integer("How many results a page has at most.", 20, minimum=1, maximum=250),
    }
)

_TOKEN_EXPIRY = "2026-03-26T18:01:59Z"  # noqa: S105
_TOKEN = {
    "token": _string("The client token: a JWT, Ed25519.", "eyJhbGciOiJFZDI1NTE5Iiwi..."),
    "token_expires_at": _instant("When it expires, in whole seconds.", example=_TOKEN_EXPIRY),
}
REFRESHED_TOKEN = _object(dict(_TOKEN))
CREATED_TOKEN = _object(
    {
        **_TOKEN,
        "refresh_token": _string("Makes new client tokens until it expires.", "eyJhbGciOiJFZDI1NTE5Iiwi..."),
        "refresh_token_expires_at": _instant("When it expires, in whole seconds.", example="2026-03-26T18:51:59Z"),
        "record_type": _constant("client_token"),
        "recort_type": _constant("client_token") | {"description": "The same, as the hosted service spells it."},
    }
)

_HEADERS: Schema = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "string"}},
    "description": "Names and values.",
    "examples": [[["content-type", "application/json"]]],
}
WEBHOOK = _object(
    {
        "id": _uuid("Identifies the event; the same in every attempt and replay.", _EVENT_ID),
        "event_type": _string("What happened.", "video.room.participant.joined"),
        "occurred_at": _instant("When it happened."),
        "payload": {
            "type": "object",
            "description": "What there is to tell about it.",
            "examples": [
                {"session_id": _SESSION_ID, "room_id": _ROOM_ID, "participant_id": _PARTICIPANT_ID, "context": "Alice"}
            ],
        },
        "record_type": _constant("event"),
    }
)
WEBHOOK_REQUEST = _object({"url": _string("Where it went.", "https://example.com/events"), "headers": _HEADERS})
WEBHOOK_RESPONSE = _object(
    {
        "status": _integer("Of the HTTP answer.", 204),
        "headers": _HEADERS,
        "body": _string("How it begins, at most 2 kB.", ""),
    }
)
WEBHOOK_ATTEMPT = _object(
    {
        "number": _integer("Counts all requests of the delivery, from 1; `meta.attempt` in the webhook.", 1),
        "status": _string("What came of it.", "delivered", enum=["delivered", "failed"]),
        "started_at": _instant("When the request began."),
        "finished_at": _instant("When its answer was there, or it was given up."),
        "latency_ms": {"type": "number", "description": "Milliseconds between the two.", "examples": [12.4]},
        "http": _object(
            {
                "request": _ref("WebhookRequest"),
                "response": {
                    **WEBHOOK_RESPONSE,
                    "type": ["object", "null"],
                    "description": "Null when no status came.",
                    "examples": [{"status": 204, "headers": [["server", "nginx"]], "body": ""}],
                },
            }
        )
        | {"description": "Request and answer."},
        "errors": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Empty when delivered; else the status of the answer, or 0 when none came.",
            "examples": [[]],
        },
        "error": _string("Why it failed, as a sentence.", None, nullable=True),
    }
)
WEBHOOK_DELIVERY = _object(
    {
        "id": _uuid("Identifies the delivery.", "a1d3b1a6-1b3f-4f0e-8c27-0f5a2a3c9b11"),
        "user_id": _uuid("Your account.", "3f6d3fd0-8a0d-4c7e-9a53-5b8d6a2f7c10"),
        "status": _string(
            "`pending` while it is tried, then `delivered` or `failed`.",
            "delivered",
            enum=["pending", "delivered", "failed"],
        ),
        "webhook": _ref("Webhook"),
        "attempts": _list("WebhookAttempt", "The newest attempts, newest first: 250 of one delivery, 10 in a list."),
        "started_at": _instant("When it was first tried.", nullable=True),
        "finished_at": _instant("When it was delivered or given up.", nullable=True),
        "room_id": _uuid("The room that the event is about.", _ROOM_ID),
        "attempt_count": _integer("How many attempts there were in all.", 1, minimum=0),
        "next_attempt_at": _instant("When it is tried again; null once it is not.", nullable=True),
        "created_at": _instant("When the event was recorded."),
        "record_type": _constant("webhook_delivery"),
    }
)
REPLAYED = _object(
    {"webhook_deliveries": _integer("How many are being delivered once more.", 12, minimum=0)},
)
_KEY = "qGBpFIQZ7EzB7LrCzPqkPHXWOsIe2qHM4SFAsXCqcyQ="
PUBLIC_KEY = _object(
    {
        "public": _string("32 bytes in base64: what the official SDKs take as public key.", _KEY),
        "next": {
            **_object({"public": _string("The key to come.", _KEY), "active_from": _instant("When it begins.")}),
            "type": ["object", "null"],
            "description": "The key that signs from then on, while a rotation is under way.",
            "examples": [None],
        },
        "record_type": _constant("public_key"),
    }
)

ERROR = _object(
    {
        "code": _string("Number in the error catalogue.", "10033"),
        "title": _string("What the number means.", "Value outside of range"),
        "detail": _string("What is wrong with this request.", "The value is outside of allowed range 2 to 50"),
        "source": _object(
            {
                "pointer": _string("JSON pointer (RFC 6901) to the wrong member.", "/max_participants"),
                "parameter": _string("The wrong query parameter.", "page[size]"),
            },
            optional=["pointer", "parameter"],
        ),
        "meta": _object(
            {
                "url": _string(
                    "Where the catalogue explains it.", "https://developers.telnyx.com/docs/overview/errors/10033"
                )
            }
        ),
    },
    optional=["source"],
)
ERRORS = _object(
    {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": _ref("Error"),
            "description": "One entry for each thing that is wrong.",
        },
        "code": _string("The first error's code; only with 403 and 404.", "10005"),
        "title": _string("The first error's title; only with 403 and 404.", "Resource not found"),
        "detail": _string("The first error's detail; only with 403 and 404.", "The requested resource is not there."),
        "success": {"type": "boolean", "const": False, "description": "Only from lists and session actions."},
        "message": _string("The first error's detail; only from lists and session actions.", "Page is invalid."),
    },
    optional=["code", "title", "detail", "success", "message"],
)


def _item(name: str) -> Schema:
    return _object({"data": _ref(name)})


def _page(name: str) -> Schema:
    return _object({"data": {"type": "array", "items": _ref(name)}, "meta": _ref("PaginationMeta")})


RESOURCES: dict[str, Schema] = {
    "Room": ROOM,
    "RoomSession": SESSION,
    "RoomParticipant": PARTICIPANT,
    "CreatedClientToken": CREATED_TOKEN,
    "RefreshedClientToken": REFRESHED_TOKEN,
    "WebhookDelivery": WEBHOOK_DELIVERY,
    "WebhookAttempt": WEBHOOK_ATTEMPT,
    "WebhookRequest": WEBHOOK_REQUEST,
    "Webhook": WEBHOOK,
    "ReplayedWebhookDeliveries": REPLAYED,
    "PublicKey": PUBLIC_KEY,
    "PaginationMeta": META,
    "Error": ERROR,
    "Errors": ERRORS,
}
ANSWERS: dict[str, Schema] = {
    "Room": _item("Room"),
    "Rooms": _page("Room"),
    "RoomSession": _item("RoomSession"),
    "RoomSessions": _page("RoomSession"),
    "RoomParticipant": _item("RoomParticipant"),
    "RoomParticipants": _page("RoomParticipant"),
    "CreatedClientToken": _item("CreatedClientToken"),
    "RefreshedClientToken": _item("RefreshedClientToken"),
    "WebhookDelivery": _item("WebhookDelivery"),
    "WebhookDeliveries": _page("WebhookDelivery"),
    "ReplayedWebhookDeliveries": _item("ReplayedWebhookDeliveries"),
    "PublicKey": _item("PublicKey"),
}
