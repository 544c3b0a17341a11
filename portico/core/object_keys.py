"""What the finished files are called in the store, and what their names tell."""

import re

from portico.core.casting import UUID

CONTENT_TYPES = {"ogg": "audio/ogg", "webm": "video/webm", "mp4": "video/mp4"}
"""Opus comes in Ogg, VP8 and VP9 in WebM, H.264 in MP4."""
_RECORDING = re.compile(rf"recordings/{UUID}/({UUID})\.({'|'.join(CONTENT_TYPES)})")
_COMPOSITION = re.compile(rf"compositions/({UUID})\.(mp4)")


def recording_key(session_id: str, recording_id: str, extension: str) -> str:
    """Where a recording's file goes; `extension` without its dot."""
    return f"recordings/{session_id}/{recording_id}.{extension}"


def composition_key(composition_id: str) -> str:
    """Where a composition's film goes."""
    return f"compositions/{composition_id}.mp4"


def recording_of(key: str) -> str | None:
    """The id of the recording whose file this is, if it is one's."""
    match = _RECORDING.fullmatch(key)
    return match[1] if match else None


def composition_of(key: str) -> str | None:
    """The id of the composition whose film this is, if it is one's."""
    match = _COMPOSITION.fullmatch(key)
    return match[1] if match else None


def content_type(key: str) -> str:
    """The media type of an object; of what is not ours, the one that promises nothing."""
    return CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")
