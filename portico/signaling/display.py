"""The `display` text of a browser's join requests: base64 of a small JSON object, in three forms.

All other browsers of the room parse it, and break on a malformed one. So it is parsed here, and written again with only
the members that the SDK knows, each with the type that the SDK expects.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from portico.core.casting import UUID

DISPLAY_LENGTH_MAX = 32_768
"""Characters of base64. Most of them are the application's context."""
CONTEXT_BYTES_MAX = 4096
"""Bytes of the context in UTF-8. All browsers in the room receive it, and lists of participants show it."""
STREAM_KEY_LENGTH_MAX = 256
_UUID = re.compile(UUID)


class MalformedDisplay(Exception):
    """A display that no SDK sends. str() says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ParticipantDisplay:
    """The display that announces a participant. `external` is the context that the application gave."""

    participant_id: str
    external: str | None
    can_receive_messages: bool | None


@dataclass(frozen=True, slots=True)
class StreamDisplay:
    """The display that announces one stream of a participant, with the tracks that are enabled."""

    participant_id: str
    stream_id: str
    key: str
    audio_enabled: bool
    video_enabled: bool


@dataclass(frozen=True, slots=True)
class ListenerDisplay:
    """The display of a handle that receives announcements of streams, with its participant."""

    participant_id: str


Display = ParticipantDisplay | StreamDisplay | ListenerDisplay


def parse(text: object) -> Display:
    """Read a display; raises MalformedDisplay."""
    members = _decode(text)
    participant_id = _uuid(members, "participantId")
    if "stream" in members:
        return _stream(participant_id, members["stream"])
    external, receives = members.get("external"), members.get("canReceiveMessages")
    if external is not None or receives is not None:  # null is as good as absent: `encode` writes neither
        if not isinstance(external, str | None) or not isinstance(receives, bool | None):
            raise MalformedDisplay("external must be a text and canReceiveMessages true or false")
        if external is not None and "\0" in external:
            raise MalformedDisplay("the context must not contain a NUL character")
        if external is not None and len(external.encode(errors="replace")) > CONTEXT_BYTES_MAX:
            raise MalformedDisplay(f"the context must have at most {CONTEXT_BYTES_MAX} bytes")
        return ParticipantDisplay(participant_id, external, receives)
    return ListenerDisplay(participant_id)


def encode(display: Display) -> str:
    """The text of a display, with its members in the SDK's order."""
    members: dict[str, Any] = {"participantId": display.participant_id}
    match display:
        case ParticipantDisplay(_, external, receives):
            if external is not None:
                members["external"] = external
            if receives is not None:
                members["canReceiveMessages"] = receives
        case StreamDisplay():
            members["stream"] = {
                "id": display.stream_id,
                "key": display.key,
                "isAudioEnabled": display.audio_enabled,
                "isVideoEnabled": display.video_enabled,
            }
        case ListenerDisplay():
            pass
    return base64.b64encode(msgspec.json.encode(members)).decode()


def _decode(text: object) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > DISPLAY_LENGTH_MAX:
        raise MalformedDisplay(f"display must be a text of at most {DISPLAY_LENGTH_MAX} characters")
    try:
        members = msgspec.json.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise MalformedDisplay("display must be base64 of a JSON object") from None
    if not isinstance(members, dict):
        raise MalformedDisplay("display must be base64 of a JSON object")
    return members


def _uuid(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise MalformedDisplay(f"{name} must be a UUID in lower case")
    return value


def _stream(participant_id: str, members: object) -> StreamDisplay:
    if not isinstance(members, dict):
        raise MalformedDisplay("stream must be an object")
    key = members.get("key")
    if not isinstance(key, str) or not 1 <= len(key) <= STREAM_KEY_LENGTH_MAX:
        raise MalformedDisplay(f"stream.key must be a text of at most {STREAM_KEY_LENGTH_MAX} characters")
    if "\0" in key:
        raise MalformedDisplay("stream.key must not contain a NUL character")
    enabled = members.get("isAudioEnabled"), members.get("isVideoEnabled")
    match enabled:
        case (bool(audio), bool(video)):
            return StreamDisplay(participant_id, _uuid(members, "id"), key, audio, video)
    raise MalformedDisplay("stream.isAudioEnabled and stream.isVideoEnabled must be true or false")
