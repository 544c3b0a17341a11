"""The errors of the client, one tree.

ClientError
├── JoinError               the join did not succeed; `code` is the close code of the server, 0 without one
│   ├── TokenRefused        the token is wrong, expired, revoked, or of another room
│   ├── RoomFull            `max_participants` are in the room
│   ├── Unavailable         the server, its database or its media server cannot take the join now
│   └── Unreachable         no connection to the server, or none within the deadline
├── RoomEnded               the call is over; `code` as above
├── RequestRefused          the server refused a request, such as a stream or a subscription
├── MediaFailed             no media connection within the deadline
└── SourceFailed            a source cannot be read or encoded
"""


class ClientError(Exception):
    """The base of all errors of this package."""


class JoinError(ClientError):
    """The join did not succeed. `code` is the server's close code (docs/signaling.md), 0 without one."""

    kind = "refused"
    """The `reason` of the event `Ended` for this error."""

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class TokenRefused(JoinError):
    """The token does not admit to the room."""

    kind = "token"


class RoomFull(JoinError):
    """The room has `max_participants` participants."""

    kind = "full"


class Unavailable(JoinError):
    """The server cannot take the join now; a later try may succeed."""

    kind = "unavailable"


class Unreachable(JoinError):
    """The server did not answer."""

    kind = "unreachable"


class RoomEnded(ClientError):
    """The call is over. `code` is the server's close code, 0 without one."""

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class RequestRefused(ClientError):
    """The server refused a request; the call goes on."""


class MediaFailed(ClientError):
    """No media connection was established within the deadline."""

    def __init__(self, reason: str, way: str | None = None) -> None:
        """`way` is the one to the relay that was tried, of portico.client.relays.WAYS."""
        super().__init__(reason)
        self.way = way


class SourceFailed(ClientError):
    """A source of audio or video cannot be read or encoded."""
