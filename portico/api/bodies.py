"""Reads request bodies with a limit and a deadline, parses them as JSON, and lists the members of each body."""

import asyncio
import json
from typing import NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request

from portico.core.casting import BodyMember
from portico.core.model import RoomSettings
from portico.core.tokens import ALL_PERMISSIONS
from portico.services.tokens import (
    REFRESH_TOKEN_TTL_MAX_SECS,
    REFRESH_TOKEN_TTL_SECS,
    TOKEN_TTL_MAX_SECS,
    TOKEN_TTL_SECS,
)

BODY_BYTES_MAX = 1_000_000
BODY_DEADLINE_SECS = 30
_DIGITS_MAX = 40
_DEFAULT = RoomSettings()

ROOM = (
    BodyMember(
        "unique_name",
        "string",
        "A name that no other room of the account has. An empty string means no name.",
        _DEFAULT.unique_name,
        longest=255,
        example="Stand-up",
    ),
    BodyMember(
        "max_participants",
        "integer",
        "How many participants may be in the room at once; further ones are refused.",
        _DEFAULT.max_participants,
        minimum=2,
        maximum=50,
        example=10,
    ),
    BodyMember(
        "enable_recording",
        "boolean",
        "Whether sessions that begin from now on are recorded.",
        _DEFAULT.enable_recording,
        example=False,
    ),
    BodyMember(
        "webhook_event_url",
        "url",
        "Where the room's events are delivered: http or https, without user name and password.",
        _DEFAULT.webhook_event_url,
        longest=2000,
        example="https://example.com/events",
    ),
    BodyMember(
        "webhook_event_failover_url",
        "url",
        "Where an event goes when its delivery to the first URL fails.",
        _DEFAULT.webhook_event_failover_url,
        longest=2000,
        example="https://failover.example.com/events",
    ),
    BodyMember(
        "webhook_timeout_secs",
        "integer",
        "Seconds that a receiver has to answer; null and 0 mean two.",
        _DEFAULT.webhook_timeout_secs,
        minimum=0,
        maximum=30,
        example=20,
    ),
)

_TOKEN_TTL = BodyMember(
    "token_ttl_secs",
    "integer",
    "Seconds until the client token expires.",
    TOKEN_TTL_SECS,
    minimum=10,
    maximum=TOKEN_TTL_MAX_SECS,
    example=600,
)
GENERATE = (
    _TOKEN_TTL,
    BodyMember(
        "refresh_token_ttl_secs",
        "integer",
        "Seconds until the refresh token expires.",
        REFRESH_TOKEN_TTL_SECS,
        minimum=60,
        maximum=REFRESH_TOKEN_TTL_MAX_SECS,
        example=3600,
    ),
)
PERMISSIONS = (
    BodyMember(
        "participant",
        "string",
        "A name for the holder of the token; the participant that joins with it has it as label.",
        ALL_PERMISSIONS.participant,
        longest=255,
        example="user-4711",
    ),
    BodyMember(
        "can_publish",
        "boolean",
        "Whether the holder may publish audio and video.",
        ALL_PERMISSIONS.can_publish,
        example=True,
    ),
    BodyMember(
        "can_subscribe",
        "boolean",
        "Whether the holder receives the audio and video of others.",
        ALL_PERMISSIONS.can_subscribe,
        example=True,
    ),
    BodyMember(
        "can_send_messages",
        "boolean",
        "Whether the holder takes part in the room's messages; without it none are received either.",
        ALL_PERMISSIONS.can_send_messages,
        example=True,
    ),
)
REVOKE = BodyMember(
    "revoke",
    "boolean",
    "Whether the tokens of the kicked participants are void from now on, refreshed ones included.",
    default=False,
    example=False,
)
KEEP_RECORDINGS = BodyMember(
    "keep_recordings",
    "boolean",
    "Whether the participant's recordings and the session's compositions stay.",
    default=False,
    example=False,
)
REFRESH = (
    _TOKEN_TTL,
    BodyMember(
        "refresh_token",
        "string",
        "The refresh token that generate_join_client_token gave. It may be used again until it expires.",
        required=True,
        example="eyJhbGciOiJFZDI1NTE5Iiwi...",
    ),
)

MEDIA_NODE = (
    BodyMember("node_id", "string", "The media node's id.", required=True, longest=64, example="6b1f0d9a3c5e7f21"),
)


def parse(raw: bytes) -> object:
    """The JSON value of a body; an empty body is an empty object. ValueError with a sentence for what is not JSON."""
    if not raw:
        return {}
    try:
        # RFC 8259 lets a reader ignore a byte order mark, which programs on Windows write.
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_int=_integer)
    except RecursionError:
        raise ValueError("The request body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise ValueError("The request body should be UTF-8.") from None
    except ValueError:
        raise ValueError("The request body should be JSON.") from None


async def read(request: Request) -> object:
    """The JSON value of the request's body. Raises HTTPException: 400, 408, 413 or 415."""
    raw = await _read(request)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and content_type and content_type != "application/json" and not content_type.endswith("+json"):
        raise HTTPException(415, "The Content-Type of the request body should be application/json.")
    try:
        return parse(raw)
    except ValueError as error:
        raise HTTPException(400, str(error)) from error


async def _read(request: Request) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > BODY_BYTES_MAX:
        _refuse_size()
    chunks = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE_SECS):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > BODY_BYTES_MAX:
                    _refuse_size()
    except TimeoutError:
        raise HTTPException(408, f"The request body did not arrive within {BODY_DEADLINE_SECS} seconds.") from None
    return bytes(chunks)


def _refuse_size() -> NoReturn:
    raise HTTPException(413, f"The request body should have at most {BODY_BYTES_MAX} bytes.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    # Python refuses to convert thousands of digits; a value of this many is out of range for every member.
    return int(digits[:_DIGITS_MAX])
