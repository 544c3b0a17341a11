"""Requests about one handle reach Janus one at a time.

A plugin takes requests in with a thread of its own, and Janus ends a handle with another. In Janus 1.1.2 they race: a
member that joins while its handle is detached stays in the room after its memory is freed, and the next message to
that room crashes Janus. So what ends or changes a handle waits until Janus has answered what was asked on it before.
"""

from collections import deque

from portico.signaling.effects import Message
from portico.signaling.wire import Pending, Wire


class Turns:
    """Of one connection. Messages that wait count as pending, so their number is bounded with those."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: dict[int, deque[Message]] = {}  # by handle; never an empty queue

    def must_wait(self, handle_id: int, message: Message) -> bool:
        """Whether this message or detach of a handle may not go on yet."""
        return handle_id in self._waiting or not self._may_go(handle_id, message, self._wire.busy_handles())

    def hold(self, handle_id: int, message: Message) -> None:
        """Keep the message until its turn."""
        negotiates = message.get("jsep") is not None
        self._wire.pending[message["transaction"]] = Pending("waiting", handle_id, negotiates=negotiates)
        self._waiting.setdefault(handle_id, deque()).append(message)

    def next(self) -> Message | None:
        """A message whose turn has come; it does not wait any more. None when there is none."""
        busy = self._wire.busy_handles() if self._waiting else set()
        for handle_id, waiting in self._waiting.items():
            if self._may_go(handle_id, waiting[0], busy):
                message = waiting.popleft()
                if not waiting:
                    del self._waiting[handle_id]
                del self._wire.pending[message["transaction"]]
                return message
        return None

    def _may_go(self, handle_id: int, message: Message, busy: set[int | None]) -> bool:
        handle = self._wire.handles.get(handle_id)
        hangs_up = handle is not None and handle.hangs_up
        return handle_id not in busy and not (hangs_up and message.get("jsep") is not None)
