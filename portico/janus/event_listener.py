"""The WebSocket server that Janus' event handler `wsevh` connects to: on 127.0.0.1, at a secret path."""

import secrets
from collections.abc import Callable
from typing import Self

import msgspec
import structlog
from aiohttp import WSMsgType, web

log = structlog.get_logger(__name__)

FRAME_MAX = 4 * 1024 * 1024
"""Bytes of one frame. Janus groups at most 100 events, and the largest has a `display` of 32 kB."""
CLOSE_SECS = 1.0
"""Deadline for closing the connection in good order."""
PING_SECS = 10.0
"""The interval of pings. Without an answer within half of it the connection is closed; Janus connects again."""

OnFrame = Callable[[object], None]
"""Called with each decoded frame: an event or a list of events. It must not block."""


class EventListener:
    """Open for as long as there is a child Janus: a restarted one connects to the same URL."""

    def __init__(self, receive: OnFrame) -> None:
        self._receive = receive
        self._path = f"/{secrets.token_urlsafe(24)}"
        self._connected = 0
        self._runner: web.AppRunner | None = None  # set by open()
        self.url = ""
        """ws:// address with the secret path; set by open()."""

    @property
    def is_connected(self) -> bool:
        """Whether an event handler is connected now."""
        return self._connected > 0

    @classmethod
    async def open(cls, receive: OnFrame) -> Self:
        """Listen on a free port of 127.0.0.1."""
        listener = cls(receive)
        app = web.Application()
        app.router.add_get(listener._path, listener._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECS)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        except BaseException:
            await runner.cleanup()
            raise
        listener._runner = runner
        listener.url = f"ws://127.0.0.1:{runner.addresses[0][1]}{listener._path}"
        return listener

    async def close(self) -> None:
        """Close the port and the connection within CLOSE_SECS."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self._connected:
            raise web.HTTPConflict(text="An event handler is connected already.")
        self._connected += 1
        try:
            socket = web.WebSocketResponse(
                timeout=CLOSE_SECS, heartbeat=PING_SECS, max_msg_size=FRAME_MAX, protocols=("janus-event-handlers",)
            )
            await socket.prepare(request)
            log.info("janus.events_connected")
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._take(message.data)
        finally:
            self._connected -= 1
        return socket

    def _take(self, text: str) -> None:
        try:
            self._receive(msgspec.json.decode(text))
        except Exception:  # an event that cannot be handled must not end the connection, and lose all later events
            log.exception("janus.event_not_handled")
