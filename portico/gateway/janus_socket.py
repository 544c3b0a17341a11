"""The WebSocket of one connection to Janus. Janus frees everything of the browser when this socket closes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from portico.gateway.context import GatewayContext
from portico.gateway.nodes import Janus
from portico.signaling.dialect import Dialect
from portico.signaling.effects import Message

SUBPROTOCOL = "janus-protocol"
SEND_SECS = 5
"""How long Janus may take to accept one message."""
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
ANSWERED_SECS = 2
"""How long the end of a connection waits for Janus to answer the browser's requests, which it does in milliseconds."""


class JanusSocket:
    """An open WebSocket to Janus."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, api_secret: str | None) -> None:
        self._socket = socket
        self._api_secret = api_secret
        self.reader: asyncio.Task[None] | None = None
        """The task that reads `messages`. Only one task may read at a time."""

    @classmethod
    async def open(cls, context: GatewayContext, janus: Janus) -> "JanusSocket":
        """Connect to Janus. Raises the errors of aiohttp, OSError and TimeoutError."""
        socket = await context.janus.ws_connect(
            janus.url, protocols=(SUBPROTOCOL,), max_msg_size=MESSAGE_BYTES_MAX, compress=0
        )
        return cls(socket, janus.api_secret)

    async def messages(self) -> AsyncIterator[Message]:
        """The messages of Janus, decoded, until the socket closes."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            yield msgspec.json.decode(message.data)

    async def send(self, message: Message) -> bool:
        """Send a message. False when Janus does not accept it within SEND_SECS, or the socket is closed."""
        if self._api_secret is not None:
            message = {**message, "apisecret": self._api_secret}
        try:
            async with asyncio.timeout(SEND_SECS):
                await self._socket.send_frame(msgspec.json.encode(message), aiohttp.WSMsgType.TEXT)
        except (OSError, aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def wait_for_answers(self, dialect: Dialect) -> None:
        """Wait, for at most ANSWERED_SECS, until no plugin works on a request of the browser.

        Closing a session while a plugin works on its request can crash Janus 1.1.2 (signaling/turns.py).
        """
        if self.reader is not None:
            await asyncio.wait({self.reader}, timeout=ANSWERED_SECS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWERED_SECS):
                while dialect.awaits_plugin:
                    message = await self._socket.receive()
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        return
                    dialect.note_answer(msgspec.json.decode(message.data))

    async def close(self) -> None:
        """Close the socket, and with it the browser's Janus session."""
        await self._socket.close()
