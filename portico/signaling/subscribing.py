"""The subscriptions of one browser to streams of other participants, which may end at any moment."""

from typing import Any

from portico.signaling.effects import Effect, Message, ToClient
from portico.signaling.pacing import Pacing
from portico.signaling.wire import Pending, Wire


def unacceptable(kind: str, reason: str) -> dict[str, str]:
    """An offer or answer that every browser rejects, with this reason in its error message.

    The SDK has no branch for an error of Janus: the application's promise would never settle. This way it is rejected.
    """
    return {"type": kind, "sdp": f"{reason}\r\n"}


NOTHING = unacceptable("offer", "The stream has gone.")
_NO_SUCH_FEED = {424, 428}
"""Error codes of the VideoRoom for a stream that has just ended: no such feed, unauthorized."""


class Subscribing:
    """The subscriptions of one browser."""

    def __init__(self, wire: Wire, pacing: Pacing, room_id: str) -> None:
        self._wire = wire
        self._pacing = pacing
        self._room_id = room_id

    def request(self, message: Message, pending: Pending) -> list[Effect]:
        """Note a subscriber's request. Returns its rejection if the stream has ended, nothing if it may go to Janus."""
        assert pending.handle is not None
        if pending.feed is not None:
            self._pacing.subscribe(pending.handle, pending.feed)
        if pending.request == "start" and not self._pacing.start(pending.handle):
            return [self._wire.answer(message, "ack"), *self._reject_start(message, pending.handle)]
        return []

    def refuse(self, message: Message, pending: Pending, reason: str) -> list[Effect]:
        """Reject a join without sending it to Janus: the application receives the reason."""
        return [self._wire.answer(message, "ack"), *self.without_offer(message, pending, unacceptable("offer", reason))]

    def without_offer(self, message: Message, pending: Pending, jsep: dict[str, str]) -> list[Effect]:
        """Reject a join that is acknowledged already, with this unacceptable offer."""
        assert pending.handle is not None
        attached: dict[str, Any] = {"videoroom": "attached", "room": self._room_id, "id": pending.feed, "streams": []}
        return [self._wire.plugin_event(message, pending.handle, attached, jsep), *self._drop(pending.handle)]

    def answered(self, message: Message, content: dict[str, Any], pending: Pending) -> list[Effect]:
        """Pass Janus' answer on, or reject the subscription if the end of its stream was sent to the browser."""
        handle_id = message["sender"]
        if content.get("videoroom") == "attached":
            if (scheduled := self._pacing.offered(handle_id)) is None:
                message["jsep"] = NOTHING
                return [ToClient(message), *self._drop(handle_id)]
            paused: list[Effect] = []
            if pending.paused is not None:
                # Janus ignores `audio` and `video` of a join. No media flows before `start`, so this is in time.
                paused = self._wire.own_requests([(handle_id, {"request": "configure", **pending.paused})])
            return [*paused, ToClient(message), scheduled]
        if "started" in content:
            if (scheduled := self._pacing.started(handle_id)) is None:
                return self._reject_start(message, handle_id)
            return [ToClient(message), scheduled]
        return [ToClient(message)]

    def failed(self, message: Message, pending: Pending, code: int) -> list[Effect]:
        """Reject a subscription whose stream has ended, on this error code; nothing for other errors."""
        assert pending.handle is not None
        if pending.request == "start":
            return self._reject_start(message, pending.handle)
        if pending.request == "join" and code in _NO_SUCH_FEED:
            return self.without_offer(message, pending, NOTHING)
        return []

    def _reject_start(self, message: Message, handle_id: int) -> list[Effect]:
        """Reject `start`: the stream ended after its offer. The SDK rejects upon an event without content."""
        return [self._wire.plugin_event(message, handle_id), *self._drop(handle_id)]

    def _drop(self, handle_id: int) -> list[Effect]:
        """Detach the handle of a rejected subscription, which the SDK forgets without detaching it."""
        detach = [self._wire.own_request("detach", handle_id=handle_id)] if self._wire.forget(handle_id) else []
        return [*detach, *self._pacing.settled(handle_id)]
