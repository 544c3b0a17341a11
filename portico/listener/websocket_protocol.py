"""WebSocket (RFC 6455, version 13, no extensions) on one connection, as an ASGI application sees it.

This is code of ours because no WebSocket library under uvicorn can be bounded: `websockets` and `wsproto` parse all
received bytes at once, and queue an answer to every ping even if the client reads none. Here frames are parsed one at a
time, as far as the connection's budgets allow and while the client reads what is written to it; after FRAMES_PER_TURN
frames, and after every message, the event loop serves other connections.
"""

import asyncio
import os
from collections import deque
from collections.abc import MutableMapping
from typing import Any

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from portico.core.budget import Budget
from portico.listener import frames, upgrade
from portico.listener.connections import ClientConnection
from portico.listener.frames import Frame, ProtocolError
from portico.listener.limits import (
    ANONYMOUS,
    CLOSE_SECS,
    FIRST_MESSAGE_BYTES_MAX,
    FRAGMENTS_MAX,
    FRAMES_PER_TURN,
    MESSAGE_BYTES_MAX,
    PING_SECS,
    TOKEN_SECS,
    Limits,
    admitted,
)

log = structlog.get_logger()
AsgiEvent = MutableMapping[str, Any]
_NEW, _OPEN, _CLOSING, _OVER = range(4)


class WebSocketProtocol(asyncio.Protocol):
    """Serves one WebSocket, from its handshake request (parsed by HttpProtocol) to its end."""

    def __init__(self, config: Config, server_state: ServerState, connection: ClientConnection) -> None:
        self._app = config.loaded_app
        self._loop = asyncio.get_running_loop()
        self._server = server_state
        self._connection = connection
        self._transport = connection.transport
        self._state = _NEW
        self._accept_key = b""
        self._response: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._buffer = bytearray()
        self._needed = 0  # length that the buffer must have for a whole frame
        self._fragments: list[bytes] = []
        self._opcode = 0  # of the message whose fragments are kept; 0 without one
        self._size = 0  # bytes of the fragments
        self._events: deque[AsgiEvent] = deque()
        self._receiver: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._later: asyncio.Handle | None = None  # the scheduled call of _drain
        self._is_reading = True
        now = self._loop.time()
        self._messages = Budget(*ANONYMOUS.messages, now)
        self._frames = Budget(*ANONYMOUS.frames, now)
        self._bytes = Budget(*ANONYMOUS.bytes, now)
        self._longest = FIRST_MESSAGE_BYTES_MAX
        self._pong: bytes | None = None  # the payload of the newest ping that is not answered yet
        self._ping: bytes | None = None  # the payload of our ping that the client has to answer
        self._ping_at = 0  # the tick of our next ping
        self._asked: dict[bytes, asyncio.Future[None]] = {}  # additional pings by payload, see _answers

    def begin(self, scope: dict[str, Any], url: bytes, early: bytes) -> None:
        """Take over a connection with its handshake request. `early` is what was received after the request."""
        self._server.connections.add(self)  # type: ignore[arg-type]  # uvicorn calls one method of it: shutdown
        self._connection.expire("handshake", self._limits.head_secs)
        self._buffer += early
        headers = dict(scope["headers"])
        if (status := upgrade.refusal(scope["method"], headers)) is not None:
            self._respond(status, [upgrade.VERSION], b"")
            return
        self._accept_key = upgrade.accept_key(headers)
        scope |= upgrade.websocket_scope(scope, url)
        self._events.append({"type": "websocket.connect"})
        task = self._loop.create_task(self._run(scope))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    @property
    def _limits(self) -> Limits:
        return self._connection.limits

    async def _run(self, scope: AsgiEvent) -> None:
        try:
            await self._app(scope, self.receive, self.send)
        except OSError:
            pass  # the client has closed the socket
        except Exception:
            log.exception("websocket failed")
        if self._state == _NEW:
            self._respond(500, [], b"")
        elif self._state == _OPEN:
            self._close(frames.FAILED, "")

    # asyncio.Protocol.

    def data_received(self, data: bytes) -> None:
        if self._state == _OVER:
            return
        self._buffer += data
        self._frames.spend(1, self._loop.time())  # a client could send a long frame byte by byte
        if self._is_blocked() or self._later is not None:
            self._read(False)
        elif len(self._buffer) >= self._needed:
            self._drain()

    def eof_received(self) -> None:
        pass  # asyncio closes the transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._later is not None:
            self._later.cancel()
        self._server.connections.discard(self)
        self._connection.on_tick = self._connection.on_admitted = None
        self._connection.closed()
        self._end(frames.NO_CODE if self._state != _NEW else frames.LOST)
        self._buffer.clear()
        self._fragments.clear()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()
        self._connection.sending(True)

    def resume_writing(self) -> None:
        self._writable.set()
        self._connection.sending(False)
        self._write_pong()
        self._drain_in(0)

    def shutdown(self) -> None:
        """Close with 1012 because the server stops; called by uvicorn."""
        if self._state == _OPEN:
            self._end(frames.RESTARTS, "")
            self._write(frames.CLOSE, frames.close_payload(frames.RESTARTS, ""))
        self._state = _OVER
        self._transport.close()

    # Frames of the client.

    def _is_blocked(self) -> bool:
        """Whether the next frame must wait: the application has a message to receive, or the client answers to read."""
        if self._state == _CLOSING:
            return False
        return self._state != _OPEN or bool(self._events) or not self._writable.is_set()

    def _drain(self) -> None:
        """Parse and handle buffered frames, as far as the budgets allow; then read on, wait, or stop reading."""
        self._later = None
        at = turns = self._needed = 0
        try:
            while not self._is_blocked() and self._state != _OVER:
                frame, end = frames.parse(self._buffer, at, self._longest - self._size)
                if frame is None:
                    self._needed = end - at
                    break
                wait = self._spend(end - at)
                at, turns = end, turns + 1
                wait = max(wait, self._handle(frame))
                if wait or turns >= FRAMES_PER_TURN:
                    self._drain_in(wait)
                    break
        except ProtocolError as error:
            self._fail(error)
        del self._buffer[:at]
        self._read(self._later is None and not (self._buffer and self._is_blocked()))

    def _spend(self, size: int) -> float:
        """Take one frame of this size from the budgets; returns the seconds until the next frame may be handled."""
        now = self._loop.time()
        wait = max(self._frames.spend(1, now), self._bytes.spend(size, now))
        if wait and self._state == _CLOSING:
            self._state = _OVER
            self._connection.abort("flood")
        return wait

    def _drain_in(self, secs: float) -> None:
        if self._state == _OVER:
            return
        if self._later is not None:
            if secs == 0:
                return  # it is due at a time that a budget has set
            self._later.cancel()
        self._later = self._loop.call_later(secs, self._drain) if secs else self._loop.call_soon(self._drain)

    def _read(self, is_wanted: bool) -> None:
        if is_wanted != self._is_reading and not self._transport.is_closing():
            self._is_reading = is_wanted
            (self._transport.resume_reading if is_wanted else self._transport.pause_reading)()

    def _handle(self, frame: Frame) -> float:
        """Act on a frame; returns the seconds until the next frame may be handled, by the budget of messages."""
        match frame.opcode:
            case frames.PING:
                self._pong = frame.payload
                if not self._transport.get_write_buffer_size():
                    self._write_pong()
            case frames.PONG:
                if frame.payload == self._ping:
                    self._ping = None
                if (asked := self._asked.get(frame.payload)) is not None and not asked.done():
                    asked.set_result(None)
            case frames.CLOSE:
                self._peer_closes(*frames.parse_close(frame.payload))
            case _:
                return self._gather(frame)
        return 0.0

    def _gather(self, frame: Frame) -> float:
        """Add a data frame to its message, and deliver the message when it is complete; returns as _handle does."""
        if (frame.opcode == frames.CONTINUATION) != bool(self._opcode):
            raise ProtocolError(frames.PROTOCOL_ERROR, "a message within a message")
        self._opcode = self._opcode or frame.opcode
        self._fragments.append(frame.payload)
        self._size += len(frame.payload)
        if len(self._fragments) > FRAGMENTS_MAX:
            raise ProtocolError(frames.POLICY, "too many fragments")
        if not frame.is_last:
            return 0.0
        payload, opcode = b"".join(self._fragments), self._opcode
        self._fragments, self._opcode, self._size = [], 0, 0
        if self._state == _CLOSING:
            return 0.0
        try:
            message = {"text": payload.decode()} if opcode == frames.TEXT else {"bytes": payload}
        except UnicodeDecodeError:
            raise ProtocolError(frames.NOT_TEXT, "not UTF-8") from None
        self._deliver({"type": "websocket.receive", **message})
        return self._messages.spend(1, self._loop.time())

    def _peer_closes(self, code: int, reason: str) -> None:
        if self._state == _OPEN:
            self._end(code, reason)
            self._write(frames.CLOSE, frames.close_payload(code, "") if code != frames.NO_CODE else b"")
        self._state = _OVER
        self._connection.expire("close", CLOSE_SECS)
        self._transport.close()

    def _fail(self, error: ProtocolError) -> None:
        if self._state == _OPEN:
            self._end(error.code, str(error))
            self._write(frames.CLOSE, frames.close_payload(error.code, str(error)))
        self._state = _OVER
        self._connection.expire("close", CLOSE_SECS)
        self._transport.close()

    def _end(self, code: int, reason: str | None = None) -> None:
        """Deliver the event that the socket is closed, once. Without a close frame it has no reason."""
        if self._state in (_NEW, _OPEN):
            self._deliver(
                {"type": "websocket.disconnect", "code": code} | ({} if reason is None else {"reason": reason})
            )
        self._state = _OVER

    def _deliver(self, event: AsgiEvent) -> None:
        self._events.append(event)
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    # Calls of the ASGI application.

    async def receive(self) -> AsgiEvent:
        """The next event. A message is parsed only now, so that the event loop serves other connections in between."""
        while not self._events:
            if self._buffer and self._later is None:
                self._drain_in(0)
            self._receiver = self._loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        return self._events.popleft()

    async def send(self, event: AsgiEvent) -> None:
        """Write an event of the application. Raises OSError on a closed socket, RuntimeError out of order."""
        if event["type"] != "websocket.close":
            await self._writable.wait()
        match event["type"]:
            case _ if self._state == _OVER:
                raise ConnectionResetError("the client has closed the socket")
            case "websocket.accept" if self._state == _NEW:
                self._accept(event)
            case "websocket.close" if self._state == _NEW:
                self._respond(403, [], b"")
            case "websocket.http.response.start" if self._state == _NEW:
                self._response = (event["status"], list(event.get("headers", [])))
            case "websocket.http.response.body" if self._state == _NEW and self._response is not None:
                self._respond(*self._response, event.get("body", b""))
            case "websocket.send" if self._state == _OPEN:
                text, data = event.get("text"), event.get("bytes")
                self._write_pong()
                self._write(*((frames.TEXT, text.encode()) if text is not None else (frames.BINARY, data or b"")))
            case "websocket.close" if self._state == _OPEN:
                self._close(event.get("code", frames.NORMAL), event.get("reason") or "")
            case kind:
                raise RuntimeError(f"{kind} does not fit the state of the WebSocket")

    def _accept(self, event: AsgiEvent) -> None:
        headers = [*self._server.default_headers, *event.get("headers", ())]
        self._transport.write(upgrade.accepting_answer(self._accept_key, event.get("subprotocol"), headers))
        self._state = _OPEN
        self._connection.expire("token", TOKEN_SECS)
        self._connection.on_admitted = self._admitted
        self._connection.on_tick = self._tick
        self._connection.ping = self._answers
        self._ping_at = self._connection.ticks + PING_SECS
        if not self._connection.is_anonymous:
            self._admitted()

    def _respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Refuse the handshake with an HTTP answer, and close."""
        self._transport.write(upgrade.refusing_answer(status, [*self._server.default_headers, *headers], body))
        self._end(frames.LOST)
        self._connection.expire("close", CLOSE_SECS)
        self._transport.close()

    def _close(self, code: int, reason: str) -> None:
        """Send a close frame, and wait CLOSE_SECS for the client's."""
        self._write(frames.CLOSE, frames.close_payload(code, reason))
        self._end(code, reason)
        self._state = _CLOSING
        self._connection.expire("close", CLOSE_SECS)
        self._drain_in(0)

    def _admitted(self) -> None:
        """Raise the limits of the connection: a token was accepted on it."""
        rates = admitted(self._limits.messages_per_sec)
        self._messages.widen(*rates.messages)
        self._frames.widen(*rates.frames)
        self._bytes.widen(*rates.bytes)
        self._longest = MESSAGE_BYTES_MAX
        if self._state == _OPEN:
            self._connection.wait()

    def _write(self, opcode: int, payload: bytes) -> None:
        self._transport.write(frames.build(opcode, payload))

    def _write_pong(self) -> None:
        """Answer the newest ping, and with it all earlier ones (RFC 6455, section 5.5.3)."""
        if self._pong is not None and self._state == _OPEN:
            pong, self._pong = self._pong, None
            self._write(frames.PONG, pong)

    async def _answers(self, within: float) -> bool:
        """Send an additional ping; whether its answer arrives in `within` seconds, or cannot be read by then."""
        if self._state != _OPEN:
            return False
        payload = os.urandom(8)
        answered = self._asked[payload] = self._loop.create_future()
        self._write(frames.PING, payload)
        try:
            async with asyncio.timeout(within):
                await answered
        except TimeoutError:
            return bool(self._events) or self._later is not None
        finally:
            del self._asked[payload]
        return True

    def _tick(self, ticks: int) -> None:
        """Once a second: send a ping when one is due, or abort the connection if the last one is not answered."""
        if self._state != _OPEN:
            return
        if not self._transport.get_write_buffer_size():
            self._write_pong()
        if self._events:  # the answer may wait behind messages that the application has not received
            self._ping_at = max(self._ping_at, ticks + 1)
        if ticks < self._ping_at:
            return
        if self._ping is not None:
            self._connection.abort("pong")
            return
        self._ping, self._ping_at = os.urandom(4), ticks + PING_SECS
        self._write(frames.PING, self._ping)
