"""Messages in Janus' form, the handles of one browser, and its requests that Janus has not answered yet."""

from dataclasses import dataclass, field
from typing import Any

from portico.signaling.control import VIDEOROOM, PluginRequests
from portico.signaling.effects import Effect, Message, ToClient, ToJanus
from portico.signaling.policy import Role

OWN_PREFIX = "portico:"
"""The beginning of the transactions of our own requests. A browser may not use it."""


@dataclass(slots=True)
class Pending:
    """A request that Janus has not answered, as far as acting on the answer depends on it."""

    kind: str
    """`janus` of the request, or "waiting" for one that is held and not sent yet."""
    handle: int | None = None
    plugin: str | None = None
    role: Role | None = None
    request: str | None = None
    """`body.request` of a message to a plugin."""
    feed: int | None = None
    """The feed that a subscriber asks for."""
    paused: dict[str, bool] | None = None
    """The `paused` of policy.Allowed."""
    negotiates: bool = False
    """Whether the request contains an offer or answer."""


@dataclass(slots=True)
class Handle:
    """A handle of the browser. The role is None until its first request sets it."""

    plugin: str
    role: Role | None = None
    negotiated: bool = False
    """Whether an offer or answer was sent to Janus, which has not hung up since: the handle may use UDP ports."""
    is_up: bool = False
    """Whether ICE and DTLS are done: media can flow."""
    has_had_media: bool = False
    """Whether media has arrived since the negotiation."""
    hangs_up: bool = False
    """Whether a request ends the PeerConnection, and Janus has not reported its `hangup` yet."""
    receiving: set[str] = field(default_factory=set)
    """The tracks and simulcast substreams that receive media now, each as "mid/substream"."""

    def media_changed(self, medium: str, receives: bool) -> None:
        """Note Janus' report that a track or substream began or ceased to receive media."""
        self.has_had_media = self.has_had_media or receives
        (self.receiving.add if receives else self.receiving.discard)(medium)

    def hung_up(self) -> None:
        """Note that Janus has closed the PeerConnection."""
        self.negotiated = self.is_up = self.has_had_media = self.hangs_up = False
        self.receiving.clear()


class Wire:
    """Builds the messages of one browser's Janus session, and keeps its handles and pending requests."""

    def __init__(self) -> None:
        self.session_id = 0
        self.pending: dict[str, Pending] = {}
        self.handles: dict[int, Handle] = {}
        self._own = 0

    def to_janus(self, message: Message, pending: Pending, **members: Any) -> ToJanus:
        """Send a request of the browser to Janus, with these members, and keep it as pending."""
        self.pending[message["transaction"]] = pending
        return self._request(message["janus"], message["transaction"], members)

    def own_request(self, kind: str, **members: Any) -> ToJanus:
        """Send a request of ours to Janus. The browser does not receive its answer."""
        self._own += 1
        return self._request(kind, f"{OWN_PREFIX}{self._own}", members)

    def own_requests(self, requests: PluginRequests) -> list[Effect]:
        """Send several requests of ours to plugins."""
        return [self.own_request("message", handle_id=handle_id, body=body) for handle_id, body in requests]

    def answer(self, message: Message, kind: str) -> ToClient:
        """Answer a request of the browser with this `janus` kind, without asking Janus."""
        return ToClient({"janus": kind, "session_id": self.session_id, "transaction": message["transaction"]})

    def plugin_event(
        self,
        message: Message,
        handle_id: int,
        content: dict[str, Any] | None = None,
        jsep: dict[str, str] | None = None,
    ) -> ToClient:
        """Answer a request of the browser with an event in the VideoRoom's form."""
        event = {
            "janus": "event",
            "session_id": self.session_id,
            "transaction": message["transaction"],
            "sender": handle_id,
            "plugindata": {"plugin": VIDEOROOM, **({} if content is None else {"data": content})},
        }
        return ToClient(event if jsep is None else {**event, "jsep": jsep})

    def is_negotiating(self, handle_id: int) -> bool:
        """Whether a request of this handle with an offer or answer is pending."""
        return any(one.negotiates and one.handle == handle_id for one in self.pending.values())

    def take_pending(self, handle_id: int) -> tuple[Message, Pending] | None:
        """Remove and return the request that a plugin works on for this handle: ({"transaction": ...}, request)."""
        for transaction, one in self.pending.items():
            if one.handle == handle_id and one.kind == "message":
                del self.pending[transaction]
                return {"transaction": transaction}, one
        return None

    def busy_handles(self) -> set[int | None]:
        """The ids of the handles on which a plugin works on a request."""
        return {one.handle for one in self.pending.values() if one.kind == "message"}

    def note_answer(self, message: Message) -> None:
        """Remove the pending request that this message of Janus answers; the answer itself is not needed."""
        if message.get("janus") != "ack":
            self.pending.pop(message.get("transaction", ""), None)

    def count(self, role: Role, *, negotiated: bool = False) -> int:
        """The number of handles with this role, or of those that may use UDP ports."""
        return sum(handle.role is role and (handle.negotiated or not negotiated) for handle in self.handles.values())

    def forget(self, handle_id: int) -> bool:
        """Forget a handle that no longer exists, and its pending requests; False if there was no such handle.

        PluginRequests that wait for their turn stay, and are answered then.
        """
        self.pending = {
            key: one for key, one in self.pending.items() if one.handle != handle_id or one.kind == "waiting"
        }
        return self.handles.pop(handle_id, None) is not None

    def _request(self, kind: str, transaction: str, members: dict[str, Any]) -> ToJanus:
        return ToJanus({"janus": kind, "session_id": self.session_id, "transaction": transaction, **members})
