"""The state machine between one browser and Janus: messages of both go in, effects for the connection come out.

The SDK waits for the one answer that it knows, and has no branch for errors. So every request is answered: by Janus, by
the dialect in Janus' form where Janus would not answer, or by a `status_code`, at which the SDK closes its connection
and the application receives `disconnected`.

The join, with what is held back on the way and why (SDK 1.0.2; docs/signaling.md, "How a call works"):

    browser                        dialect (effects)                            Janus
    create + token  ------------>  CheckToken: nothing reaches Janus for a
                                   token that is not accepted
                                   token_accepted  --------------------------->  create
                 <-------------  ICE servers are added  <----------------------  success
    attach textroom, setup  ---->  ExpectJoin: its data channel reaches the
                                   TextRoom before the participant is listed  ->  setup
                 <---------------  janus_room_id is added  <-------------------  event, offer
    ack, answer, trickle  ------>  --------------------------------------------->  ack
    attach audiobridge (register)
    join, participant display  ->  Admit: held until the row of the participant
                                   is written, so that no participant receives
                                   an event about one that the API does not list
                                   admitted  ---------------------------------->  join, muted
                 <---------------  pacing: from this roster until the next
                                   `attach`, changes to it are held  <---------  joined, participants
    attach videoroom (listener)
    join, listener display  ---->  --------------------------------------------->  join as publisher
                 <---------------  pacing: the same for this roster  <---------  joined, publishers
    attach audiobridge (mixer)
    join, stream display  ------>  volume, and muted by API or token  --------->  join
    configure, offer  ---------->  turns: held while Janus works on an
                                   earlier request of the handle  ------------->  configure
                 <---------------  sendrecv for a send-only token  <-----------  event, answer

The parts: Handshake checks each message and its token, BrowserRequests acts on requests, JanusReplies on messages of
Janus; they share a State.
"""

from typing import Any

from portico.core.tokens import ALL_PERMISSIONS, Permissions
from portico.signaling import liveness
from portico.signaling.control import MediaRoom
from portico.signaling.effects import (
    Close,
    CloseCode,
    Effect,
    ExpectJoin,
    ExpectMedia,
    Expel,
    LogWarning,
    Message,
    ToClient,
)
from portico.signaling.handshake import PENDING_MAX, Handshake
from portico.signaling.liveness import Verdict
from portico.signaling.policy import Role
from portico.signaling.replies import NO_TEXT_ROOM, NOT_LISTED, JanusReplies, ice_member
from portico.signaling.requests import BrowserRequests
from portico.signaling.state import Stage, State
from portico.signaling.stream_ids import StreamIds

__all__ = ["NO_TEXT_ROOM", "PENDING_MAX", "UNSEEN_SECS", "Dialect"]

UNSEEN_SECS = 10.0
"""The longest time from the TextRoom's join to the participant's join, which the SDK makes one after the other: in
between the browser receives messages while no list of participants shows it."""


class Dialect:
    """One browser's conversation. Messages go in, in the order of their arrival; no method waits or raises."""

    def __init__(self, owner: str = "") -> None:
        self._state = State(owner)
        self._handshake = Handshake(self._state)
        self._requests = BrowserRequests(self._state)
        self._replies = JanusReplies(self._state)

    # Messages of the browser.

    def from_client(self, message: object) -> list[Effect]:
        """The effects of a decoded message of the browser (None for one that could not be decoded)."""
        if self._is_closed:
            return []
        checked = self._handshake.receive(message)
        return checked if isinstance(checked, list) else self._act_on(checked)

    def token_accepted(
        self,
        token: str,
        room: MediaRoom,
        streams: StreamIds,
        permissions: Permissions = ALL_PERMISSIONS,
        ice_servers: list[dict[str, Any]] | None = None,
    ) -> list[Effect]:
        """The effects of the message that CheckToken held: its token admits to the room, with these permissions.

        `streams` are the stream ids of the room, shared by all its connections. `ice_servers` are RTCIceServer objects
        for the answer to `create`.
        """
        self._state.enter(room, streams, permissions)
        self._state.ice_servers = ice_servers or []
        message = self._handshake.token_accepted(token)
        return self._act_on(message) if message is not None else []

    def token_refused(self, status: int, reason: str) -> list[Effect]:
        """Refuse the message that CheckToken held, or after `create` the next one."""
        return self._handshake.token_refused(status, reason)

    def token_expired(self) -> list[Effect]:
        """Refuse the connection: its token has expired, and the installation ends calls with expired tokens."""
        return [] if self._is_closed else self._state.refuse({}, 401, "The token has expired.", CloseCode.TOKEN_REFUSED)

    def admitted(self, max_participants: int) -> list[Effect]:
        """Go on with the join that Admit held: the participant is written."""
        return self._requests.admitted(max_participants)

    def refused(self, status: int, reason: str, code: CloseCode = CloseCode.REFUSED) -> list[Effect]:
        """Refuse the join that Admit held."""
        return self._requests.refused(status, reason, code)

    def stream_claimed(self, stream_id: str, is_ours: bool) -> list[Effect]:
        """Go on with the request that ClaimStream held, or refuse it: the id is another participant's."""
        return [] if self._is_closed else self._requests.stream_claimed(stream_id, is_ours)

    def renew_ice(self, servers: list[dict[str, Any]]) -> list[Effect]:
        """Send ICE servers with new credentials, in a message that answers nothing and that the SDK ignores."""
        return [] if self._is_closed else [ToClient(ice_member(servers))]

    def _act_on(self, message: Message) -> list[Effect]:
        if message.get("janus") == "create":
            return self._handshake.create(message)
        refusal = self._handshake.refusal(message)
        return refusal if refusal is not None else self._requests.receive(message)

    @property
    def _is_closed(self) -> bool:
        return self._state.stage is Stage.CLOSED

    # Messages of Janus.

    def from_janus(self, message: Message) -> list[Effect]:
        """The effects of a decoded message of Janus."""
        if self._is_closed:
            self.note_answer(message)
            return []
        return [*self._replies.receive(message), *self._requests.take_turns()]

    def note_answer(self, message: Message) -> None:
        """Note an answer of Janus while the connection ends, for `awaits_plugin`."""
        self._state.wire.note_answer(message)

    @property
    def awaits_plugin(self) -> bool:
        """Whether a plugin of Janus works on a request: Janus' session must not end before the answer."""
        return bool(self._state.wire.busy_handles())

    # Time.

    def due(self, handle_id: int) -> list[Effect]:
        """The effects of a ScheduleDue whose time is over."""
        return [] if self._is_closed else self._state.pacing.due(handle_id)

    def media_due(self, handle_id: int) -> list[Effect]:
        """The effects of an ExpectMedia whose time is over."""
        if self._is_closed:
            return []
        wire = self._state.wire
        match liveness.judge(wire.handles.get(handle_id)):
            case Verdict.IDLE if handle_id in wire.busy_handles():
                return [ExpectMedia(handle_id, liveness.AGAIN_SECS)]
            case Verdict.IDLE:
                # Not `unpublish`, which the VideoRoom refuses until ICE and DTLS are done.
                hangup = wire.own_request("hangup", handle_id=handle_id)
                return [LogWarning("A stream without media is unpublished."), hangup]
            case Verdict.LOST:
                return self._state.close(CloseCode.MEDIA_LOST, "No media connection was established.")
        return []

    # What the API does to this participant.

    def mute(self, muted: bool) -> list[Effect]:
        """Mute or unmute the participant in every stream and in the mix, now and in what it publishes later."""
        publishing, may_publish = self._state.publishing, self._state.permissions.can_publish
        return [] if publishing is None else publishing.mute(muted, may_publish=may_publish)

    def kick(self) -> list[Effect]:
        """Have Janus kick the participant, which it reports to all browsers of the room, this one included."""
        self._state.is_kicked = True
        publishing = self._state.publishing
        return [] if publishing is None else [*self._state.pacing.stop(), *publishing.kick()]

    def record(self, handle_id: int, mjr_name: str | None) -> list[Effect]:
        """Have Janus record the stream of this handle into files of this name, or stop recording it (None)."""
        publishing = self._state.publishing
        if publishing is None or handle_id not in self._state.wire.handles:
            return []
        return publishing.record(handle_id, mjr_name)

    # What the gateway reads of this conversation.

    @property
    def participant_id(self) -> str | None:
        """The id of the participant, once admitted."""
        return self._state.participant_id

    @property
    def left_by_request(self) -> bool:
        """Whether the browser asked for the end of its session: it leaves, and is not lost."""
        return self._requests.left_by_request

    @property
    def session_id(self) -> int:
        """The id of the session inside Janus; 0 before it exists."""
        return self._state.wire.session_id

    @property
    def quiet(self) -> liveness.Quiet | None:
        """Where to look for signs of life while no media arrives; None while media arrives, or nothing can show it."""
        if self._is_closed:
            return None
        in_text_room = self._state.text_name is not None and self._state.text_name == self.participant_id
        return liveness.quiet(self._state.wire.handles, self._state.silences, in_text_room=in_text_room)

    def path_lost(self) -> list[Effect]:
        """Close the connection, whose browser shows no sign of life, unless media has arrived meanwhile."""
        if self.quiet is None:
            return []
        return self._state.close(CloseCode.MEDIA_LOST, "The media connection was lost: no packet arrives.")

    # Membership of the AudioBridge and the TextRoom.

    @property
    def register_id(self) -> int | None:
        """The AudioBridge's id of the register member; None until the participant is listed there."""
        return self._state.publishing.register_id if self._state.publishing is not None else None

    @property
    def text_name(self) -> str | None:
        """The name under which this connection may be in its TextRoom; None when it may not be in it."""
        if self._is_closed or self._state.is_kicked or not self._state.permissions.can_send_messages:
            return None
        return self.participant_id or self._state.text_name

    @property
    def may_yet_join(self) -> bool:
        """Whether it has a data channel and no participant yet: it may be in the TextRoom under any name."""
        if self.participant_id is not None or not self._state.permissions.can_send_messages:
            return False
        has_channel = any(handle.role is Role.TEXT for handle in self._state.wire.handles.values())
        return has_channel and self._state.stage is Stage.READY

    def text_joined(self, room: int, username: str) -> list[Effect]:
        """Act on a data channel of this connection that joined a TextRoom: expel it from another's, or by another name.

        Janus' session is closed at once then, because the browser could join again.
        """
        own_room = self._state.room is not None and room == self._state.room.text
        if own_room and (username == self.text_name or (self.text_name is None and self.may_yet_join)):
            self._state.text_name = username
            return [] if self.participant_id is not None else [ExpectJoin(UNSEEN_SECS)]
        expel = Expel(room, username)
        if self._is_closed:
            return [expel]
        self._state.stage = Stage.CLOSED
        reason = "The data channel joined a TextRoom that is not its own."
        return [expel, Close(CloseCode.REFUSED, reason, at_once=True)]

    def bridge_left(self, member: int) -> list[Effect]:
        """Close the connection if this AudioBridge member, which is gone, was its register: no list has it any more."""
        if member != self.register_id or self._state.is_kicked or self._is_closed:
            return []
        return self._state.close(CloseCode.MEDIA_LOST, NOT_LISTED)
