"""A browser's subscriptions to the streams of others, any of which may end at any moment."""

from typing import Any

from portico.signaling.effects import Effect, Message, ToClient
from portico.signaling.pacing import Pacing
from portico.signaling.wire import Pending, Wire


def unacceptable(kind: str, reason: str) -> dict[str, str]:
    """An offer or answer that no browser takes. For an error of Janus the SDK has no branch, and the application's
    promise would never settle; so it is rejected, with the browser's quotation of these words in its reason."""
    return {"type": kind, "sdp": f"{reason}\r\n"}


NOTHING = unacceptable("offer", "The stream has gone.")
_NO_SUCH_FEED = {424, 428}
"""What VideoRoom says of a stream that has just gone: unauthorized, or unknown."""


class Subscribing:
    """Of one browser in one room."""

    def __init__(self, wire: Wire, pacing: Pacing, room_id: str) -> None:
        self._wire = wire
        self._pacing = pacing
        self._room_id = room_id

    def asked(self, message: Message, pending: Pending) -> list[Effect]:
        """A subscriber asks Janus for something; what it hears if there is no use in that."""
        assert pending.handle is not None
        if pending.feed is not None:
            self._pacing.subscribe(pending.handle, pending.feed)
        if pending.request == "start" and not self._pacing.start(pending.handle):
            return [self._wire.answer(message, "ack"), *self._reject_start(message, pending.handle)]
        return []

    def refuse(self, message: Message, pending: Pending, reason: str) -> list[Effect]:
        """The answer to a join that Janus never sees: the application reads the reason in its rejection."""
        return [self._wire.answer(message, "ack"), *self.without_offer(message, pending, unacceptable("offer", reason))]

    def without_offer(self, message: Message, pending: Pending, jsep: dict[str, str]) -> list[Effect]:
        """The answer to a join, already acknowledged, of which nothing comes: `jsep` says why."""
        assert pending.handle is not None
        attached: dict[str, Any] = {"videoroom": "attached", "room": self._room_id, "id": pending.feed, "streams": []}
        return [self._wire.plugin_event(message, pending.handle, attached, jsep), *self._drop(pending.handle)]

    def answered(self, message: Message, content: dict[str, Any], pending: Pending) -> list[Effect]:
        """Janus answers. It goes on only for as long as the browser has not heard of the stream's end."""
        handle_id = message["sender"]
        if content.get("videoroom") == "attached":
            if (taken_in := self._pacing.offered(handle_id)) is None:
                message["jsep"] = NOTHING
                return [ToClient(message), *self._drop(handle_id)]
            paused: list[Effect] = []
            if pending.paused is not None:
                # Janus ignores what a join says about tracks; nothing flows before `start`, so this is in time.
                paused = self._wire.own_requests([(handle_id, {"request": "configure", **pending.paused})])
            return [*paused, ToClient(message), taken_in]
        if "started" in content:
            if (taken_in := self._pacing.started(handle_id)) is None:
                return self._reject_start(message, handle_id)
            return [ToClient(message), taken_in]
        return [ToClient(message)]

    def failed(self, message: Message, pending: Pending, code: int) -> list[Effect]:
        """Janus refuses; what the browser hears, if it is for a reason that it need not end for."""
        assert pending.handle is not None
        if pending.request == "start":
            return self._reject_start(message, pending.handle)
        if pending.request == "join" and code in _NO_SUCH_FEED:
            return self.without_offer(message, pending, NOTHING)
        return []

    def _reject_start(self, message: Message, handle_id: int) -> list[Effect]:
        """The stream has gone after its offer: the SDK stumbles over an event without content, and rejects."""
        return [self._wire.plugin_event(message, handle_id), *self._drop(handle_id)]

    def _drop(self, handle_id: int) -> list[Effect]:
        """A subscription of which nothing comes. The SDK forgets its handle, and so do we and Janus."""
        detach = [self._wire.own_request("detach", handle_id=handle_id)] if self._wire.forget(handle_id) else []
        return [*detach, *self._pacing.settled(handle_id)]
