"""The socket to one browser: what it says, decoded, and what it is told, in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec
import structlog

from portico.signaling.effects import Message

log = structlog.get_logger()

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SLOW_BROWSER_SECS = 10
"""A browser that does not take a message for so long is lost: nobody waits for it, and Janus' queue for it must end."""
CLOSE_REASON_BYTES_MAX = 123
"""What a control frame has room for beside the code (RFC 6455, section 5.5)."""


class TooSlow(Exception):
    """The browser has not taken a message for SLOW_BROWSER_SECS."""


class NothingReceived(Exception):
    """The browser has said nothing for too long."""


class SocketClosed(Exception):
    """The browser has closed the socket, or was lost."""

    def __init__(self, event: MutableMapping[str, Any]) -> None:
        code = event.get("code")
        super().__init__(f"closed with {code}")
        # Without a close frame, which comes with a reason if only an empty one, uvicorn says 1005 as well.
        self.by_choice = "reason" in event and code in (1000, 1001, 1005)


class BrowserSocket:
    """An accepted ASGI WebSocket."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._outgoing: deque[Message] = deque()
        self._send_lock = asyncio.Lock()

    async def receive(self, within: float | None) -> object:
        """The next message, None for what is not JSON (and for binary frames, which nobody sends).

        Raises Closed, or Silent when none comes within so many seconds.
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
        """To be told by the next `tell`, whoever calls it: in this order, and after what was queued before."""
        self._outgoing.extend(messages)

    async def send(self) -> None:
        """Send all that is queued. Raises TooSlow.

        A browser that is gone is none of its business: what it said last, and how it went, is still to be heard.
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
        """Close the socket; a browser that is gone is no error any more."""
        fitting = reason.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
        try:
            async with asyncio.timeout(SLOW_BROWSER_SECS):
                await self._send({"type": "websocket.close", "code": code, "reason": fitting})
        except (TimeoutError, OSError, RuntimeError):
            log.info("the browser was gone before it was told", code=code)
