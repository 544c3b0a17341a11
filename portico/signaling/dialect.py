"""The state machine between one browser and Janus: what either says goes in, orders for the connection come out.

The SDK waits for the one answer that it knows and has no branch for errors, so every request of a browser is answered:
by Janus, or by us in Janus' shape where Janus would leave it hanging, or by a `status_code`, at which the SDK gives up
its connection and tells the application.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from portico.signaling import dead_offer, policy, rooms
from portico.signaling.control import PLUGINS, TEXTROOM, VIDEOROOM, MediaRoom
from portico.signaling.effects import Admit, CheckToken, Close, CloseCode, Effect, Message, ToClient, ToJanus
from portico.signaling.mix import Mix
from portico.signaling.policy import Role

OWN_PREFIX = "portico:"
"""Begins the transactions of our own requests; a browser may not use it."""
HANDLES_MAX = 512
"""Handles of one browser at once: 4, one per published stream, one per subscription."""
PENDING_MAX = 256
"""Requests of one browser that Janus has not answered yet."""
TRANSACTION_LENGTH_MAX = 128
_NO_SUCH_FEED = {
    424,
    428,
}  # VideoRoom: unauthorized or unknown feed, what a subscriber hears of a stream that just went
_ICE_FAILED = "ICE failed"


class _Stage(Enum):
    NEW = auto()  # nothing was sent yet but `create`
    CREATING = auto()
    READY = auto()
    REFUSED = auto()  # `create` was answered as if; the next request hears why
    CLOSED = auto()


@dataclass(slots=True)
class _Handle:
    """A handle of this browser. The role is None until its first request says what it is for."""

    plugin: str
    role: Role | None = None
    feed: int | None = None  # of a publisher, once Janus has named it
    dead: bool = False  # a subscription to a stream that had gone; we answer in Janus' stead


@dataclass(slots=True)
class _Pending:
    """A request that Janus has not answered: its kind, and what to do when it does."""

    kind: str
    handle: int | None = None
    plugin: str | None = None
    role: Role | None = None
    request: str | None = None
    feed: int | None = None
    paused: dict[str, bool] | None = None


class Dialect:
    """One browser's conversation. Feed it messages in the order of their arrival; it never waits and never fails."""

    def __init__(self) -> None:
        self.participant_id: str | None = None
        """Set when the participant was admitted."""
        self.said_goodbye = False
        """Set when the browser destroyed its session: it leaves, it was not lost."""
        self._stage = _Stage.NEW
        self._room: MediaRoom | None = None
        self._token: str | None = None
        self._held: Message | None = None
        self._held_join: tuple[int, policy.Allowed] | None = None
        self._refusal: tuple[int, str] = (0, "")
        self._session_id = 0
        self._handles: dict[int, _Handle] = {}
        self._pending: dict[str, _Pending] = {}
        self._own = 0
        self._kinds = rooms.TrackKinds()
        self._mix = Mix()
        self._mixer: tuple[int, int] | None = None  # handle and number of our mixer, once it has joined

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

    def token_accepted(self, token: str, room: MediaRoom) -> list[Effect]:
        """The token that CheckToken asked about admits to the room with these numbers."""
        self._token, self._room = token, room
        message, self._held = self._held, None
        return self._take(message) if message is not None else []

    def token_refused(self, status: int, reason: str) -> list[Effect]:
        """The token does not admit. At `create` the SDK would not hear it for 30 s, so its next request is told."""
        message, self._held = self._held or {}, None
        if self._stage is _Stage.NEW and message.get("janus") == "create":
            self._stage, self._refusal = _Stage.REFUSED, (status, reason)
            return [ToClient({"janus": "success", "transaction": message["transaction"], "data": {"id": 1}})]
        return self._refuse(message, status, reason)

    def token_expired(self) -> list[Effect]:
        """The installation ends calls whose token has expired, and this one's has."""
        return [] if self._stage is _Stage.CLOSED else self._refuse({}, 401, "The token has expired.")

    def admitted(self) -> list[Effect]:
        """The participant that Admit named is in the database; Janus may hear of it."""
        held, self._held_join, message, self._held = self._held_join, None, self._held, None
        if held is None or message is None or held[1].announces is None:
            return []
        self.participant_id = held[1].announces.participant_id
        return self._forward(message, *held)

    def refused(self, status: int, reason: str) -> list[Effect]:
        """The participant that Admit named may not join."""
        message, self._held, self._held_join = self._held or {}, None, None
        return self._refuse(message, status, reason)

    def _take(self, message: Message) -> list[Effect]:
        kind = message.get("janus")
        if kind == "create":
            return self._create(message)
        if self._stage is not _Stage.READY:
            return self._refuse(message, 401, "The first request must be create, with a client_token.")
        if message["transaction"] in self._pending:
            # Its answers could not be told apart, and with them what a handle is.
            return self._refuse(message, 400, "transaction is that of a request that still waits.")
        if len(self._pending) >= PENDING_MAX:
            return self._refuse(message, 429, "Too many requests are waiting for an answer.")
        match kind:
            case "keepalive":
                return [self._to_janus(message, _Pending("keepalive"))]
            case "attach":
                return self._attach(message)
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
        return [self._answer(message, "success"), *self._close(CloseCode.GOODBYE, "goodbye")]

    def _create(self, message: Message) -> list[Effect]:
        if self._stage is not _Stage.NEW or self._token is None:
            return self._refuse(message, 401, "create comes once, first, and with a client_token.")
        self._stage = _Stage.CREATING
        self._pending[message["transaction"]] = _Pending("create")
        return [ToJanus({"janus": "create", "transaction": message["transaction"]})]

    def _attach(self, message: Message) -> list[Effect]:
        plugin = message.get("plugin")
        if not isinstance(plugin, str) or plugin not in PLUGINS:
            return self._refuse(message, 403, "This plugin is not for browsers.")
        if len(self._handles) >= HANDLES_MAX:
            return self._refuse(message, 429, "Too many handles are attached.")
        return [self._to_janus(message, _Pending("attach", plugin=plugin), plugin=plugin)]

    def _to_handle(self, kind: str, message: Message) -> list[Effect]:
        handle_id = message.get("handle_id")
        handle = self._handles.get(handle_id) if isinstance(handle_id, int) else None
        if handle is None or handle_id is None:
            # The SDK detaches twice, and trickles to what it has detached; it waits for these very answers.
            if kind == "message":
                return self._refuse(message, 404, "There is no such handle.")
            return [self._answer(message, "ack" if kind == "trickle" else "success")]
        match kind:
            case "message":
                return self._message(message, handle_id, handle)
            case "trickle":
                return self._trickle(message, handle_id, handle)
            case "detach":
                if handle.role is Role.REGISTER:
                    return self._say_goodbye(message)
                del self._handles[handle_id]
                self._pending = {key: one for key, one in self._pending.items() if one.handle != handle_id}
        return [self._to_janus(message, _Pending(kind, handle_id), handle_id=handle_id)]

    def _trickle(self, message: Message, handle_id: int, handle: _Handle) -> list[Effect]:
        if handle.dead:
            return [self._answer(message, "ack")]
        try:
            kept = policy.candidates(message)
        except policy.Refused as refused:
            return self._refuse(message, 400, str(refused))
        return [self._to_janus(message, _Pending("trickle", handle_id), handle_id=handle_id, **kept)]

    def _message(self, message: Message, handle_id: int, handle: _Handle) -> list[Effect]:
        assert self._room is not None
        sender = policy.Sender(self.participant_id, self._room, self._mix.volume)
        try:
            allowed = policy.allow(handle.plugin, handle.role, sender, message.get("body"))
            policy.jsep(message.get("jsep"))
        except policy.Refused as refused:
            return self._refuse(message, 403, str(refused))
        if handle.dead:
            return self._answer_for_the_dead(message, handle_id, allowed)
        if handle.role is None and self._has_its_only(allowed.role):
            return self._refuse(message, 403, f"This connection has a {allowed.role} already.")
        handle.role = allowed.role
        if allowed.announces is not None:
            self._held, self._held_join = message, (handle_id, allowed)
            return [Admit(allowed.announces.participant_id, allowed.announces.external)]
        return self._forward(message, handle_id, allowed)

    def _has_its_only(self, role: Role) -> bool:
        unique = role in (Role.REGISTER, Role.MIXER, Role.LISTENER)
        return unique and any(handle.role is role for handle in self._handles.values())

    def _forward(self, message: Message, handle_id: int, allowed: policy.Allowed) -> list[Effect]:
        pending = _Pending(
            "message",
            handle_id,
            self._handles[handle_id].plugin,
            allowed.role,
            allowed.body["request"],
            allowed.body.get("feed"),
            allowed.paused,
        )
        session_description = policy.jsep(message.get("jsep"))
        jsep = {} if session_description is None else {"jsep": session_description}
        return [self._to_janus(message, pending, handle_id=handle_id, body=allowed.body, **jsep)]

    # What Janus says.

    def from_janus(self, message: Message) -> list[Effect]:
        """Orders that follow from a decoded message of Janus."""
        if self._stage is _Stage.CLOSED:
            return []
        transaction = message.get("transaction", "")
        if transaction.startswith(OWN_PREFIX):
            return []
        match message.get("janus"):
            case "success":
                return self._succeeded(message, self._pending.pop(transaction, None))
            case "ack":
                return self._acknowledged(message, transaction)
            case "error":
                error = message.get("error", {})
                pending = self._pending.pop(transaction, None)
                return self._failed(message, pending, error.get("code", 0), str(error.get("reason", "unknown")))
            case "event":
                return self._event(message, self._pending.pop(transaction, None))
            case "timeout":
                return self._close(CloseCode.TIMED_OUT, "No keepalive came for too long.")
            case "hangup":
                return self._hung_up(message)
            case "detached":
                self._handles.pop(message.get("sender", 0), None)
        return [ToClient(message)]

    def _succeeded(self, message: Message, pending: _Pending | None) -> list[Effect]:
        if pending is not None and pending.kind in ("create", "attach"):
            number = message["data"]["id"]
            if pending.kind == "create":
                self._session_id, self._stage = number, _Stage.READY
            else:
                assert pending.plugin is not None
                self._handles[number] = _Handle(pending.plugin)
        return [ToClient(message)]

    def _acknowledged(self, message: Message, transaction: str) -> list[Effect]:
        pending = self._pending.get(transaction)
        if pending is not None and pending.kind in ("keepalive", "trickle"):
            del self._pending[transaction]
        return [ToClient(message)]

    def _event(self, message: Message, pending: _Pending | None) -> list[Effect]:
        content = message.get("plugindata", {}).get("data", {})
        if "destroyed" in (content.get("videoroom"), content.get("audiobridge"), content.get("textroom")):
            return []  # the SDK would take it for its own wish to leave; the socket's close code tells it better
        if "error_code" in content:
            return self._failed(message, pending, content["error_code"], str(content.get("error", "unknown")))
        assert self._room is not None
        rooms.translate(content, self._room, self._kinds)
        effects: list[Effect] = self._adjust_volume(content, pending)
        if pending is not None:
            if pending.plugin == TEXTROOM and pending.request == "setup":
                content["janus_room_id"] = self._room.text
            if pending.role is Role.REGISTER and content.get("audiobridge") == "joined":
                content.setdefault("participants", [])
            if pending.role is Role.PUBLISHER and (handle := self._handles.get(message["sender"])) is not None:
                self._learn_own_feed(handle, content)
            if pending.paused is not None and content.get("videoroom") == "attached":
                # Janus ignores what a join says about tracks; nothing flows before `start`, so this is in time.
                body = {"request": "configure", **pending.paused}
                effects.append(self._own_request("message", handle_id=message["sender"], body=body))
        effects.append(ToClient(message))
        return effects

    def _adjust_volume(self, content: dict[str, Any], pending: _Pending | None) -> list[Effect]:
        if "audiobridge" not in content:
            return []
        if pending is not None and pending.role is Role.MIXER and content["audiobridge"] == "joined":
            assert pending.handle is not None
            self._mixer = pending.handle, content["id"]
        changed = self._mix.hear(content, self._mixer[1] if self._mixer is not None else None)
        if not changed or self._mixer is None or self._mixer[0] not in self._handles:
            return []
        body = {"request": "configure", "volume": self._mix.volume}
        return [self._own_request("message", handle_id=self._mixer[0], body=body)]

    def _learn_own_feed(self, handle: _Handle, content: dict[str, Any]) -> None:
        if content.get("videoroom") == "joined":
            handle.feed = content.get("id")
        self._kinds.learn(handle.feed, content.get("streams"))

    def _failed(self, message: Message, pending: _Pending | None, code: int, reason: str) -> list[Effect]:
        if pending is None:
            return []  # nobody waits for it, and no browser can do anything about it
        transaction = {"transaction": message["transaction"]}
        match pending.kind:
            case "detach" | "hangup":
                return [self._answer(transaction, "success")]
            case "trickle":
                return [self._answer(transaction, "ack")]
        if pending.role is Role.SUBSCRIBER and pending.request == "join" and code in _NO_SUCH_FEED:
            assert pending.handle is not None and pending.feed is not None and self._room is not None
            if (handle := self._handles.get(pending.handle)) is not None:
                handle.dead = True
            attached = dead_offer.attached(self._room.room_id, pending.feed)
            return [self._plugin_event(transaction, pending.handle, attached, dead_offer.OFFER)]
        return self._refuse(transaction, 503, f"The media server refused {pending.request or pending.kind}: {reason}")

    def _hung_up(self, message: Message) -> list[Effect]:
        handle = self._handles.get(message.get("sender", 0))
        lost = handle is not None and handle.role in (Role.MIXER, Role.PUBLISHER)
        effects: list[Effect] = [ToClient(message)]
        if lost and message.get("reason") == _ICE_FAILED:
            # The SDK does not look at this: without an end of the connection it would believe to be heard.
            effects += self._close(CloseCode.FAILED, "The media connection was lost.")
        return effects

    # Subscriptions to streams that were gone when they began. They settle, and carry nothing.

    def _answer_for_the_dead(self, message: Message, handle_id: int, allowed: policy.Allowed) -> list[Effect]:
        assert self._room is not None
        answer = dead_offer.answer(allowed.body["request"], self._room.room_id)
        return [self._answer(message, "ack"), self._plugin_event(message, handle_id, answer, None)]

    # Building messages.

    def _plugin_event(
        self, message: Message, handle_id: int, content: dict[str, Any], jsep: dict[str, str] | None
    ) -> ToClient:
        event = {
            "janus": "event",
            "session_id": self._session_id,
            "transaction": message["transaction"],
            "sender": handle_id,
            "plugindata": {"plugin": VIDEOROOM, "data": content},
        }
        return ToClient(event if jsep is None else {**event, "jsep": jsep})

    def _answer(self, message: Message, kind: str) -> ToClient:
        return ToClient({"janus": kind, "session_id": self._session_id, "transaction": message["transaction"]})

    def _to_janus(self, message: Message, pending: _Pending, **members: Any) -> ToJanus:
        transaction = message["transaction"]
        self._pending[transaction] = pending
        return ToJanus(
            {"janus": message["janus"], "session_id": self._session_id, "transaction": transaction, **members}
        )

    def _own_request(self, kind: str, **members: Any) -> ToJanus:
        self._own += 1
        return ToJanus(
            {"janus": kind, "session_id": self._session_id, "transaction": f"{OWN_PREFIX}{self._own}", **members}
        )

    def _refuse(self, message: Message, status: int, reason: str) -> list[Effect]:
        told: Message = {"status_code": status, "error_message": reason}
        if isinstance(message.get("transaction"), str):
            told = {"transaction": message["transaction"], **told}
        return [ToClient(told), *self._close(CloseCode.REFUSED, reason)]

    def _close(self, code: CloseCode, reason: str) -> list[Effect]:
        self._stage = _Stage.CLOSED
        return [Close(code, reason)]
