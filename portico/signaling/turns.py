"""Sends the requests of one handle to Janus one at a time.

A plugin handles requests in a thread of its own, and Janus ends a handle in another. In Janus 1.1.2 the two race: a
member that joins while its handle is detached stays in the room after its memory is freed, and the next message to that
room crashes Janus. So a request or detach of a handle waits until the plugin has answered the handle's earlier request.
"""

from collections import deque

from portico.signaling.effects import Message
from portico.signaling.wire import Pending, Wire


class Turns:
    """The messages of one connection that wait for their turn. They count as pending, which PENDING_MAX bounds."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: dict[int, deque[Message]] = {}  # by handle; never an empty queue

    def must_wait(self, handle_id: int, message: Message) -> bool:
        """Whether this message or detach of a handle has to wait."""
        return handle_id in self._waiting or not self._may_go(handle_id, message, self._wire.busy_handles())

    def hold(self, handle_id: int, message: Message) -> None:
        """Hold the message until its turn."""
        negotiates = message.get("jsep") is not None
        self._wire.pending[message["transaction"]] = Pending("waiting", handle_id, negotiates=negotiates)
        self._waiting.setdefault(handle_id, deque()).append(message)

    def next(self) -> Message | None:
        """Take a message whose turn it is; None when there is none."""
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
