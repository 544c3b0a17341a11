"""When a browser may hear of a change: not before it has taken in the answer that the change is about.

The SDK takes in an event as it comes, but an answer only with its next timer, so of two messages in one burst the later
may be taken in first. Then somebody who left while the roster was on its way stays in the room as a ghost, and of a
stream that ends while a subscription to it begins the application never hears.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from typing import Any

from portico.signaling.effects import Effect, Later, Message, ToClient

SETTLES_SECS = 1.0
"""From an answer to the moment at which the browser has surely taken it in, even if it stood still meanwhile."""
GOES_ON_SECS = 10.0
"""What a browser has from an offer to `start`, or from a roster to its next step, before changes wait no longer."""
HELD_MAX = 256
"""Messages that wait; with one more, none waits any longer."""
_CHANGES = {"unpublished", "kicked", "leaving", "audio-moderation", "video-moderation", "display"}
"""Members of events that are about somebody or something which an earlier message brought."""


class _Stage(Enum):
    """Of a subscription. While the SDK waits for an answer, the end of the stream can be told: the answer says no."""

    ASKED = auto()
    OFFERED = auto()  # the SDK is taking in the offer, and needs the stream for that
    STARTING = auto()
    STARTED = auto()  # it was told so; what it was told after that has to wait


@dataclass(slots=True)
class _Subscription:
    feed: int
    stage: _Stage = _Stage.ASKED
    gone: bool = False  # the browser has heard that the stream ended


class Order:
    """Of what Janus says unasked. Feed it the answers too, and its own Later when their time has come."""

    def __init__(self) -> None:
        self._subscriptions: dict[int, _Subscription] = {}  # by handle, until they are taken in
        self._rosters: set[int] = set()  # handles whose join was answered, and nothing was asked since
        self._held: dict[int, list[Message]] = {}  # by handle; never an empty list
        self._hurried = False

    def joined(self, handle: int) -> Later:
        """The browser is told who, or what, is there."""
        self._rosters.add(handle)
        return Later(handle, GOES_ON_SECS)

    def went_on(self) -> list[Effect]:
        """The browser takes its next step, and so has taken in the rosters; what it may hear now."""
        self._rosters.clear()
        return self._again()

    def asked(self, handle: int, feed: int) -> None:
        """The browser wants to subscribe on this handle."""
        self._subscriptions[handle] = _Subscription(feed)

    def offered(self, handle: int) -> Later | None:
        """Janus offers the stream; None if the browser has heard of its end, so that nothing may come of this."""
        return Later(handle, GOES_ON_SECS) if self._advances(handle, _Stage.OFFERED) else None

    def starts(self, handle: int) -> bool:
        """The browser has taken in the offer and wants to start; False if there is nothing any more."""
        return self._advances(handle, _Stage.STARTING)

    def started(self, handle: int) -> Later | None:
        """Janus has started; None if the browser has heard of the stream's end, so that it must not hear of this."""
        return Later(handle, SETTLES_SECS) if self._advances(handle, _Stage.STARTED) else None

    def told(self, message: Message) -> list[Effect]:
        """Something that Janus says unasked; what the browser may hear now."""
        handle, content = message["sender"], _content(message)
        if self._hurried or "talking" in (content.get("videoroom"), content.get("audiobridge")):
            return [ToClient(message)]
        if handle in self._held or self._must_wait(message):
            self._held.setdefault(handle, []).append(message)
            return self._everything() if len(list(self._waiting())) > HELD_MAX else []
        self._note_end(message)
        return [ToClient(message)]

    def settled(self, handle: int) -> list[Effect]:
        """What was answered on this handle is taken in, or the handle has gone; what the browser may hear now."""
        self._subscriptions.pop(handle, None)
        self._rosters.discard(handle)
        return self._again()

    def due(self, handle: int) -> list[Effect]:
        """The time of the newest Later of this handle has come; what the browser may hear now."""
        subscription = self._subscriptions.get(handle)
        if subscription is None or subscription.stage is _Stage.STARTED:
            return self.settled(handle)
        if subscription.stage is _Stage.OFFERED:
            subscription.stage = _Stage.STARTING  # as good as: should it start yet, it hears that there is nothing
        return self._again()

    def hurry(self) -> list[Effect]:
        """The participant is sent away: from now on nothing waits."""
        self._hurried = True
        return self._everything()

    def _advances(self, handle: int, stage: _Stage) -> bool:
        """Whether the subscription of this handle, if there is one, comes to this stage: its stream may be gone."""
        subscription = self._subscriptions.get(handle)
        if subscription is None or subscription.stage is _Stage.STARTED:
            return True  # it was taken in, or will be
        if subscription.gone or any(_ended(message) == subscription.feed for message in self._waiting()):
            return False
        subscription.stage = stage
        return True

    def _must_wait(self, message: Message) -> bool:
        if message["sender"] in self._rosters and _content(message).keys() & _CHANGES:
            return True
        waits_in = (_Stage.OFFERED, _Stage.STARTED)
        return any(each.feed == _ended(message) and each.stage in waits_in for each in self._subscriptions.values())

    def _note_end(self, message: Message) -> None:
        for subscription in self._subscriptions.values():
            subscription.gone |= subscription.feed == _ended(message)

    def _waiting(self) -> Iterator[Message]:
        return chain.from_iterable(self._held.values())

    def _again(self) -> list[Effect]:
        waiting, self._held = list(self._waiting()), {}
        return [effect for message in waiting for effect in self.told(message)]

    def _everything(self) -> list[Effect]:
        waiting, self._held = list(self._waiting()), {}
        for message in waiting:
            self._note_end(message)
        return [ToClient(message) for message in waiting]


def _content(message: Message) -> dict[str, Any]:
    content: dict[str, Any] = message.get("plugindata", {}).get("data", {})
    return content


def _ended(message: Message) -> object:
    """The feed that this event ends, if it ends one."""
    content = _content(message)
    return (content.get("unpublished") or content.get("kicked")) if "videoroom" in content else None
