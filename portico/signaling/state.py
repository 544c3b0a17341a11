"""What the parts of one browser's dialect share: its stage, its room and permissions, and what is pending."""

from enum import Enum, auto
from typing import Any

from portico.core.tokens import ALL_PERMISSIONS, Permissions
from portico.signaling.control import MediaRoom
from portico.signaling.effects import Close, CloseCode, Effect, Message, ToClient
from portico.signaling.limits import ConnectionLimits
from portico.signaling.pacing import Pacing
from portico.signaling.publishing import Publishing
from portico.signaling.stream_ids import StreamIds
from portico.signaling.subscribing import Subscribing
from portico.signaling.translate import TrackKinds
from portico.signaling.turns import Turns
from portico.signaling.wire import Wire


class Stage(Enum):
    """How far a conversation is."""

    NEW = auto()  # the browser has sent nothing but `create`
    CREATING = auto()  # Janus has not answered `create`
    READY = auto()
    REFUSED = auto()  # `create` was answered with success; the answer to the next request says why it is refused
    CLOSED = auto()


class State:
    """The state of one conversation. Everything about the room is set when the first token is accepted."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        """The opaque_id of the connection's handles, which Janus reports and the browser never learns."""
        self.stage = Stage.NEW
        self.room: MediaRoom | None = None
        self.streams = StreamIds()
        """The stream ids of the room."""
        self.permissions = ALL_PERMISSIONS
        self.ice_servers: list[dict[str, Any]] = []
        """For the answer to `create`: RTCIceServer objects with credentials of this connection."""
        self.participant_id: str | None = None
        """Set when the participant is admitted."""
        self.text_name: str | None = None
        """The name under which the browser is in its TextRoom, as Janus reports."""
        self.is_kicked = False
        self.silences = 0
        """How often the last track that received media has stopped receiving."""
        self.wire = Wire()
        self.limits = ConnectionLimits(self.wire)
        self.kinds = TrackKinds()
        self.pacing = Pacing()
        self.turns = Turns(self.wire)
        self.subscribing: Subscribing | None = None
        self.publishing: Publishing | None = None

    def enter(self, room: MediaRoom, streams: StreamIds, permissions: Permissions) -> None:
        """Set the room, and the permissions of the newest token."""
        self.room, self.streams, self.permissions = room, streams, permissions
        self.publishing = self.publishing or Publishing(self.wire, room, self.kinds)
        self.subscribing = self.subscribing or Subscribing(self.wire, self.pacing, room.room_id)

    def refuse(self, message: Message, status: int, reason: str, code: CloseCode = CloseCode.REFUSED) -> list[Effect]:
        """Answer with a `status_code`, at which the SDK gives up its connection, and close.

        The SDK closes its socket as soon as it reads a status_code, so the close code is in the message, too.
        """
        answer: Message = {"status_code": status, "error_message": reason, "close_code": int(code)}
        if isinstance(message.get("transaction"), str):
            answer = {"transaction": message["transaction"], **answer}
        return [ToClient(answer), *self.close(code, reason)]

    def close(self, code: CloseCode, reason: str) -> list[Effect]:
        """Close the conversation: no later message has an effect."""
        self.stage = Stage.CLOSED
        return [Close(code, reason)]
