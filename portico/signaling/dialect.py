"""The state machine between one browser and Janus: what either says goes in, orders for the connection come out.

The SDK waits for the one answer that it knows and has no branch for errors, so every request of a browser is answered:
by Janus, or by us in Janus' shape where Janus would leave it hanging, or by a `status_code`, at which the SDK gives up
its connection and tells the application.
"""

from enum import Enum, auto
from typing import Any

from portico.core.tokens import ALL_PERMISSIONS, Permissions
from portico.signaling import liveness, policy, send_only, translate
from portico.signaling.control import PLUGINS, TEXTROOM, MediaRoom
from portico.signaling.effects import (
    Admit,
    CheckToken,
    Close,
    CloseCode,
    Effect,
    ExpectJoin,
    ExpectMedia,
    Expel,
    LogWarning,
    Message,
    ToClient,
    ToJanus,
)
from portico.signaling.limits import NO_PORT, Limits
from portico.signaling.liveness import Verdict
from portico.signaling.pacing import Pacing
from portico.signaling.policy import Role
from portico.signaling.publishing import Publishing
from portico.signaling.stream_ids import StreamIds
from portico.signaling.subscribing import Subscribing, unacceptable
from portico.signaling.turns import Turns
from portico.signaling.wire import OWN_PREFIX, Handle, Pending, Wire

PENDING_MAX = 256
"""Requests of one browser that Janus has not answered yet."""
TRANSACTION_LENGTH_MAX = 128
NO_TEXT_ROOM = 1
"""What a browser hears that may not send messages: its data channel opens and leads nowhere."""
_NOT_LISTED = "The media server does not list the participant any more."
_PORTS_RAN_OUT = LogWarning("Janus has no UDP port left for a stream: widen PORTICO_RTP_PORTS.")
UNSEEN_SECS = 10.0
"""From the moment at which a browser is in the TextRoom to the one at which its participant has joined. The SDK does
the one just before the other; until then it receives messages and is not in anybody's list."""


class _Stage(Enum):
    NEW = auto()  # nothing was sent yet but `create`
    CREATING = auto()
    READY = auto()
    REFUSED = auto()  # `create` was answered as if; the next request hears why
    CLOSED = auto()


class Dialect:
    """One browser's conversation. Feed it messages in the order of their arrival; it never waits and never fails."""

    def __init__(self, owner: str = "") -> None:
        self._owner = owner
        """What Janus is to report about handles of this connection; the browser never learns it."""
        self._text_name: str | None = None  # under which it is in the TextRoom, as Janus has reported
        self.participant_id: str | None = None
        """Set when the participant was admitted."""
        self.said_goodbye = False
        """Set when the browser destroyed its session: it leaves, it was not lost."""
        self._stage = _Stage.NEW
        self._room: MediaRoom | None = None
        self._token: str | None = None
        self._held: Message | None = None
        self._held_join: tuple[int, policy.Allowed] | None = None
        self._refusal: tuple[int, str, CloseCode] = (0, "", CloseCode.REFUSED)
        self._wire = Wire()
        self._limits = Limits(self._wire)
        self._kinds = translate.TrackKinds()
        self._pacing = Pacing()
        self._turns = Turns(self._wire)
        self._subscribing: Subscribing | None = None  # with the room
        self._publishing: Publishing | None = None  # with the room
        self._permissions = ALL_PERMISSIONS
        self._streams = StreamIds()  # those of the room, with the room
        self._kicked = False
        self._silences = 0  # how often the last medium that arrived has stopped

    # What the browser says.

    def from_client(self, message: object) -> list[Effect]:
        """Orders that follow from a decoded message of the browser (None for one that could not be decoded)."""
        if self._stage is _Stage.CLOSED:
            return []
        if not isinstance(message, dict):
            return self._refuse({}, 400, "A message must be a JSON object.")
        transaction = message.get("transaction")
        if not isinstance(transaction, str) or not 0 < len(transaction) <= TRANSACTION_LENGTH_MAX:
            return self._refuse({}, 400, "transaction must be a text.")
        if transaction.startswith(OWN_PREFIX):
            return self._refuse(message, 400, f"transaction must not begin with {OWN_PREFIX}")
        if self._stage is _Stage.REFUSED:
            return self._refuse(message, *self._refusal)
        token = message.get("client_token")
        if token is not None and not isinstance(token, str):
            return self._refuse(message, 401, "client_token must be a text.")
        if token is not None and token != self._token:
            self._held = message
            return [CheckToken(token)]
        return self._take(message)

    def token_accepted(
        self, token: str, room: MediaRoom, streams: StreamIds, permissions: Permissions = ALL_PERMISSIONS
    ) -> list[Effect]:
        """Go on with the message that CheckToken held: its token admits to the room, with these permissions.

        `streams` are the stream ids of the room, shared by all its connections.
        """
        self._streams = streams
        self._token, self._room, self._permissions = token, room, permissions
        self._publishing = self._publishing or Publishing(self._wire, room, self._kinds)
        self._subscribing = self._subscribing or Subscribing(self._wire, self._pacing, room.room_id)
        message, self._held = self._held, None
        return self._take(message) if message is not None else []

    def token_refused(self, status: int, reason: str) -> list[Effect]:
        """The token does not admit. At `create` the SDK would not hear it for 30 s, so its next request is told."""
        message, self._held = self._held or {}, None
        code = CloseCode.UNAVAILABLE if status == 503 else CloseCode.TOKEN_REFUSED
        if self._stage is _Stage.NEW and message.get("janus") == "create":
            self._stage, self._refusal = _Stage.REFUSED, (status, reason, code)
            return [ToClient({"janus": "success", "transaction": message["transaction"], "data": {"id": 1}})]
        return self._refuse(message, status, reason, code)

    def token_expired(self) -> list[Effect]:
        """The installation ends calls whose token has expired, and this one's has."""
        if self._stage is _Stage.CLOSED:
            return []
        return self._refuse({}, 401, "The token has expired.", CloseCode.TOKEN_REFUSED)

    def due(self, handle_id: int) -> list[Effect]:
        """The time has come that ScheduleDue asked for."""
        return [] if self._stage is _Stage.CLOSED else self._pacing.due(handle_id)

    def media_due(self, handle_id: int) -> list[Effect]:
        """The time has come that ExpectMedia asked for."""
        if self._stage is _Stage.CLOSED:
            return []
        match liveness.judge(self._wire.handles.get(handle_id)):
            case Verdict.IDLE if handle_id in self._wire.busy_handles():
                return [ExpectMedia(handle_id, liveness.AGAIN_SECS)]
            case Verdict.IDLE:
                # Not `unpublish`, which the VideoRoom refuses as long as ICE and DTLS are not done.
                hangup = self._wire.own_request("hangup", handle_id=handle_id)
                return [LogWarning("A stream without media is unpublished."), hangup]
            case Verdict.LOST:
                return self._close(CloseCode.MEDIA_LOST, "No media connection came about.")
        return []

    def admitted(self, max_participants: int) -> list[Effect]:
        """The participant that Admit named is in the database; Janus may hear of it."""
        self._limits.seats = max_participants
        held, self._held_join, message, self._held = self._held_join, None, self._held, None
        if held is None or message is None or held[1].announces is None:
            return []
        self.participant_id = held[1].announces.participant_id
        return self._forward(message, *held)

    def refused(self, status: int, reason: str, code: CloseCode = CloseCode.REFUSED) -> list[Effect]:
        """The participant that Admit named may not join."""
        message, self._held, self._held_join = self._held or {}, None, None
        return self._refuse(message, status, reason, code)

    def _take(self, message: Message) -> list[Effect]:
        kind = message.get("janus")
        if kind == "create":
            return self._create(message)
        if self._stage is not _Stage.READY:
            return self._refuse(message, 401, "The first request must be create, with a client_token.")
        if message["transaction"] in self._wire.pending:
            # Its answers could not be told apart, and with them what a handle is.
            return self._refuse(message, 400, "transaction is that of a request that still waits.")
        if len(self._wire.pending) >= PENDING_MAX:
            return self._refuse(message, 429, "Too many requests are waiting for an answer.")
        match kind:
            case "keepalive":
                return [self._wire.to_janus(message, Pending("keepalive"))]
            case "attach":
                return [*self._pacing.next_step(), *self._attach(message)]
            case "destroy":
                return self._say_goodbye(message)
            case "message" | "trickle" | "detach" | "hangup":
                return self._to_handle(kind, message)
        return self._refuse(message, 403, "This request is not for browsers.")

    def _say_goodbye(self, message: Message) -> list[Effect]:
        """Destroying the session or leaving the register: nobody stays to watch whom the others do not see.

        Not for Janus yet: the others hear of it there, and the row that says so comes first.
        """
        self.said_goodbye = True
        return [self._wire.answer(message, "success"), *self._close(CloseCode.GOODBYE, "goodbye")]

    def _create(self, message: Message) -> list[Effect]:
        if self._stage is not _Stage.NEW or self._token is None:
            return self._refuse(message, 401, "create comes once, first, and with a client_token.")
        self._stage = _Stage.CREATING
        self._wire.pending[message["transaction"]] = Pending("create")
        return [ToJanus({"janus": "create", "transaction": message["transaction"]})]

    def _attach(self, message: Message) -> list[Effect]:
        plugin = message.get("plugin")
        if not isinstance(plugin, str) or plugin not in PLUGINS:
            return self._refuse(message, 403, "This plugin is not for browsers.")
        if self._limits.refuses_handle(joined=self.participant_id is not None):
            return self._refuse(message, 429, "Too many handles are attached.")
        return [self._wire.to_janus(message, Pending("attach", plugin=plugin), plugin=plugin, opaque_id=self._owner)]

    def _to_handle(self, kind: str, message: Message, *, has_waited: bool = False) -> list[Effect]:
        handle_id = message.get("handle_id")
        handle = self._wire.handles.get(handle_id) if isinstance(handle_id, int) else None
        if handle is None or handle_id is None:
            # The SDK detaches twice, and trickles to what it has detached; it waits for these very answers.
            if kind == "message":
                return self._refuse(message, 404, "There is no such handle.")
            return [self._wire.answer(message, "ack" if kind == "trickle" else "success")]
        # A hangup that races with a negotiation crashes Janus 1.1.2, and no SDK sends one: detach does as well.
        if kind == "hangup" or (kind == "trickle" and handle.role not in policy.WITH_MEDIA):
            return [self._wire.answer(message, "ack" if kind == "trickle" else "success")]
        if kind != "trickle" and not has_waited and self._turns.must_wait(handle_id, message):
            if message.get("jsep") is not None and self._wire.is_negotiating(handle_id):
                return self._refuse(message, 400, "An offer or answer of this handle still waits for its answer.")
            self._turns.hold(handle_id, message)
            return []
        match kind:
            case "message":
                return self._message(message, handle_id, handle)
            case "trickle":
                return self._trickle(message, handle_id, handle)
            case "detach":
                if handle.role is Role.REGISTER:
                    return self._say_goodbye(message)
                self._wire.forget(handle_id)
        assert self._publishing is not None
        ended = self._publishing.detached(handle_id) if kind == "detach" else self._publishing.stop(handle_id)
        waited = self._pacing.settled(handle_id)
        return [*waited, self._wire.to_janus(message, Pending(kind, handle_id), handle_id=handle_id), *ended]

    def _trickle(self, message: Message, handle_id: int, handle: Handle) -> list[Effect]:
        try:
            kept = policy.candidates(message)
        except policy.Refused as refused:
            return self._refuse(message, 400, str(refused))
        return [self._wire.to_janus(message, Pending("trickle", handle_id), handle_id=handle_id, **kept)]

    def _message(self, message: Message, handle_id: int, handle: Handle) -> list[Effect]:
        assert self._room is not None and self._publishing is not None
        if self._kicked:
            return self._close(CloseCode.REMOVED, "The participant was removed.")
        own = self._publishing
        sender = policy.Sender(
            self.participant_id, self._room, own.volume, self._streams.owner, self._permissions, own.muted
        )
        try:
            allowed = policy.allow(handle.plugin, handle.role, sender, message.get("body"))
            policy.jsep(message.get("jsep"), allowed)
        except policy.Refused as refused:
            return self._refuse(message, 403, str(refused))
        if handle.role is None and self._has_its_only(allowed.role):
            return self._refuse(message, 403, f"This connection has a {allowed.role} already.")
        handle.role = allowed.role
        if allowed.publishes is not None:
            self._streams.claim(allowed.publishes.stream_id, allowed.publishes.participant_id)
        self._publishing.note_request(handle_id, allowed)
        if allowed.announces is not None:
            if self._text_name not in (None, allowed.announces.participant_id):
                return self._refuse(message, 403, "display names another participant than the one in the TextRoom.")
            self._held, self._held_join = message, (handle_id, allowed)
            return [Admit(allowed.announces.participant_id, allowed.announces.external)]
        unseen = allowed.role is Role.TEXT and self.participant_id is None
        return [*([ExpectJoin()] if unseen else []), *self._forward(message, handle_id, allowed)]

    def _has_its_only(self, role: Role) -> bool:
        return role in policy.ONLY_ONE and any(handle.role is role for handle in self._wire.handles.values())

    def _forward(self, message: Message, handle_id: int, allowed: policy.Allowed) -> list[Effect]:
        pending = Pending(
            "message",
            handle_id,
            self._wire.handles[handle_id].plugin,
            allowed.role,
            allowed.body["request"],
            allowed.body.get("feed"),
            allowed.paused,
        )
        if allowed.role is Role.SUBSCRIBER:
            assert self._subscribing is not None
            if allowed.body["request"] == "join" and (why := self._limits.refuses_subscription()):
                return self._subscribing.refuse(message, pending, why)
            if told := self._subscribing.asked(message, pending):
                return told
        session_description = policy.jsep(message.get("jsep"), allowed)
        if session_description is not None and allowed.role is Role.MIXER and not self._permissions.can_subscribe:
            session_description = send_only.offer(session_description)
        jsep = {} if session_description is None else {"jsep": session_description}
        expected: ExpectMedia | None = None
        if jsep:
            handle = self._wire.handles[handle_id]
            pending.negotiates = True
            if allowed.role is Role.PUBLISHER and (why := self._limits.refuses_stream(handle)):
                content = {"videoroom": "event", "room": message["body"].get("room"), "configured": "ok", "streams": []}
                answer = self._wire.plugin_event(message, handle_id, content, unacceptable("answer", why))
                return [self._wire.answer(message, "ack"), answer]
            expected = liveness.expected(handle_id, handle)
        if (allowed.role, allowed.body["request"]) in policy.HANGING_UP:
            self._wire.handles[handle_id].hangs_up = self._wire.handles[handle_id].negotiated
        sent = self._wire.to_janus(message, pending, handle_id=handle_id, body=allowed.body, **jsep)
        return [sent] if expected is None else [sent, expected]

    # What Janus says.

    def from_janus(self, message: Message) -> list[Effect]:
        """Orders that follow from a decoded message of Janus."""
        if self._stage is _Stage.CLOSED:
            self._wire.note_answer(message)
            return []
        return [*self._from_janus(message), *self._take_turns()]

    def _take_turns(self) -> list[Effect]:
        """What follows from requests that had to wait until now."""
        effects: list[Effect] = []
        while self._stage is not _Stage.CLOSED and (message := self._turns.next()) is not None:
            effects += self._to_handle(message["janus"], message, has_waited=True)
        return effects

    def note_answer(self, message: Message) -> None:
        """The connection ends, and Janus has said this."""
        self._wire.note_answer(message)

    @property
    def awaits_plugin(self) -> bool:
        """Whether a plugin of Janus still takes in a request: the session must not end before that is answered."""
        return bool(self._wire.busy_handles())

    def _from_janus(self, message: Message) -> list[Effect]:
        transaction = message.get("transaction", "")
        if transaction.startswith(OWN_PREFIX):
            return self._own_answer(message)
        match message.get("janus"):
            case "success":
                return self._succeeded(message, self._wire.pending.pop(transaction, None))
            case "ack":
                return self._acknowledged(message, transaction)
            case "error":
                error = message.get("error", {})
                pending = self._wire.pending.pop(transaction, None)
                return self._failed(message, pending, error.get("code", 0), str(error.get("reason", "unknown")))
            case "event":
                return self._event(message, self._wire.pending.pop(transaction, None))
            case "timeout":
                return self._close(CloseCode.TIMED_OUT, "No keepalive came for too long.")
            case "webrtcup" | "hangup" | "media" | "detached" as change:
                return [ToClient(message), *self._changed(change, message, message.get("sender", 0))]
        return [ToClient(message)]

    def _own_answer(self, message: Message) -> list[Effect]:
        said = {**message.get("error", {}), **message.get("plugindata", {}).get("data", {})}
        code = said.get("code") or said.get("error_code")
        return (
            [LogWarning(f"Janus refused a request of ours: {said.get('reason') or said.get('error')} ({code})")]
            if code
            else []
        )

    def _succeeded(self, message: Message, pending: Pending | None) -> list[Effect]:
        if pending is not None and pending.kind in ("create", "attach"):
            number = message["data"]["id"]
            if pending.kind == "create":
                self._wire.session_id, self._stage = number, _Stage.READY
            else:
                assert pending.plugin is not None
                self._wire.handles[number] = Handle(pending.plugin)
        return [ToClient(message)]

    def _acknowledged(self, message: Message, transaction: str) -> list[Effect]:
        pending = self._wire.pending.get(transaction)
        if pending is not None and pending.kind in ("keepalive", "trickle"):
            del self._wire.pending[transaction]
        return [ToClient(message)]

    def _event(self, message: Message, pending: Pending | None) -> list[Effect]:
        content = message.get("plugindata", {}).get("data", {})
        if "destroyed" in (content.get("videoroom"), content.get("audiobridge"), content.get("textroom")):
            return []  # the SDK would take it for its own wish to leave; the socket's close code tells it better
        if "error_code" in content:
            return self._failed(message, pending, content["error_code"], str(content.get("error", "unknown")))
        assert self._room is not None and self._publishing is not None
        translate.translate(content, self._room, self._kinds)
        if "moderation" in content:
            return []  # of a stream that the browser has not heard of
        effects: list[Effect] = []
        if "audiobridge" in content:
            role = pending.role if pending is not None else None
            may_publish = self._permissions.can_publish
            effects += self._publishing.receive_bridge(content, role, message["sender"], may_publish=may_publish)
            if self._kicked and role is Role.REGISTER:
                effects += self._publishing.kick()  # it was too early for that: Janus did not know the participant yet
        if pending is None:
            return [*effects, *self._pacing.deliver(message)]
        if pending.role is Role.SUBSCRIBER:
            assert self._subscribing is not None
            return [*effects, *self._subscribing.answered(message, content, pending)]
        effects += [*self._finish(message, content, pending, self._room), ToClient(message)]
        if pending.role in (Role.REGISTER, Role.LISTENER) and pending.request == "join":
            effects.append(self._pacing.roster_sent(message["sender"]))
        return effects

    def _finish(self, message: Message, content: dict[str, Any], pending: Pending, room: MediaRoom) -> list[Effect]:
        """Give the answer to a browser's request the form that the SDK expects; what it entails."""
        if pending.plugin == TEXTROOM and pending.request == "setup":
            content["janus_room_id"] = room.text if self._permissions.can_send_messages else NO_TEXT_ROOM
        if pending.role is Role.REGISTER and content.get("audiobridge") == "joined":
            content.setdefault("participants", [])
        if pending.role is Role.MIXER and "jsep" in message and not self._permissions.can_subscribe:
            message["jsep"] = send_only.answer(message["jsep"])
        if pending.role is Role.PUBLISHER:
            assert self._publishing is not None
            return self._publishing.receive_answer(message["sender"], content, negotiated="jsep" in message)
        return []

    def _changed(self, change: str, message: Message, handle_id: int) -> list[Effect]:
        """Something happened to the media of a handle."""
        if self._publishing is None:
            return []
        handle = self._wire.handles.get(handle_id)
        match change:
            case "hangup":
                return self._hung_up(handle_id, handle, str(message.get("reason")))
            case "detached":
                self._wire.handles.pop(handle_id, None)
                if handle is not None and handle.role is Role.REGISTER:
                    return self._close(CloseCode.MEDIA_LOST, _NOT_LISTED)
                return [*self._publishing.detached(handle_id), *self._pacing.settled(handle_id)]
            case "webrtcup":
                if handle is not None:
                    handle.is_up = True
                return self._publishing.connected(handle_id)
        receives = message.get("receiving") is True
        if handle is not None:
            handle.received(f"{message.get('mid')}/{message.get('substream', 0)}", receives)
        if receives:
            return self._publishing.media_arrived(handle_id, message.get("mid"))
        self._silences += not any(one.receiving for one in self._wire.handles.values())
        return self._publishing.report(handle_id)

    def _hung_up(self, handle_id: int, handle: Handle | None, reason: str) -> list[Effect]:
        """Janus has closed the PeerConnection of a handle."""
        assert self._publishing is not None
        lost = liveness.is_lost(handle, reason)
        if handle is not None:
            handle.hung_up()
        ended = self._publishing.stop(handle_id)
        if handle is not None and reason in liveness.NO_PORT_REASONS:
            return [*ended, *self._without_port(handle_id)]
        return [*ended, *(self._lose_path(reason) if lost else [])]

    def _lose_path(self, why: str) -> list[Effect]:
        return self._close(CloseCode.MEDIA_LOST, f"The media connection was lost: {why}.")

    def _without_port(self, handle_id: int) -> list[Effect]:
        """Janus has no port for a PeerConnection. What Janus was to offer stays unanswered, which no SDK can bear; what
        the browser has offered is answered with an error, before or after this.
        """
        if self._wire.is_negotiating(handle_id) or (waiting := self._wire.take_pending(handle_id)) is None:
            return []
        transaction, pending = waiting
        if pending.role is not Role.SUBSCRIBER:
            return self._refuse(transaction, 503, NO_PORT, CloseCode.UNAVAILABLE)
        assert self._subscribing is not None
        return [_PORTS_RAN_OUT, *self._subscribing.without_offer(transaction, pending, unacceptable("offer", NO_PORT))]

    def _offer_without_port(self, message: Message, pending: Pending) -> list[Effect]:
        """Janus has no port for what the browser offers: without a stream the call goes on, without a mixer not."""
        assert pending.handle is not None and self._room is not None
        if pending.role is not Role.PUBLISHER:
            return [_PORTS_RAN_OUT, *self._refuse(message, 503, NO_PORT, CloseCode.UNAVAILABLE)]
        if (handle := self._wire.handles.get(pending.handle)) is not None:
            handle.hung_up()
        content = {"videoroom": "event", "room": self._room.room_id, "configured": "ok", "streams": []}
        answer = self._wire.plugin_event(message, pending.handle, content, unacceptable("answer", NO_PORT))
        return [_PORTS_RAN_OUT, answer]

    def _failed(self, message: Message, pending: Pending | None, code: int, reason: str) -> list[Effect]:
        if pending is None:
            return []  # nobody waits for it, and no browser can do anything about it
        transaction = {"transaction": message["transaction"]}
        if pending.negotiates and reason == liveness.NO_PORT_ERROR:
            return self._offer_without_port(transaction, pending)
        match pending.kind:
            case "detach" | "hangup":
                return [self._wire.answer(transaction, "success")]
            case "trickle":
                return [self._wire.answer(transaction, "ack")]
        if pending.role is Role.SUBSCRIBER:
            assert self._subscribing is not None
            if told := self._subscribing.failed(transaction, pending, code):
                return told
        sentence = f"The media server refused {pending.request or pending.kind}: {reason}"
        return self._refuse(transaction, 503, sentence, CloseCode.UNAVAILABLE)

    @property
    def session_id(self) -> int:
        """Of this connection's session inside Janus."""
        return self._wire.session_id

    @property
    def quiet(self) -> liveness.Quiet | None:
        """What shows that the browser is there while none of its media arrives; None where nobody has to look."""
        if self._stage is _Stage.CLOSED:
            return None
        in_text_room = self._text_name is not None and self._text_name == self.participant_id
        return liveness.quiet(self._wire.handles, self._silences, in_text_room=in_text_room)

    def path_lost(self) -> list[Effect]:
        """The counters show no sign of life; media may have arrived meanwhile."""
        return [] if self.quiet is None else self._lose_path("no packet arrives")

    # What the API does to this participant.

    def mute(self, muted: bool) -> list[Effect]:
        """Mute the participant in every stream and in the mix, also in what it publishes later; or unmute it."""
        return (
            [] if self._publishing is None else self._publishing.mute(muted, may_publish=self._permissions.can_publish)
        )

    def kick(self) -> list[Effect]:
        """Send the participant away: Janus tells everybody, also this browser, which then leaves by itself."""
        self._kicked = True
        return [] if self._publishing is None else [*self._pacing.stop(), *self._publishing.kick()]

    def record(self, handle_id: int, mjr_name: str | None) -> list[Effect]:
        """Have Janus record the stream of this handle into files of this name, or stop recording it (None)."""
        if self._publishing is None or handle_id not in self._wire.handles:
            return []
        return self._publishing.record(handle_id, mjr_name)

    # What Janus reports of this participant, and what it lists.

    @property
    def register_id(self) -> int | None:
        """The AudioBridge's id of the register member: who has one is in everybody's list."""
        return self._publishing.register_id if self._publishing is not None else None

    @property
    def text_name(self) -> str | None:
        """The name under which this connection may be in its TextRoom; None when it may not be in there at all."""
        if self._stage is _Stage.CLOSED or self._kicked or not self._permissions.can_send_messages:
            return None
        return self.participant_id or self._text_name

    @property
    def may_yet_join(self) -> bool:
        """Whether it has a data channel already and no participant yet: it may be in the TextRoom under any name."""
        may = self.participant_id is None and self._permissions.can_send_messages and self._stage is _Stage.READY
        return may and any(handle.role is Role.TEXT for handle in self._wire.handles.values())

    def text_joined(self, room: int, username: str) -> list[Effect]:
        """A data channel of this connection joined a TextRoom, in which it may not be, or under another's name."""
        own_room = self._room is not None and room == self._room.text
        if own_room and (username == self.text_name or (self.text_name is None and self.may_yet_join)):
            self._text_name = username
            return [] if self.participant_id is not None else [ExpectJoin(UNSEEN_SECS)]
        expel = Expel(room, username)
        if self._stage is _Stage.CLOSED:
            return [expel]
        self._stage = _Stage.CLOSED
        reason = "The data channel joined a TextRoom that is not its own."
        return [expel, Close(CloseCode.REFUSED, reason, at_once=True)]

    def bridge_left(self, member: int) -> list[Effect]:
        """The AudioBridge does not list this member any more: if it is our register, nobody sees the participant."""
        if member != self.register_id or self._kicked or self._stage is _Stage.CLOSED:
            return []
        return self._close(CloseCode.MEDIA_LOST, _NOT_LISTED)

    def _refuse(self, message: Message, status: int, reason: str, code: CloseCode = CloseCode.REFUSED) -> list[Effect]:
        # The SDK closes its socket as soon as it reads a status_code, so the close code is in the message too.
        told: Message = {"status_code": status, "error_message": reason, "close_code": int(code)}
        if isinstance(message.get("transaction"), str):
            told = {"transaction": message["transaction"], **told}
        return [ToClient(told), *self._close(code, reason)]

    def _close(self, code: CloseCode, reason: str) -> list[Effect]:
        self._stage = _Stage.CLOSED
        return [Close(code, reason)]
