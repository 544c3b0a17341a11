"""Whose stream has which id in a room.

The SDK finds a stream, and what to subscribe to, by the id that its publisher gave it: with another's id a participant
would be seen and heard in the other's place.
"""

OF_ONE_MAX = 1024
"""Ids of one participant that are remembered; the SDK takes a new one for each stream that is added."""


class StreamIds:
    """One for each room, shared by its connections."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._ids: dict[str, dict[str, None]] = {}  # by participant, the one used longest ago first

    def claim(self, stream_id: str, participant_id: str) -> bool:
        """Whether this is the participant's own; it is from now on if it was nobody's."""
        if self._owners.setdefault(stream_id, participant_id) != participant_id:
            return False
        own = self._ids.setdefault(participant_id, {})
        own.pop(stream_id, None)
        own[stream_id] = None
        if len(own) > OF_ONE_MAX:
            oldest = next(iter(own))
            del own[oldest], self._owners[oldest]
        return True

    def release(self, participant_id: str) -> None:
        """The participant has left, and its streams with it."""
        for stream_id in self._ids.pop(participant_id, ()):
            del self._owners[stream_id]
