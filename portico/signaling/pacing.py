"""Holds each change back until the browser has processed the answer that the change is about.

The SDK processes an event when it arrives, but an answer only at its next timer. So of two messages in one burst it may
process the later one first. Then a participant who left while the roster (the answer to a join) was on its way stays in
the room as a ghost, and the application never learns that a stream ended while a subscription to it began.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from typing import Any

from portico.signaling.effects import Effect, Message, ScheduleDue, ToClient

SETTLES_SECS = 1.0
"""From sending an answer to the moment at which the browser has processed it, even one that stood still meanwhile."""
GOES_ON_SECS = 10.0
"""How long changes wait for the browser's `start` after an offer, or for its next `attach` after a roster."""
HELD_MAX = 256
"""Messages that wait for one browser; one more releases them all."""
_CHANGES = {"unpublished", "kicked", "leaving", "audio-moderation", "video-moderation", "display"}
"""Members of events that are about a participant or stream which an earlier message announced."""


class _Stage(Enum):
    """The stages of a subscription.

    In ASKED and STARTING the SDK waits for an answer. The end of the stream may be sent then: the answer is replaced by
    one that rejects the subscription.
    """

    ASKED = auto()
    OFFERED = auto()  # the SDK processes the offer, and needs the stream for that
    STARTING = auto()
    STARTED = auto()  # the answer to `start` is sent; the SDK has to process it before the end of the stream


@dataclass(slots=True)
class _Subscription:
    feed: int
    stage: _Stage = _Stage.ASKED
    gone: bool = False  # the end of the stream was sent to the browser


class Pacing:
    """Holds back events of Janus. The dialect also calls it for each answer, and when a ScheduleDue is due."""

    def __init__(self) -> None:
        self._subscriptions: dict[int, _Subscription] = {}  # by handle, until the browser has processed the answers
        self._rosters: set[int] = set()  # handles whose roster was sent, until the browser's next `attach`
        self._held: dict[int, list[Message]] = {}  # by handle; never an empty list
        self._is_stopped = False

    def roster_sent(self, handle: int) -> ScheduleDue:
        """Hold changes back: the roster of participants or streams is on its way to this handle of the browser."""
        self._rosters.add(handle)
        return ScheduleDue(handle, GOES_ON_SECS)

    def next_step(self) -> list[Effect]:
        """Release messages: the browser attaches a handle, so it has processed all rosters."""
        self._rosters.clear()
        return self._retry()

    def subscribe(self, handle: int, feed: int) -> None:
        """Note that the browser asks to subscribe to this feed on this handle."""
        self._subscriptions[handle] = _Subscription(feed)

    def offered(self, handle: int) -> ScheduleDue | None:
        """Note that Janus offers the stream. None if its end was sent to the browser: the offer is replaced."""
        return ScheduleDue(handle, GOES_ON_SECS) if self._advances(handle, _Stage.OFFERED) else None

    def start(self, handle: int) -> bool:
        """Note that the browser asks to start, so it has processed the offer. False if the stream has ended."""
        return self._advances(handle, _Stage.STARTING)

    def started(self, handle: int) -> ScheduleDue | None:
        """Note that Janus has started. None if the stream's end was sent to the browser: the answer is replaced."""
        return ScheduleDue(handle, SETTLES_SECS) if self._advances(handle, _Stage.STARTED) else None

    def deliver(self, message: Message) -> list[Effect]:
        """The messages to send now that Janus sends this event: the event, or none if it has to wait."""
        handle, content = message["sender"], _content(message)
        if self._is_stopped or "talking" in (content.get("videoroom"), content.get("audiobridge")):
            return [ToClient(message)]
        # One message that waits holds up the later ones of its handle: they keep their order.
        if handle in self._held or self._must_wait(message):
            self._held.setdefault(handle, []).append(message)
            return self._release_all() if len(list(self._waiting())) > HELD_MAX else []
        self._note_end(message)
        return [ToClient(message)]

    def settled(self, handle: int) -> list[Effect]:
        """Release messages: the browser has processed this handle's answers, or the handle is gone."""
        self._subscriptions.pop(handle, None)
        self._rosters.discard(handle)
        return self._retry()

    def due(self, handle: int) -> list[Effect]:
        """Release messages: the time of the newest ScheduleDue of this handle is over."""
        subscription = self._subscriptions.get(handle)
        if subscription is None or subscription.stage is _Stage.STARTED:
            return self.settled(handle)
        if subscription.stage is _Stage.OFFERED:
            # The browser does not start. As in STARTING, the end of the stream may be sent: a late `start` is rejected.
            subscription.stage = _Stage.STARTING
        return self._retry()

    def stop(self) -> list[Effect]:
        """Release all messages, and hold none from now on: the participant is kicked."""
        self._is_stopped = True
        return self._release_all()

    def _advances(self, handle: int, stage: _Stage) -> bool:
        """Move the subscription of this handle, if there is one, to this stage; False if its stream has ended."""
        subscription = self._subscriptions.get(handle)
        if subscription is None or subscription.stage is _Stage.STARTED:
            return True  # a handle without a pending subscription, such as a repeated `start`
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

    def _retry(self) -> list[Effect]:
        waiting, self._held = list(self._waiting()), {}
        return [effect for message in waiting for effect in self.deliver(message)]

    def _release_all(self) -> list[Effect]:
        waiting, self._held = list(self._waiting()), {}
        for message in waiting:
            self._note_end(message)
        return [ToClient(message) for message in waiting]


def _content(message: Message) -> dict[str, Any]:
    content: dict[str, Any] = message.get("plugindata", {}).get("data", {})
    return content


def _ended(message: Message) -> object:
    """The feed whose end this VideoRoom event reports; None for another event."""
    content = _content(message)
    return (content.get("unpublished") or content.get("kicked")) if "videoroom" in content else None
