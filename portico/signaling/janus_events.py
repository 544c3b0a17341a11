"""Events of Janus' event handler, parsed into types. Only those that the gateway acts on are kept.

Source: the page "Event Handlers" of the Janus manual, and the plugins' source in 1.1.2 and 1.4.1.
"""

from dataclasses import dataclass
from typing import Any

from portico.signaling.control import AUDIOBRIDGE, TEXTROOM

_PLUGIN_EVENT = 64
"""The `type` of an event that a plugin reports."""
_ENDS = ("left", "kicked")


@dataclass(frozen=True, slots=True)
class TextJoined:
    """A handle joined a TextRoom over its data channel. `owner` is the handle's opaque_id, None without one."""

    owner: str | None
    room: int
    username: str


@dataclass(frozen=True, slots=True)
class BridgeLeft:
    """The member with this id is no longer in the AudioBridge room. Janus does not report its handle."""

    room: int
    member: int


JanusEvent = TextJoined | BridgeLeft


def parse(frame: object) -> list[JanusEvent]:
    """The events of one decoded frame, which holds one event or a list. Malformed events are left out."""
    reports = frame if isinstance(frame, list) else [frame]
    events = [_event(report) for report in reports if isinstance(report, dict)]
    return [event for event in events if event is not None]


def _event(report: dict[str, Any]) -> JanusEvent | None:
    if report.get("type") != _PLUGIN_EVENT:
        return None
    match report.get("event"):
        case {"plugin": plugin, "data": {"event": "join", "room": int(room), "username": str(username)}} if (
            plugin == TEXTROOM
        ):
            owner = report.get("opaque_id")
            return TextJoined(owner if isinstance(owner, str) else None, room, username)
        case {"plugin": plugin, "data": {"event": event, "room": int(room), "id": int(member)}} if (
            plugin == AUDIOBRIDGE and event in _ENDS
        ):
            return BridgeLeft(room, member)
    return None
