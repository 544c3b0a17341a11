"""The keys of recordings and compositions in the object store, and what can be read from a key."""

import re

from portico.core.casting import UUID

CONTENT_TYPES = {"ogg": "audio/ogg", "webm": "video/webm", "mp4": "video/mp4"}
"""By extension: Opus is stored in Ogg, VP8 and VP9 in WebM, H.264 in MP4."""
_RECORDING = re.compile(rf"recordings/{UUID}/({UUID})\.({'|'.join(CONTENT_TYPES)})")
_COMPOSITION = re.compile(rf"compositions/({UUID})\.(mp4)")


def recording_key(session_id: str, recording_id: str, extension: str) -> str:
    """The key of a recording's file; `extension` without its dot."""
    return f"recordings/{session_id}/{recording_id}.{extension}"


def composition_key(composition_id: str) -> str:
    """The key of a composition's file."""
    return f"compositions/{composition_id}.mp4"


def recording_of(key: str) -> str | None:
    """The id of the recording with this key; None of any other key."""
    match = _RECORDING.fullmatch(key)
    return match[1] if match else None


def composition_of(key: str) -> str | None:
    """The id of the composition with this key; None of any other key."""
    match = _COMPOSITION.fullmatch(key)
    return match[1] if match else None


def content_type(key: str) -> str:
    """The media type of an object; application/octet-stream where the extension is unknown."""
    return CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")
