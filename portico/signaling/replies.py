"""Acts on the messages of Janus for one browser: answers and events are passed on, changed or dropped."""

from typing import Any

from portico.signaling import liveness, send_only
from portico.signaling.control import TEXTROOM, MediaRoom
from portico.signaling.effects import CloseCode, Effect, LogWarning, Message, ToClient
from portico.signaling.limits import NO_PORT
from portico.signaling.policy import Role
from portico.signaling.state import Stage, State
from portico.signaling.subscribing import unacceptable
from portico.signaling.translate import translate
from portico.signaling.wire import OWN_PREFIX, Handle, Pending

NO_TEXT_ROOM = 1
"""The `janus_room_id` for a browser that may not send messages: no TextRoom has this number, so its joins fail."""
NOT_LISTED = "The media server does not list the participant any more."
_NO_PORT_LEFT = LogWarning("Janus has no UDP port left for a stream: widen PORTICO_RTP_PORTS.")


def ice_member(servers: list[dict[str, Any]]) -> Message:
    """The member by which connect.js receives ICE servers. The SDK reads no member of this name."""
    return {"portico": {"ice_servers": servers}}


class JanusReplies:
    """Acts on the messages of Janus for one browser."""

    def __init__(self, state: State) -> None:
        self._state = state

    def receive(self, message: Message) -> list[Effect]:
        """Act on a decoded message of Janus."""
        transaction, wire = message.get("transaction", ""), self._state.wire
        if transaction.startswith(OWN_PREFIX):
            return self._own_answer(message)
        match message.get("janus"):
            case "success":
                return self._succeeded(message, wire.pending.pop(transaction, None))
            case "ack":
                return self._acknowledged(message, transaction)
            case "error":
                error = message.get("error", {})
                pending = wire.pending.pop(transaction, None)
                return self._failed(message, pending, error.get("code", 0), str(error.get("reason", "unknown")))
            case "event":
                return self._event(message, wire.pending.pop(transaction, None))
            case "timeout":
                return self._state.close(CloseCode.TIMED_OUT, "No keepalive arrived for too long.")
            case "webrtcup" | "hangup" | "media" | "detached" as change:
                return [ToClient(message), *self._media_changed(change, message, message.get("sender", 0))]
        return [ToClient(message)]

    # Answers.

    def _own_answer(self, message: Message) -> list[Effect]:
        content = {**message.get("error", {}), **message.get("plugindata", {}).get("data", {})}
        if not (code := content.get("code") or content.get("error_code")):
            return []
        reason = content.get("reason") or content.get("error")
        return [LogWarning(f"Janus refused a request of ours: {reason} ({code})")]

    def _succeeded(self, message: Message, pending: Pending | None) -> list[Effect]:
        if pending is not None and pending.kind in ("create", "attach"):
            number = message["data"]["id"]
            if pending.kind == "create":
                self._state.wire.session_id, self._state.stage = number, Stage.READY
                message = {**message, **ice_member(self._state.ice_servers)}
            else:
                assert pending.plugin is not None
                self._state.wire.handles[number] = Handle(pending.plugin)
        return [ToClient(message)]

    def _acknowledged(self, message: Message, transaction: str) -> list[Effect]:
        # An `ack` is the final answer to these two; for a plugin's request, an event follows.
        pending = self._state.wire.pending.get(transaction)
        if pending is not None and pending.kind in ("keepalive", "trickle"):
            del self._state.wire.pending[transaction]
        return [ToClient(message)]

    def _event(self, message: Message, pending: Pending | None) -> list[Effect]:
        """Act on an event of a plugin: the answer to `pending`, or a report of a change (None)."""
        content = message.get("plugindata", {}).get("data", {})
        if "destroyed" in (content.get("videoroom"), content.get("audiobridge"), content.get("textroom")):
            return []  # the SDK would report "user_initiated"; the close code of the socket says what happened
        if "error_code" in content:
            return self._failed(message, pending, content["error_code"], str(content.get("error", "unknown")))
        assert self._state.room is not None
        translate(content, self._state.room, self._state.kinds)
        if "moderation" in content:
            return []  # its track was not announced to the browser, whose SDK would fail on it
        effects = self._bridge_event(message, content, pending) if "audiobridge" in content else []
        if pending is None:
            return [*effects, *self._state.pacing.deliver(message)]
        if pending.role is Role.SUBSCRIBER:
            assert self._state.subscribing is not None
            return [*effects, *self._state.subscribing.answered(message, content, pending)]
        effects += [*self._complete(message, content, pending, self._state.room), ToClient(message)]
        if pending.role in (Role.REGISTER, Role.LISTENER) and pending.request == "join":
            effects.append(self._state.pacing.roster_sent(message["sender"]))
        return effects

    def _bridge_event(self, message: Message, content: dict[str, Any], pending: Pending | None) -> list[Effect]:
        publishing, role = self._state.publishing, pending.role if pending is not None else None
        assert publishing is not None
        may_publish = self._state.permissions.can_publish
        effects = publishing.receive_bridge(content, role, message["sender"], may_publish=may_publish)
        if self._state.is_kicked and role is Role.REGISTER:
            effects += publishing.kick()  # the kick preceded this answer, without which no member could be kicked
        return effects

    def _complete(self, message: Message, content: dict[str, Any], pending: Pending, room: MediaRoom) -> list[Effect]:
        """Give Janus' answer, in place, the form that the SDK expects; returns the effects that follow from it."""
        permissions = self._state.permissions
        if pending.plugin == TEXTROOM and pending.request == "setup":
            content["janus_room_id"] = room.text if permissions.can_send_messages else NO_TEXT_ROOM
        if pending.role is Role.REGISTER and content.get("audiobridge") == "joined":
            content.setdefault("participants", [])
        if pending.role is Role.MIXER and "jsep" in message and not permissions.can_subscribe:
            message["jsep"] = send_only.answer(message["jsep"])
        if pending.role is Role.PUBLISHER:
            assert self._state.publishing is not None
            return self._state.publishing.receive_answer(message["sender"], content, negotiated="jsep" in message)
        return []

    def _failed(self, message: Message, pending: Pending | None, code: int, reason: str) -> list[Effect]:
        """Act on an error of Janus, for which the SDK has no branch: it would wait for ever."""
        if pending is None:
            return []  # no request waits for it
        transaction = {"transaction": message["transaction"]}
        if pending.negotiates and reason == liveness.NO_PORT_ERROR:
            return self._offer_without_port(transaction, pending)
        match pending.kind:
            case "detach" | "hangup":
                return [self._state.wire.answer(transaction, "success")]
            case "trickle":
                return [self._state.wire.answer(transaction, "ack")]
        if pending.role is Role.SUBSCRIBER:
            assert self._state.subscribing is not None
            if answers := self._state.subscribing.failed(transaction, pending, code):
                return answers
        sentence = f"The media server refused {pending.request or pending.kind}: {reason}"
        return self._state.refuse(transaction, 503, sentence, CloseCode.UNAVAILABLE)

    # Changes of a handle's media.

    def _media_changed(self, change: str, message: Message, handle_id: int) -> list[Effect]:
        publishing, handle = self._state.publishing, self._state.wire.handles.get(handle_id)
        if publishing is None:
            return []
        match change:
            case "hangup":
                return self._hung_up(handle_id, handle, str(message.get("reason")))
            case "detached":
                self._state.wire.handles.pop(handle_id, None)
                if handle is not None and handle.role is Role.REGISTER:
                    return self._state.close(CloseCode.MEDIA_LOST, NOT_LISTED)
                return [*publishing.detached(handle_id), *self._state.pacing.settled(handle_id)]
            case "webrtcup":
                if handle is not None:
                    handle.is_up = True
                return publishing.connected(handle_id)
        receives = message.get("receiving") is True
        if handle is not None:
            handle.media_changed(f"{message.get('mid')}/{message.get('substream', 0)}", receives)
        if receives:
            return publishing.media_arrived(handle_id, message.get("mid"))
        self._state.silences += not any(one.receiving for one in self._state.wire.handles.values())
        return publishing.report(handle_id)

    def _hung_up(self, handle_id: int, handle: Handle | None, reason: str) -> list[Effect]:
        """Act on a PeerConnection that Janus has closed for this reason."""
        assert self._state.publishing is not None
        lost = liveness.is_lost(handle, reason)
        if handle is not None:
            handle.hung_up()
        ended = self._state.publishing.stop(handle_id)
        if handle is not None and reason in liveness.NO_PORT_REASONS:
            return [*ended, *self._without_port(handle_id)]
        if lost:
            return [*ended, *self._state.close(CloseCode.MEDIA_LOST, f"The media connection was lost: {reason}.")]
        return ended

    def _without_port(self, handle_id: int) -> list[Effect]:
        """Answer the request for which Janus, without a free port, makes no offer: the SDK would wait for ever.

        A request with the browser's offer is answered by Janus with an error, before or after this.
        """
        wire = self._state.wire
        if wire.is_negotiating(handle_id) or (waiting := wire.take_pending(handle_id)) is None:
            return []
        transaction, pending = waiting
        if pending.role is not Role.SUBSCRIBER:
            return self._state.refuse(transaction, 503, NO_PORT, CloseCode.UNAVAILABLE)
        assert self._state.subscribing is not None
        rejection = unacceptable("offer", NO_PORT)
        return [_NO_PORT_LEFT, *self._state.subscribing.without_offer(transaction, pending, rejection)]

    def _offer_without_port(self, message: Message, pending: Pending) -> list[Effect]:
        """Answer an offer for which Janus has no free port. A call goes on without a stream, not without a mixer."""
        assert pending.handle is not None and self._state.room is not None
        if pending.role is not Role.PUBLISHER:
            return [_NO_PORT_LEFT, *self._state.refuse(message, 503, NO_PORT, CloseCode.UNAVAILABLE)]
        if (handle := self._state.wire.handles.get(pending.handle)) is not None:
            handle.hung_up()
        content = {"videoroom": "event", "room": self._state.room.room_id, "configured": "ok", "streams": []}
        answer = self._state.wire.plugin_event(message, pending.handle, content, unacceptable("answer", NO_PORT))
        return [_NO_PORT_LEFT, answer]
