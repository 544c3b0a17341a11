"""The WebSocket of one browser: decoded messages from it, and messages to it in their order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec
import structlog

from portico.listener import frames
from portico.signaling.effects import Message

log = structlog.get_logger()

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SLOW_BROWSER_SECS = 10
"""How long one message to the browser may take. Then the browser is lost, and the queue of its messages must end."""
CLOSE_REASON_BYTES_MAX = 123
"""What a control frame has room for beside the code (RFC 6455, section 5.5)."""
_BY_CHOICE = (frames.NORMAL, frames.GOING_AWAY, frames.NO_CODE)
"""Close codes with which a browser closes a socket that a page no longer uses."""


class TooSlow(Exception):
    """The browser has not taken a message for SLOW_BROWSER_SECS."""


class NothingReceived(Exception):
    """No message of the browser arrived in time."""


class SocketClosed(Exception):
    """The socket is closed: by the browser, or because the browser was lost. `by_choice` distinguishes the two."""

    def __init__(self, event: MutableMapping[str, Any]) -> None:
        code = event.get("code")
        super().__init__(f"closed with {code}")
        # Our listener gives a reason, if only an empty one, when there was a close frame, and none otherwise.
        self.by_choice = "reason" in event and code in _BY_CHOICE


class BrowserSocket:
    """An accepted ASGI WebSocket, sent to by one task at a time."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._outgoing: deque[Message] = deque()
        self._send_lock = asyncio.Lock()

    async def receive(self, within: float | None) -> object:
        """The next message, decoded; None for a text that is not JSON and for a binary frame.

        Raises SocketClosed, or NothingReceived when no message arrives in `within` seconds (None: no limit).
        """
        try:
            async with asyncio.timeout(within):
                event = await self._receive()
        except TimeoutError:
            raise NothingReceived from None
        if event["type"] != "websocket.receive":
            raise SocketClosed(event)
        text = event.get("text")
        try:
            return msgspec.json.decode(text) if text is not None else None
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def queue(self, messages: Iterable[Message]) -> None:
        """Append messages to those that the next `send`, by whichever task, sends in this order."""
        self._outgoing.extend(messages)

    async def send(self) -> None:
        """Send all queued messages. Raises TooSlow.

        A closed socket is no error here: `receive` still returns the browser's last messages, then reports the end.
        """
        async with self._send_lock:
            while self._outgoing:
                text = msgspec.json.encode(self._outgoing.popleft()).decode()
                try:
                    async with asyncio.timeout(SLOW_BROWSER_SECS):
                        await self._send({"type": "websocket.send", "text": text})
                except TimeoutError:
                    raise TooSlow from None
                except (OSError, RuntimeError):
                    return

    async def close(self, code: int, reason: str) -> None:
        """Close the socket with this code and reason. A socket that is closed already is no error."""
        fitting = reason.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
        try:
            async with asyncio.timeout(SLOW_BROWSER_SECS):
                await self._send({"type": "websocket.close", "code": code, "reason": fitting})
        except (TimeoutError, OSError, RuntimeError):
            log.info("socket closed before its close code was sent", code=code)
