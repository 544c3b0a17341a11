"""JSON Schemas (2020-12) of all answers of the API, and of bodies from their members."""

from collections.abc import Sequence

from portico.api import bodies
from portico.api.recording_schemas import COMPOSITION, DELETED_RECORDINGS, RECORDING, REGION
from portico.api.schema_parts import (
    EVENT_ID,
    PARTICIPANT_ID,
    ROOM_ID,
    SESSION_ID,
    TYPES,
    Schema,
    body,
    constant,
    instant,
    integer,
    list_of,
    member_schema,
    object_of,
    reference,
    string,
    uuid,
)
from portico.core.casting import BodyMember
from portico.core.filters import Attribute
from portico.core.model import VIDEO_CODECS
from portico.core.targets import IDS_MAX


def acting(members: Sequence[BodyMember]) -> Schema:
    """The schema of a body with the participants of an action, and these members."""
    ids = {"type": "array", "items": {"type": "string", "format": "uuid"}, "maxItems": IDS_MAX}
    chosen: Schema = {
        "participants": {
            "anyOf": [{"type": "string", "const": "all"}, ids],
            "description": "`all`, or ids of participants; ids of participants who are not in the session are ignored.",
            "examples": ["all"],
        },
        "exclude": {
            "anyOf": [ids, {"type": "null"}],
            "description": "Ids of participants that the action leaves out.",
            "examples": [[PARTICIPANT_ID]],
        },
    }
    schema = body(members)
    return {**schema, "properties": chosen | schema["properties"], "required": ["participants"]}


def filtering(attributes: Sequence[Attribute]) -> Schema:
    """The schema of a body that chooses resources by these attributes; null chooses all."""
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
                schema |= {"format": "uuid", "examples": [ROOM_ID]}
            case "choice":
                schema |= {"enum": [*attribute.choices, None], "examples": [attribute.choices[-1]]}
            case _:
                schema |= {"examples": ["video.room.participant.joined,video.room.participant.left"]}
        properties[attribute.name] = schema
    return {"type": "object", "properties": properties, "additionalProperties": False}


_NEVER_NULL = ("max_participants", "enable_recording", "webhook_event_failover_url")


def _setting(member: BodyMember) -> Schema:
    schema = member_schema(member)
    del schema["default"]
    if member.name in _NEVER_NULL:
        schema["type"] = TYPES[member.kind]
    return schema


ROOM = object_of(
    {
        "id": uuid("Identifies the room.", ROOM_ID),
        **{member.name: _setting(member) for member in bodies.ROOM},
        "active_session_id": uuid("The session that is going on, if any.", None, nullable=True),
        "video_codecs": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Codecs that participants may send.",
            "examples": [list(VIDEO_CODECS)],
        },
        "created_at": instant("When the room was created."),
        "updated_at": instant("When a setting last changed."),
        "record_type": constant("room"),
        "sessions": list_of("RoomSession", "The newest sessions, at most 250; only with include_sessions=true."),
    },
    optional=["sessions"],
)

SESSION = object_of(
    {
        "id": uuid("Identifies the session.", SESSION_ID),
        "room_id": uuid("The session's room.", ROOM_ID),
        "active": {"type": "boolean", "description": "Whether it is going on.", "examples": [True]},
        "created_at": instant("When the first participant was admitted."),
        "updated_at": instant("When the session last changed."),
        "ended_at": instant("When it ended; null while it is going on.", nullable=True),
        "record_type": constant("room_session"),
        "participants": list_of(
            "RoomParticipant", "The latest participants, at most 250; only with include_participants=true."
        ),
    },
    optional=["participants"],
)

PARTICIPANT = object_of(
    {
        "id": uuid("Identifies the participant; the client SDK knows it by the same id.", PARTICIPANT_ID),
        "session_id": uuid("The session joined.", SESSION_ID),
        "context": string("The text that the client gave at joining, unchanged.", "Alice", nullable=True),
        "joined_at": instant("When the participant was admitted."),
        "updated_at": instant("When the participant last changed."),
        "left_at": instant("When the participant left; null while present.", nullable=True),
        "label": string("The name that the token gives to its holder; only where it has one.", "user-4711"),
        "record_type": constant("room_participant"),
    },
    optional=["label"],
)

META = object_of(
    {
        "total_pages": integer("Pages that hold any result.", 3, minimum=0),
        "total_results": integer("Results on all pages together.", 55, minimum=0),
        "page_number": integer("This page, counted from 1.", 1, minimum=1),
        "page_size": integer("How many results a page has at most.", 20, minimum=1, maximum=250),
    }
)

_TOKEN_EXPIRY = "2026-03-26T18:01:59Z"  # noqa: S105
_TOKEN = {
    "token": string("The client token: a JWT, Ed25519.", "eyJhbGciOiJFZDI1NTE5Iiwi..."),
    "token_expires_at": instant("When it expires, in whole seconds.", example=_TOKEN_EXPIRY),
}
REFRESHED_TOKEN = object_of(dict(_TOKEN))
CREATED_TOKEN = object_of(
    {
        **_TOKEN,
        "refresh_token": string("Makes new client tokens until it expires.", "eyJhbGciOiJFZDI1NTE5Iiwi..."),
        "refresh_token_expires_at": instant("When it expires, in whole seconds.", example="2026-03-26T18:51:59Z"),
        "record_type": constant("client_token"),
        "recort_type": constant("client_token") | {"description": "The same, as the hosted service spells it."},
    }
)

_MEETING = "https://video.example.com/meet/0ccc7b54-4df3-4bca-a65a-35a1ecc777f0#kq3T0bJr8mXw5sVnZc1yLg"
MEETING_LINK = object_of({"meeting_link": string("The only link of the room that is valid.", _MEETING)})
ACTION_RESULT = object_of({"result": {"type": "string", "const": "ok", "description": "Done.", "examples": ["ok"]}})

_HEADERS: Schema = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "string"}},
    "description": "Names and values.",
    "examples": [[["content-type", "application/json"]]],
}
WEBHOOK = object_of(
    {
        "id": uuid("Identifies the event; the same in every attempt and replay.", EVENT_ID),
        "event_type": string("What happened.", "video.room.participant.joined"),
        "occurred_at": instant("When it happened."),
        "payload": {
            "type": "object",
            "description": "The members of the event.",
            "examples": [
                {"session_id": SESSION_ID, "room_id": ROOM_ID, "participant_id": PARTICIPANT_ID, "context": "Alice"}
            ],
        },
        "record_type": constant("event"),
    }
)
WEBHOOK_REQUEST = object_of({"url": string("Where it went.", "https://example.com/events"), "headers": _HEADERS})
WEBHOOK_RESPONSE = object_of(
    {
        "status": integer("Of the HTTP answer.", 204),
        "headers": _HEADERS,
        "body": string("How it begins, at most 2 kB.", ""),
    }
)
WEBHOOK_ATTEMPT = object_of(
    {
        "number": integer("Counts all requests of the delivery, from 1; `meta.attempt` in the webhook.", 1),
        "status": string("Whether the receiver accepted it.", "delivered", enum=["delivered", "failed"]),
        "started_at": instant("When the request began."),
        "finished_at": instant("When its answer was there, or it was given up."),
        "latency_ms": {"type": "number", "description": "Milliseconds between the two.", "examples": [12.4]},
        "http": object_of(
            {
                "request": reference("WebhookRequest"),
                "response": {
                    **WEBHOOK_RESPONSE,
                    "type": ["object", "null"],
                    "description": "Null when there was no status.",
                    "examples": [{"status": 204, "headers": [["server", "nginx"]], "body": ""}],
                },
            }
        )
        | {"description": "Request and answer."},
        "errors": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Empty when delivered; else the status of the answer, or 0 when there was none.",
            "examples": [[]],
        },
        "error": string("Why it failed, as a sentence.", None, nullable=True),
    }
)
WEBHOOK_DELIVERY = object_of(
    {
        "id": uuid("Identifies the delivery.", "a1d3b1a6-1b3f-4f0e-8c27-0f5a2a3c9b11"),
        "user_id": uuid("Your account.", "3f6d3fd0-8a0d-4c7e-9a53-5b8d6a2f7c10"),
        "status": string(
            "`delivered` or `failed`; null while it is tried, because the official SDKs know no other words.",
            "delivered",
            nullable=True,
            enum=["delivered", "failed", None],
        ),
        "webhook": reference("Webhook"),
        "attempts": list_of("WebhookAttempt", "The newest attempts, newest first: 250 of one delivery, 10 in a list."),
        "started_at": instant("When it was first tried.", nullable=True),
        "finished_at": instant("When it was delivered or given up.", nullable=True),
        "room_id": uuid("The room that the event is about.", ROOM_ID),
        "attempt_count": integer("How many attempts there were in all.", 1, minimum=0),
        "next_attempt_at": instant("When it is tried again; null once it is not.", nullable=True),
        "created_at": instant("When the event was recorded."),
        "record_type": constant("webhook_delivery"),
    }
)
REPLAYED = object_of(
    {"webhook_deliveries": integer("How many are being delivered once more.", 12, minimum=0)},
)
_KEY = "qGBpFIQZ7EzB7LrCzPqkPHXWOsIe2qHM4SFAsXCqcyQ="
PUBLIC_KEY = object_of(
    {
        "public": string("32 bytes in base64: what the official SDKs take as public key.", _KEY),
        "next": {
            **object_of({"public": string("The key to come.", _KEY), "active_from": instant("When it begins.")}),
            "type": ["object", "null"],
            "description": "The key that signs from then on, while a rotation is under way.",
            "examples": [None],
        },
        "record_type": constant("public_key"),
    }
)

AUDIT_EVENT = object_of(
    {
        "id": uuid("Identifies the entry.", EVENT_ID),
        "key_id": uuid("The API key that was used; null: it was done on the command line.", EVENT_ID)
        | {"type": ["string", "null"]},
        "operation": string("The operation's id in this document, or the command.", "UpdateRoom"),
        "object_id": string("What was changed; null where it was many.", ROOM_ID, nullable=True),
        "detail": string("More about it.", "deleted: 12", nullable=True),
        "request_id": string(
            "The `x-request-id` of the answer.", "8801d675-f5e1-449d-ad82-d5c3c56fea25", nullable=True
        ),
        "created_at": instant("When it was done."),
        "record_type": constant("audit_event"),
    }
)

MEDIA_NODE = object_of(
    {
        "id": string("Identifies the node.", "6b1f0d9a3c5e7f21"),
        "url": string("Where servers reach its Janus.", "ws://10.0.0.5:8188"),
        "version": string("The version of its Janus.", "1.4.1", nullable=True),
        "state": string("Whether it takes rooms.", "active", enum=["active", "draining", "removed"]),
        "is_up": {"type": "boolean", "description": "False once its Janus or its agent is lost.", "examples": [True]},
        "participants": integer("Participants on it at its last beat.", 12),
        "cpu": {"type": "number", "description": "Load average of a minute for each core.", "examples": [0.4]},
        "packets": integer("UDP packets per second of the machine, in and out.", 5200),
        "shortage": string("What another participant would lack; null: nothing.", None, nullable=True),
        "recording_paused": {
            "type": "boolean",
            "description": "Whether its disk has no room for recordings.",
            "examples": [False],
        },
        "seen_at": instant("Its last beat."),
        "lost_at": instant("Since when it is not up; null while it is.", nullable=True),
        "record_type": constant("media_node"),
    }
)

ERROR = object_of(
    {
        "code": string("Number in the error catalogue.", "10033"),
        "title": string("What the number means.", "Value outside of range"),
        "detail": string("What is wrong with this request.", "The value is outside of allowed range 2 to 50"),
        "source": object_of(
            {
                "pointer": string("JSON pointer (RFC 6901) to the wrong member.", "/max_participants"),
                "parameter": string("The wrong query parameter.", "page[size]"),
            },
            optional=["pointer", "parameter"],
        ),
        "meta": object_of(
            {
                "url": string(
                    "Where the catalogue explains it.", "https://developers.telnyx.com/docs/overview/errors/10033"
                )
            }
        ),
    },
    optional=["source"],
)
ERRORS = object_of(
    {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": reference("Error"),
            "description": "One entry for each thing that is wrong.",
        },
        "code": string("The first error's code; only with 403 and 404.", "10005"),
        "title": string("The first error's title; only with 403 and 404.", "Resource not found"),
        "detail": string("The first error's detail; only with 403 and 404.", "The requested resource is not there."),
        "success": {"type": "boolean", "const": False, "description": "Only from lists and session actions."},
        "message": string("The first error's detail; only from lists and session actions.", "Page is invalid."),
    },
    optional=["code", "title", "detail", "success", "message"],
)


def _item(name: str) -> Schema:
    return object_of({"data": reference(name)})


def _page(name: str) -> Schema:
    return object_of({"data": {"type": "array", "items": reference(name)}, "meta": reference("PaginationMeta")})


RESOURCES: dict[str, Schema] = {
    "Room": ROOM,
    "RoomSession": SESSION,
    "RoomParticipant": PARTICIPANT,
    "CreatedClientToken": CREATED_TOKEN,
    "RefreshedClientToken": REFRESHED_TOKEN,
    "MeetingLink": MEETING_LINK,
    "RoomRecording": RECORDING,
    "DeletedRoomRecordings": DELETED_RECORDINGS,
    "RoomComposition": COMPOSITION,
    "VideoRegion": REGION,
    "WebhookDelivery": WEBHOOK_DELIVERY,
    "WebhookAttempt": WEBHOOK_ATTEMPT,
    "WebhookRequest": WEBHOOK_REQUEST,
    "Webhook": WEBHOOK,
    "ReplayedWebhookDeliveries": REPLAYED,
    "PublicKey": PUBLIC_KEY,
    "AuditEvent": AUDIT_EVENT,
    "MediaNode": MEDIA_NODE,
    "PaginationMeta": META,
    "ActionResult": ACTION_RESULT,
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
    "MeetingLink": _item("MeetingLink"),
    "ActionResult": _item("ActionResult"),
    "RoomRecording": _item("RoomRecording"),
    "RoomRecordings": _page("RoomRecording"),
    "DeletedRoomRecordings": _item("DeletedRoomRecordings"),
    "RoomComposition": _item("RoomComposition"),
    "RoomCompositions": _page("RoomComposition"),
    "WebhookDelivery": _item("WebhookDelivery"),
    "WebhookDeliveries": _page("WebhookDelivery"),
    "ReplayedWebhookDeliveries": _item("ReplayedWebhookDeliveries"),
    "PublicKey": _item("PublicKey"),
    "AuditEvents": _page("AuditEvent"),
    "MediaNode": _item("MediaNode"),
    "MediaNodes": _page("MediaNode"),
}
