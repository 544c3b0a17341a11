"""Groups participants whose connections a stopping server closes, so that they join another one in turn. Pure."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

GROUP = 20
"""Participants who join another server at the same time, if no room has more."""
PAUSE_SECS = 0.25
"""The pause between two groups. It is shorter if all groups would take more than LONGEST_SECS."""
LONGEST_SECS = 20.0


def groups(rooms: Mapping[T, int]) -> list[list[T]]:
    """Rooms in groups of at most GROUP participants; `rooms` has the number of each.

    The participants of one room are in one group: apart, they would see each other leave and come back.
    """
    found: list[list[T]] = []
    size = GROUP
    for room, participants in sorted(rooms.items(), key=lambda item: item[1]):
        if size + participants > GROUP:
            found.append([])
            size = 0
        found[-1].append(room)
        size += participants
    return found


def pause(number: int) -> float:
    """The seconds between two groups, if there are `number` groups."""
    return min(PAUSE_SECS, LONGEST_SECS / max(number, 1))
