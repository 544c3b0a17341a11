"""Bounds, per grant and per room, the sockets whose token was accepted and whose participant has not joined yet."""

import asyncio
from collections import Counter

WAIT_SECS = 5.0
"""How long a socket waits for another one to join or to close. All participants of a room may share one token."""
_LOOK_SECS = 0.1


class JoiningSockets:
    """Counts sockets whose participant has not joined. (max_participants bounds the participants that have.)"""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """The number of these sockets, in all rooms."""
        return sum(self._of.values()) // 2  # each is counted for its room and for its token

    async def enter(self, room_id: str, grant_id: str, max_participants: int) -> bool:
        """Count a socket as soon as the limits of its room and of its grant allow; False after WAIT_SECS."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECS
        while self._of[grant_id] >= 16 + max_participants // 4 or self._of[room_id] >= 64 + max_participants:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_LOOK_SECS)
        self._of.update((room_id, grant_id))
        return True

    def leave(self, room_id: str, grant_id: str) -> None:
        """Stop counting a socket: its participant has joined, or it is closed."""
        self._of.subtract((room_id, grant_id))
        for key in (room_id, grant_id):
            if self._of[key] <= 0:
                del self._of[key]
