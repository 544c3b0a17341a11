"""How much of Janus one connection may use: handles, published streams, subscriptions."""

from portico.signaling.policy import Role
from portico.signaling.wire import Handle, Wire

PUBLISHERS_MAX = 8
"""Streams that one participant may publish at once: cameras and screens."""
SUBSCRIPTIONS_PER_SEAT = 2
"""Subscriptions of one participant for each of the room's max_participants: camera and screen."""
NO_PORT = "The media server is full: no port is left for another stream."
_SEATS_MAX = 50
"""The largest max_participants that a room may have."""
HANDLES_MAX = 4 + 2 * PUBLISHERS_MAX + SUBSCRIPTIONS_PER_SEAT * _SEATS_MAX + 32
"""Handles of one connection at once: text, register, listener, mixer, one for each stream and each subscription, and 32
that are attached and not used yet, or refused."""
HANDLES_BEFORE_JOIN_MAX = 8
"""Handles of a connection whose participant has not joined. The SDK has two by then."""


class ConnectionLimits:
    """The limits of one connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.seats = _SEATS_MAX
        """max_participants of the room; set when the participant is admitted."""

    def refuses_handle(self, *, joined: bool) -> bool:
        """Whether one more handle is too many."""
        return len(self._wire.handles) >= (HANDLES_MAX if joined else HANDLES_BEFORE_JOIN_MAX)

    def refuses_stream(self, handle: Handle) -> str | None:
        """The reason for which this handle may not begin to publish; None when it may."""
        if handle.negotiated or self._wire.count(Role.PUBLISHER, negotiated=True) < PUBLISHERS_MAX:
            return None
        return f"A participant publishes at most {PUBLISHERS_MAX} streams."

    def refuses_subscription(self) -> str | None:
        """The reason for which the newest subscription is one too many; None when it is not."""
        limit = SUBSCRIPTIONS_PER_SEAT * self.seats
        if self._wire.count(Role.SUBSCRIBER) <= limit:
            return None
        return f"A participant of this room has at most {limit} subscriptions."
