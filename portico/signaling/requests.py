"""Acts on the requests of one browser with an accepted token: passes them to Janus, holds, answers or refuses them."""

from typing import Any

from portico.signaling import liveness, policy, send_only
from portico.signaling.control import PLUGINS
from portico.signaling.effects import Admit, ClaimStream, CloseCode, Effect, ExpectJoin, ExpectMedia, Message
from portico.signaling.policy import Role
from portico.signaling.state import Stage, State
from portico.signaling.stream_ids import OF_ONE_MAX
from portico.signaling.subscribing import unacceptable
from portico.signaling.wire import Handle, Pending


class BrowserRequests:
    """Acts on the requests of one browser."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._held: Message | None = None  # the join of the register, which waits for Admit
        self._claimed: set[str] = set()  # stream ids of which this participant is the owner in all processes
        self._claiming: dict[str, list[tuple[Message, int, policy.Allowed]]] = {}  # requests that wait for ClaimStream
        self._held_join: tuple[int, policy.Allowed] | None = None  # its handle, and what it asks for
        self.left_by_request = False
        """Set when the browser asked for the end of its session: it leaves, and is not lost."""

    def receive(self, message: Message) -> list[Effect]:
        """Act on a request other than `create`."""
        match kind := message.get("janus"):
            case "keepalive":
                return [self._state.wire.to_janus(message, Pending("keepalive"))]
            case "attach":
                return [*self._state.pacing.next_step(), *self._attach(message)]
            case "destroy":
                return self._leave(message)
            case "path_lost":
                return self._path_lost(message)
            case "message" | "trickle" | "detach" | "hangup":
                return self._to_handle(kind, message)
        return self._state.refuse(message, 403, "This request is not for browsers.")

    def take_turns(self) -> list[Effect]:
        """Act on the requests that waited for an answer of Janus and need not wait any more."""
        effects: list[Effect] = []
        while self._state.stage is not Stage.CLOSED and (message := self._state.turns.next()) is not None:
            effects += self._to_handle(message["janus"], message, has_waited=True)
        return effects

    def admitted(self, max_participants: int) -> list[Effect]:
        """Send the join of the register to Janus: the participant that Admit named is written."""
        self._state.limits.seats = max_participants
        held, self._held_join, message, self._held = self._held_join, None, self._held, None
        if held is None or message is None or held[1].announces is None:
            return []
        self._state.participant_id = held[1].announces.participant_id
        return self._forward(message, *held)

    def refused(self, status: int, reason: str, code: CloseCode) -> list[Effect]:
        """Refuse the join of the register: the participant that Admit named may not join."""
        message, self._held, self._held_join = self._held or {}, None, None
        return self._state.refuse(message, status, reason, code)

    def stream_claimed(self, stream_id: str, is_ours: bool) -> list[Effect]:
        """Go on with the requests that wait for this claim, or refuse them."""
        effects: list[Effect] = []
        if is_ours:
            if len(self._claimed) >= OF_ONE_MAX:
                self._claimed.clear()  # they are claimed anew when they are used
            self._claimed.add(stream_id)
        for message, handle_id, allowed in self._claiming.pop(stream_id, ()):
            if not is_ours:
                return self._state.refuse(message, 403, "The stream id is another participant's.")
            if (handle := self._state.wire.handles.get(handle_id)) is not None:
                effects += self._allowed(message, handle_id, handle, allowed)
        return effects

    def _leave(self, message: Message) -> list[Effect]:
        """End the connection at the browser's request: its session, or the register that lists it, is to end.

        The request does not go to Janus, which would report the leave to others before its row is written. Janus'
        session ends with its socket, after the row.
        """
        self.left_by_request = True
        return [self._state.wire.answer(message, "success"), *self._state.close(CloseCode.GOODBYE, "goodbye")]

    def _path_lost(self, message: Message) -> list[Effect]:
        """Act on the report of connect.js that a PeerConnection of the browser is not connected any more.

        Janus before 1.2 learns it after 65 s. The report ends the reporting connection only, and never reaches Janus.
        """
        wire, handle_id = self._state.wire, message.get("handle_id")
        handle = wire.handles.get(handle_id) if isinstance(handle_id, int) else None
        answer = wire.answer(message, "ack")
        if not liveness.can_be_lost(handle):
            return [answer]
        reason = "The media connection was lost: the browser reports it."
        return [answer, *self._state.close(CloseCode.MEDIA_LOST, reason)]

    def _attach(self, message: Message) -> list[Effect]:
        plugin = message.get("plugin")
        if not isinstance(plugin, str) or plugin not in PLUGINS:
            return self._state.refuse(message, 403, "This plugin is not for browsers.")
        if self._state.limits.refuses_handle(joined=self._state.participant_id is not None):
            return self._state.refuse(message, 429, "Too many handles are attached.")
        pending = Pending("attach", plugin=plugin)
        return [self._state.wire.to_janus(message, pending, plugin=plugin, opaque_id=self._state.owner)]

    def _to_handle(self, kind: str, message: Message, *, has_waited: bool = False) -> list[Effect]:
        wire, handle_id = self._state.wire, message.get("handle_id")
        handle = wire.handles.get(handle_id) if isinstance(handle_id, int) else None
        if handle is None or handle_id is None:
            # The SDK detaches a handle twice, and trickles to one that it has detached. It waits for these answers.
            if kind == "message":
                return self._state.refuse(message, 404, "There is no such handle.")
            return [wire.answer(message, "ack" if kind == "trickle" else "success")]
        # A hangup that races with a negotiation crashes Janus 1.1.2. No SDK sends one: detach ends the media as well.
        if kind == "hangup" or (kind == "trickle" and handle.role not in policy.WITH_MEDIA):
            return [wire.answer(message, "ack" if kind == "trickle" else "success")]
        if kind != "trickle" and not has_waited and self._state.turns.must_wait(handle_id, message):
            if message.get("jsep") is not None and wire.is_negotiating(handle_id):
                return self._state.refuse(message, 400, "An offer or answer of this handle still waits for its answer.")
            self._state.turns.hold(handle_id, message)
            return []
        match kind:
            case "message":
                return self._message(message, handle_id, handle)
            case "trickle":
                return self._trickle(message, handle_id)
        return self._detach(message, handle_id, handle)

    def _detach(self, message: Message, handle_id: int, handle: Handle) -> list[Effect]:
        if handle.role is Role.REGISTER:
            return self._leave(message)
        assert self._state.publishing is not None
        self._state.wire.forget(handle_id)
        ended = self._state.publishing.detached(handle_id)
        waited = self._state.pacing.settled(handle_id)
        sent = self._state.wire.to_janus(message, Pending("detach", handle_id), handle_id=handle_id)
        return [*waited, sent, *ended]

    def _trickle(self, message: Message, handle_id: int) -> list[Effect]:
        try:
            candidates = policy.candidates(message)
        except policy.RequestRefused as refused:
            return self._state.refuse(message, 400, str(refused))
        pending = Pending("trickle", handle_id)
        return [self._state.wire.to_janus(message, pending, handle_id=handle_id, **candidates)]

    def _message(self, message: Message, handle_id: int, handle: Handle) -> list[Effect]:
        if self._state.is_kicked:
            return self._state.close(CloseCode.REMOVED, "The participant was removed.")
        sender = self._sender()
        try:
            allowed = policy.allow(handle.plugin, handle.role, sender, message.get("body"))
            policy.jsep(message.get("jsep"), allowed)
        except policy.RequestRefused as refused:
            return self._state.refuse(message, 403, str(refused))
        if handle.role is None and self._has_its_only(allowed.role):
            return self._state.refuse(message, 403, f"This connection has a {allowed.role} already.")
        if (claim := self._claim(message, handle_id, allowed)) is not None:
            return claim
        return self._allowed(message, handle_id, handle, allowed)

    def _claim(self, message: Message, handle_id: int, allowed: policy.Allowed) -> list[Effect] | None:
        """Hold a request that names a stream id which is not claimed in other processes; None for all others."""
        stream = allowed.publishes
        if stream is None or not self._state.streams.is_shared or stream.stream_id in self._claimed:
            return None
        held = self._claiming.setdefault(stream.stream_id, [])
        held.append((message, handle_id, allowed))
        return [ClaimStream(stream.stream_id, stream.participant_id)] if len(held) == 1 else []

    def _allowed(self, message: Message, handle_id: int, handle: Handle, allowed: policy.Allowed) -> list[Effect]:
        self._note(handle_id, handle, allowed)
        if allowed.announces is not None:
            if self._state.text_name not in (None, allowed.announces.participant_id):
                reason = "display names another participant than the one in the TextRoom."
                return self._state.refuse(message, 403, reason)
            self._held, self._held_join = message, (handle_id, allowed)
            return [Admit(allowed.announces.participant_id, allowed.announces.external)]
        # The data channel reaches the TextRoom before any participant is announced, so the join has a deadline.
        unseen = allowed.role is Role.TEXT and self._state.participant_id is None
        return [*([ExpectJoin()] if unseen else []), *self._forward(message, handle_id, allowed)]

    def _sender(self) -> policy.Requester:
        state = self._state
        assert state.room is not None and state.publishing is not None
        volume, muted = state.publishing.volume, state.publishing.muted
        return policy.Requester(state.participant_id, state.room, volume, state.streams.owner, state.permissions, muted)

    def _note(self, handle_id: int, handle: Handle, allowed: policy.Allowed) -> None:
        """Keep what an allowed request states: the handle's role, the owner of a stream id, tracks and microphone."""
        assert self._state.publishing is not None
        handle.role = allowed.role
        if allowed.publishes is not None:
            self._state.streams.claim(allowed.publishes.stream_id, allowed.publishes.participant_id)
        self._state.publishing.note_request(handle_id, allowed)

    def _has_its_only(self, role: Role) -> bool:
        return role in policy.ONLY_ONE and any(handle.role is role for handle in self._state.wire.handles.values())

    def _forward(self, message: Message, handle_id: int, allowed: policy.Allowed) -> list[Effect]:
        """Send an allowed request to Janus, or answer it here where Janus must not receive it."""
        handle, request = self._state.wire.handles[handle_id], allowed.body["request"]
        feed = allowed.body.get("feed")
        pending = Pending("message", handle_id, handle.plugin, allowed.role, request, feed, allowed.paused)
        if allowed.role is Role.SUBSCRIBER:
            assert self._state.subscribing is not None
            if request == "join" and (reason := self._state.limits.refuses_subscription()):
                return self._state.subscribing.refuse(message, pending, reason)
            if answers := self._state.subscribing.request(message, pending):
                return answers
        jsep = policy.jsep(message.get("jsep"), allowed)
        if jsep is None:
            if (allowed.role, request) in policy.HANGING_UP:
                handle.hangs_up = handle.negotiated
            return [self._state.wire.to_janus(message, pending, handle_id=handle_id, body=allowed.body)]
        pending.negotiates = True
        if allowed.role is Role.PUBLISHER and (reason := self._state.limits.refuses_stream(handle)):
            return self._refuse_stream(message, handle_id, reason)
        if allowed.role is Role.MIXER and not self._state.permissions.can_subscribe:
            jsep = send_only.offer(jsep)
        expected: ExpectMedia | None = liveness.expected(handle_id, handle)
        sent = self._state.wire.to_janus(message, pending, handle_id=handle_id, body=allowed.body, jsep=jsep)
        return [sent] if expected is None else [sent, expected]

    def _refuse_stream(self, message: Message, handle_id: int, reason: str) -> list[Effect]:
        """Answer the offer of a publisher with an SDP answer that no browser accepts, so that the call goes on."""
        wire, body = self._state.wire, message["body"]
        content: dict[str, Any] = {"videoroom": "event", "room": body.get("room"), "configured": "ok", "streams": []}
        answer = wire.plugin_event(message, handle_id, content, unacceptable("answer", reason))
        return [wire.answer(message, "ack"), answer]
