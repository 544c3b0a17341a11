"""JSON Schemas of recordings and compositions, and of the body that asks for one."""

from portico.api.schema_parts import (
    COMPOSITION_ID,
    PARTICIPANT_ID,
    RECORDING_ID,
    ROOM_ID,
    SESSION_ID,
    Schema,
    body,
    constant,
    instant,
    integer,
    member_schema,
    object_of,
    reference,
    string,
    uuid,
)
from portico.core import composition_request
from portico.core.casting import BodyMember


def _file(seconds: int) -> Schema:
    """The members of a finished file; `seconds` is the example of its duration."""
    return {
        "size_mb": {"type": ["number", "null"], "description": "Millions of bytes.", "examples": [5.6]},
        "duration_secs": integer("Whole seconds.", seconds) | {"type": ["integer", "null"]},
        "download_url": string(
            "Downloads the file, for an hour from now, without a key; null until it is there.",
            "https://portico.example.com/files/...",
            nullable=True,
        ),
    }


RECORDING = object_of(
    {
        "id": uuid("Identifies the recording.", RECORDING_ID),
        "room_id": uuid("The recording's room.", ROOM_ID),
        "session_id": uuid("The recording's session.", SESSION_ID),
        "participant_id": uuid("The recorded participant.", PARTICIPANT_ID),
        "status": string("`completed` once its file is there.", "completed", enum=["processing", "completed"]),
        "type": string("Every track has a recording of its own.", "video", enum=["audio", "video"]),
        "codec": string("What the file holds; null until it is there.", "vp8", nullable=True),
        **_file(3660),
        "started_at": instant("When the first media arrived."),
        "ended_at": instant("When the last media arrived; null while it goes on.", nullable=True),
        "completed_at": instant("When the file was there.", nullable=True),
        "created_at": instant("When the recording was first seen."),
        "updated_at": instant("When it last changed."),
        "record_type": constant("room_recording"),
    }
)
DELETED_RECORDINGS = object_of({"room_recordings": integer("How many were deleted.", 4, minimum=0)})

_AUDIO = {"description": '`["*"]` for all sound of the session, null for none.', "examples": [["*"]]}
_SOURCES = {
    "type": "array",
    "items": {"type": "string"},
    "description": 'Ids of video recordings of the session, or `["*"]` for all.',
    "examples": [["*"]],
}
_LAYOUT = {
    "type": "object",
    "description": "Regions of the picture by name; of equal `z_pos` the later one lies on top.",
    "examples": [
        {
            "main": {"width": 1280, "height": 720, "video_sources": ["*"]},
            "corner": {"x_pos": 940, "y_pos": 520, "z_pos": 1, "width": 320, "height": 180}
            | {"video_sources": [RECORDING_ID]},
        }
    ],
}


def _region_member(member: BodyMember) -> Schema:
    schema = member_schema(member)
    del schema["default"]
    return schema if member.name in ("max_columns", "max_rows") else schema | {"type": "integer"}


REGION = object_of(
    {member.name: _region_member(member) for member in composition_request.REGION} | {"video_sources": _SOURCES}
)
COMPOSITION = object_of(
    {
        "id": uuid("Identifies the composition.", COMPOSITION_ID),
        "room_id": uuid("The composition's room.", ROOM_ID),
        "session_id": uuid("The composition's session.", SESSION_ID),
        "user_id": uuid("Your account.", "3f6d3fd0-8a0d-4c7e-9a53-5b8d6a2f7c10"),
        "status": string(
            "`enqueued` until the session is over and its recordings are completed, then `processing`, "
            "then `completed`; null when it failed, because the official SDKs know no other words.",
            "completed",
            nullable=True,
            enum=["enqueued", "processing", "completed", None],
        ),
        "progress": {
            "type": "number",
            "description": "How much of the composition is made, 0 to 1.",
            "examples": [1.0],
        },
        "failure": string("Why it failed, as a sentence; null unless it did.", None, nullable=True),
        "format": constant("mp4") | {"description": "The kind of file."},
        "resolution": string("Width and height of the picture.", "1280x720"),
        "video_layout": _LAYOUT | {"additionalProperties": reference("VideoRegion")},
        "audio_sources": {"type": ["array", "null"], "items": {"type": "string"}, **_AUDIO},
        "show_placeholders": {
            "type": "boolean",
            "description": "Whether a tile with the participant's name stands where a camera is switched off.",
            "examples": [False],
        },
        **_file(84),
        "started_at": instant("The beginning of the first recording in it.", nullable=True),
        "ended_at": instant("The end of the last recording in it.", nullable=True),
        "completed_at": instant("When the file was there.", nullable=True),
        "created_at": instant("When it was requested."),
        "updated_at": instant("When it last changed."),
        "webhook_event_url": string("Where its event goes.", "https://example.com/events", nullable=True),
        "webhook_event_failover_url": string("Where it goes when that fails.", ""),
        "webhook_timeout_secs": integer("Seconds that a receiver has.", 20) | {"type": ["integer", "null"]},
        "record_type": constant("room_composition"),
    }
)


def _composition_request() -> Schema:
    plain = body(
        (composition_request.SESSION, composition_request.FORMAT_MEMBER, composition_request.RESOLUTION_MEMBER)
    )
    region = body(composition_request.REGION)
    region["properties"]["video_sources"] = {
        **_SOURCES,
        "type": ["array", "string"],
        "maxItems": composition_request.SOURCES_MAX,
    }
    special = {
        "video_layout": {
            **_LAYOUT,
            "type": ["object", "null"],
            "minProperties": 1,
            "additionalProperties": {**region, "required": ["video_sources"]},
        },
        "audio_sources": {"type": ["array", "string", "null"], "items": {"type": "string"}, **_AUDIO},
    }
    properties = plain["properties"] | special | body(composition_request.PLAIN)["properties"]
    return plain | {"properties": properties}


COMPOSITION_REQUEST = _composition_request()
