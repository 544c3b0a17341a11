"""Everything that can go wrong for a reason that the caller is given.

PorticoError
├── Unauthenticated      no valid API key
├── Forbidden            a valid caller without the right (refresh tokens)
├── NotFound             unknown, foreign or deleted resource
├── Invalid              one or more members of the request are wrong; carries every Fault
├── SessionOver          acting on a session that has ended
├── Busy                 more work is queued than can be done in time
│   └── DatabaseUnavailable   the database is locked, full, unreachable or too slow; logged once by db/outage.py
├── TooManyRequests      the caller has to wait before it tries again
└── JoinRefused
    ├── RoomGone         the room does not exist (any more)
    ├── RoomFull         as many participants as max_participants are in the room
    ├── IdentityTaken    the participant id was used before
    ├── GatewayLost      the gateway was declared dead while the participant joined
    ├── RoomElsewhere    the room is on a media node that this server does not reach
    ├── MediaBusy        no media node can take the room at the moment
    └── TokenRevoked     its holder was kicked with `revoke`
"""

from dataclasses import dataclass


class PorticoError(Exception):
    """Root of the tree; str() is a sentence for the caller."""


class Unauthenticated(PorticoError):
    """The request carries no valid API key."""


class Forbidden(PorticoError):
    """The caller is known but may not do this. `expired` is True for a token that is valid but for its expiry."""

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class NotFound(PorticoError):
    """No such resource for this account."""

    def __init__(self, message: str = "The requested resource or URL could not be found.") -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong member of a request: catalogue code, title, a sentence, and where (pointer or query parameter)."""

    code: str
    title: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Invalid(PorticoError):
    """The request was understood and is wrong; `faults` names every wrong member in member order."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(fault.detail for fault in faults))
        self.faults = faults


class SessionOver(PorticoError):
    """The session has ended, so nothing can be done to it."""

    def __init__(self) -> None:
        super().__init__("No private_ip for room")


class Busy(PorticoError):
    """Too much work is waiting; the caller should try again later."""


class DatabaseUnavailable(Busy):
    """The database fails or does not answer; nothing was written. db/outage.py has logged it already."""


class TooManyRequests(PorticoError):
    """The caller has tried too often, and has to wait for `wait_secs`."""

    def __init__(self, wait_secs: int, message: str = "Too many wrong API keys were sent from this address") -> None:
        super().__init__(f"{message}: wait {wait_secs} s, then try again.")
        self.wait_secs = wait_secs


class JoinRefused(PorticoError):
    """A browser may not join; nothing was written."""


class RoomGone(JoinRefused):
    """The room does not exist (any more)."""


class RoomFull(JoinRefused):
    """The room already has max_participants participants."""


class GatewayLost(JoinRefused):
    """The gateway that holds the participant's socket was declared dead; it is about to close its sockets."""


class RoomElsewhere(JoinRefused):
    """The room is on a media node that only servers of another host reach."""


class MediaBusy(JoinRefused):
    """No media node can take the room at the moment."""


class IdentityTaken(JoinRefused):
    """A participant with this id has joined before."""


class TokenRevoked(JoinRefused):
    """The holder of the token was kicked with `revoke`."""
