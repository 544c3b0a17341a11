"""The owner of each stream id in a room.

The SDK finds a stream, and what to subscribe to, by the id that its publisher chose: with the id of another's stream, a
participant would appear as the other one.
"""

OF_ONE_MAX = 1024
"""Ids of one participant that are kept. The SDK chooses a new one for each stream that it adds."""


class StreamIds:
    """The stream ids of one room, shared by its connections.

    With `is_shared` other processes have connections in the room, too: then ids are claimed by ClaimStream as well.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self.is_shared = is_shared
        self._owners: dict[str, str] = {}
        self._ids: dict[str, dict[str, None]] = {}  # by participant, the least recently used id first

    def owner(self, stream_id: str) -> str | None:
        """The participant id of the id's owner; None for an id without owner."""
        return self._owners.get(stream_id)

    def claim(self, stream_id: str, participant_id: str) -> None:
        """Make the participant the owner of an id. Raises ValueError for an id of another participant."""
        if self._owners.setdefault(stream_id, participant_id) != participant_id:
            raise ValueError("the stream id has another owner")
        own = self._ids.setdefault(participant_id, {})
        own.pop(stream_id, None)
        own[stream_id] = None
        if len(own) > OF_ONE_MAX:
            oldest = next(iter(own))
            del own[oldest], self._owners[oldest]

    def release(self, participant_id: str) -> None:
        """Free the ids of a participant that has left."""
        for stream_id in self._ids.pop(participant_id, ()):
            del self._owners[stream_id]
