"""Sockets whose token was accepted and whose participant has not joined: few per token and per room."""

import asyncio
from collections import Counter

WAIT_SECS = 5.0
"""How long a socket waits for one of the others to join or to go: everybody in a room may share one token."""
_LOOK_SECS = 0.1


class JoiningSockets:
    """Counts them. Those that have joined are bounded by the room's limit already."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many there are in all rooms."""
        return sum(self._of.values()) // 2

    async def enter(self, room_id: str, family: str, max_participants: int) -> bool:
        """Count one more as soon as there is room for it; False when there is none within WAIT_SECS."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECS
        while self._of[family] >= 16 + max_participants // 4 or self._of[room_id] >= 64 + max_participants:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_LOOK_SECS)
        self._of.update((room_id, family))
        return True

    def leave(self, room_id: str, family: str) -> None:
        """One of them has joined, or is gone."""
        self._of.subtract((room_id, family))
        for key in (room_id, family):
            if self._of[key] <= 0:
                del self._of[key]
