"""A sample of each event with all its members, to test a receiver without a call."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args

from portico.core.events import Event

_KINDS: dict[str, type[Event]] = {kind.event_type: kind for kind in get_args(Event)}
EVENT_TYPES = tuple(_KINDS)
_VALUES: dict[str, Any] = {
    "codec": "opus",
    "context": '{"username":"Alice"}',
    "download_url": "https://example.com/recording.ogg",
    "duration_secs": 235,
    "ended_reason": "stale",
    "failure": "The file of a recording is missing.",
    "format": "mp4",
    "left_reason": "left",
    "resolution": "1280x720",
    "size_mb": 5.6,
    "type": "audio",
}


def sample(event_type: str, new_id: Callable[[], str]) -> Event:
    """A sample event of one of EVENT_TYPES; its ids are new and belong to nothing."""
    kind = _KINDS[event_type]
    members: dict[str, Any] = {
        field.name: new_id() if field.name.endswith("_id") else _VALUES[field.name] for field in fields(kind)
    }
    return kind(**members)
