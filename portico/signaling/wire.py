"""Messages in Janus' form, the handles they are about, and the requests that Janus has not answered yet."""

from dataclasses import dataclass, field
from typing import Any

from portico.signaling.control import VIDEOROOM, Requests
from portico.signaling.effects import Effect, Message, ToClient, ToJanus
from portico.signaling.policy import Role

OWN_PREFIX = "portico:"
"""Begins the transactions of our own requests; a browser may not use it."""


@dataclass(slots=True)
class Pending:
    """A request that Janus has not answered: its kind, and what to do when it does."""

    kind: str
    handle: int | None = None
    plugin: str | None = None
    role: Role | None = None
    request: str | None = None
    feed: int | None = None
    paused: dict[str, bool] | None = None
    negotiates: bool = False
    """Whether an offer or answer came with it."""


@dataclass(slots=True)
class Handle:
    """A handle of this browser. The role is None until its first request says what it is for."""

    plugin: str
    role: Role | None = None
    negotiated: bool = False
    """Whether Janus was given an offer or answer, and has not hung up since: it may hold ports."""
    is_up: bool = False
    """Whether ICE and DTLS are done: media can flow."""
    came: bool = False
    """Whether media has arrived since."""
    hangs_up: bool = False
    """Whether the browser has asked for the end of the PeerConnection, and Janus has not reported it yet."""
    receiving: set[str] = field(default_factory=set)
    """The media, and the substreams of simulcast, that arrive now, by mid and substream."""

    def received(self, medium: str, receives: bool) -> None:
        """Janus says that a medium has begun or ceased to arrive."""
        self.came = self.came or receives
        (self.receiving.add if receives else self.receiving.discard)(medium)

    def hung_up(self) -> None:
        """Janus has closed the PeerConnection."""
        self.negotiated = self.is_up = self.came = self.hangs_up = False
        self.receiving.clear()


class Wire:
    """Both directions of one browser's conversation, once Janus has given it a session."""

    def __init__(self) -> None:
        self.session_id = 0
        self.pending: dict[str, Pending] = {}
        self.handles: dict[int, Handle] = {}
        self._own = 0

    def to_janus(self, message: Message, pending: Pending, **members: Any) -> ToJanus:
        """A request of the browser as it goes on."""
        self.pending[message["transaction"]] = pending
        return self._request(message["janus"], message["transaction"], members)

    def own_request(self, kind: str, **members: Any) -> ToJanus:
        """A request of ours, whose answer the browser does not see."""
        self._own += 1
        return self._request(kind, f"{OWN_PREFIX}{self._own}", members)

    def own_requests(self, requests: Requests) -> list[Effect]:
        """Several of them to plugins."""
        return [self.own_request("message", handle_id=handle_id, body=body) for handle_id, body in requests]

    def answer(self, message: Message, kind: str) -> ToClient:
        """Our answer to a request of the browser."""
        return ToClient({"janus": kind, "session_id": self.session_id, "transaction": message["transaction"]})

    def plugin_event(
        self,
        message: Message,
        handle_id: int,
        content: dict[str, Any] | None = None,
        jsep: dict[str, str] | None = None,
    ) -> ToClient:
        """Our answer in the VideoRoom's stead."""
        event = {
            "janus": "event",
            "session_id": self.session_id,
            "transaction": message["transaction"],
            "sender": handle_id,
            "plugindata": {"plugin": VIDEOROOM, **({} if content is None else {"data": content})},
        }
        return ToClient(event if jsep is None else {**event, "jsep": jsep})

    def is_negotiating(self, handle_id: int) -> bool:
        """Whether Janus has not answered an offer or answer of this handle yet."""
        return any(one.negotiates and one.handle == handle_id for one in self.pending.values())

    def take_pending(self, handle_id: int) -> tuple[Message, Pending] | None:
        """The request on which a plugin works for this handle, with its transaction; it is not pending any more."""
        for transaction, one in self.pending.items():
            if one.handle == handle_id and one.kind == "message":
                del self.pending[transaction]
                return {"transaction": transaction}, one
        return None

    def busy_handles(self) -> set[int | None]:
        """Those on which a plugin has not answered a request yet."""
        return {one.handle for one in self.pending.values() if one.kind == "message"}

    def note_answer(self, message: Message) -> None:
        """Janus has answered a request whose answer nobody takes any more."""
        if message.get("janus") != "ack":
            self.pending.pop(message.get("transaction", ""), None)

    def count(self, role: Role, *, negotiated: bool = False) -> int:
        """Handles with this role, or only those that may hold ports."""
        return sum(handle.role is role and (handle.negotiated or not negotiated) for handle in self.handles.values())

    def forget(self, handle_id: int) -> bool:
        """There is no such handle any more, and nobody waits for what was asked on it; False if there was none.

        What waits for its turn is answered when that comes.
        """
        self.pending = {
            key: one for key, one in self.pending.items() if one.handle != handle_id or one.kind == "waiting"
        }
        return self.handles.pop(handle_id, None) is not None

    def _request(self, kind: str, transaction: str, members: dict[str, Any]) -> ToJanus:
        return ToJanus({"janus": kind, "session_id": self.session_id, "transaction": transaction, **members})
