"""The subscriptions that a browser is making, and the ends of streams that come in between.

The SDK takes in a new subscription and the end of its stream side by side, without looking from one to the other. Told
in the wrong order it keeps a subscription to nothing, and the next end of a stream of that name never reaches the
application: so it hears of one after the other, whatever Janus says first.
"""

from dataclasses import dataclass
from typing import Any

from portico.signaling.effects import Message

HELD_MAX = 256
"""Messages that wait for a subscription; with one more, none waits any longer."""
NOTHING = {"type": "offer", "sdp": "The stream has gone.\r\n"}
"""An offer that no browser takes. For an error of Janus the SDK has no branch, and the application's promise would
never settle; so it is rejected, with these words in its reason."""


def attached(room_id: str, feed: int) -> dict[str, Any]:
    """What comes with such an offer, in VideoRoom's shape."""
    return {"videoroom": "attached", "room": room_id, "id": feed, "streams": []}


@dataclass(slots=True)
class _Making:
    feed: int
    offered: bool = False  # the browser has Janus' offer, and will say `start`
    gone: bool = False  # it heard of the stream's end before


class Subscriptions:
    """Those that were asked for and have not started. What it holds back is passed on by `settled` or `release`."""

    def __init__(self) -> None:
        self._making: dict[int, _Making] = {}  # by handle
        self._held: list[Message] = []  # all from one handle, in the order of their arrival

    def asked(self, handle: int, feed: int) -> None:
        """The browser wants to subscribe on this handle."""
        self._making[handle] = _Making(feed)

    def offered(self, handle: int) -> bool:
        """Janus offers the stream; False if the browser has heard of its end, so that nothing may come of this."""
        making = self._making.get(handle)
        if making is None:
            return True
        making.offered = True
        return not making.gone

    def told(self, message: Message, content: dict[str, Any]) -> list[Message]:
        """An event of the VideoRoom that nobody asked for; what the browser may hear now."""
        if self._held:
            if message["sender"] != self._held[0]["sender"]:
                return [message]
            self._held.append(message)
            return self.release() if len(self._held) > HELD_MAX else []
        ended = content.get("unpublished") or content.get("kicked")
        making = [each for each in self._making.values() if each.feed == ended]
        if any(each.offered for each in making):
            self._held.append(message)
            return []
        for each in making:
            each.gone = True
        return [message]

    def settled(self, handle: int) -> list[Message]:
        """The subscription of this handle has started, or nothing comes of it; what the browser may hear now."""
        if self._making.pop(handle, None) is None:
            return []
        held, self._held = self._held, []
        return [message for each in held for message in self.told(each, each["plugindata"]["data"])]

    def release(self) -> list[Message]:
        """The browser has had its time; everything that was held back."""
        held, self._held = self._held, []
        return held
