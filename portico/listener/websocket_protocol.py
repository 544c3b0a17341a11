"""WebSocket (RFC 6455, version 13, no extensions) on one connection, as an ASGI application sees it.

Own code, because no layer under uvicorn could be bounded: `websockets` and `wsproto` parse all that was read in one go
and append an answer to every ping, read or not. Here frames are parsed one at a time, as far as the socket's
budgets reach and while its peer takes what we write; the event loop serves others after every message.
"""

import asyncio
import base64
import binascii
import hashlib
import os
from collections import deque
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from portico.core.budget import Budget
from portico.listener import frames
from portico.listener.connections import ClientConnection
from portico.listener.frames import Frame, ProtocolError
from portico.listener.limits import (
    CLOSE_SECS,
    FIRST_MESSAGE_BYTES_MAX,
    FRAGMENTS_MAX,
    FRAMES_PER_TURN,
    MESSAGE_BYTES_MAX,
    PING_SECS,
    STRANGER,
    TOKEN_SECS,
    Limits,
    admitted,
)

log = structlog.get_logger()
Event = MutableMapping[str, Any]
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NEW, _OPEN, _CLOSING, _OVER = range(4)


class WebSocketProtocol(asyncio.Protocol):
    """From the parsed request of the handshake to the end of the socket."""

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
        self._needed = 0  # bytes in the buffer without which there is no whole frame
        self._fragments: list[bytes] = []
        self._opcode = 0  # of the message whose fragments these are
        self._size = 0
        self._events: deque[Event] = deque()
        self._receiver: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._later: asyncio.Handle | None = None  # the next turn of _drain
        self._is_reading = True
        now = self._loop.time()
        self._messages = Budget(*STRANGER.messages, now)
        self._frames = Budget(*STRANGER.frames, now)
        self._bytes = Budget(*STRANGER.bytes, now)
        self._longest = FIRST_MESSAGE_BYTES_MAX
        self._pong: bytes | None = None  # the answer to the newest ping, while others are unsent
        self._ping: bytes | None = None  # what the peer has to answer
        self._ping_at = 0
        self._asked: dict[bytes, asyncio.Future[None]] = {}  # pings beside that one, by what their answers contain

    def begin(self, scope: dict[str, Any], url: bytes, early: bytes) -> None:
        """Take the connection over with the request that asks for it; `early` was received after that request."""
        self._server.connections.add(self)  # type: ignore[arg-type]  # it has the one method that is called: shutdown
        self._connection.expire("handshake", self._limits.head_secs)
        self._buffer += early
        headers = dict(scope["headers"])
        if (refusal := self._complaint(scope["method"], headers)) is not None:
            self._respond(refusal, [(b"sec-websocket-version", b"13")], b"")
            return
        digest = hashlib.sha1(headers[b"sec-websocket-key"].strip() + _ACCEPT_GUID, usedforsecurity=False).digest()
        self._accept_key = base64.b64encode(digest)
        raw_path, _, query = url.partition(b"?")
        offered = b",".join(value for name, value in scope["headers"] if name == b"sec-websocket-protocol")
        scope |= {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "scheme": "ws",
            "path": unquote(raw_path.decode("latin-1")),
            "raw_path": raw_path,
            "query_string": query,
            "subprotocols": [each.strip() for each in offered.decode("latin-1").split(",") if each.strip()],
            "extensions": {**scope["extensions"], "websocket.http.response": {}},
        }
        self._events.append({"type": "websocket.connect"})
        task = self._loop.create_task(self._run(scope))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    @property
    def _limits(self) -> Limits:
        return self._connection.limits

    @staticmethod
    def _complaint(method: str, headers: dict[bytes, bytes]) -> int | None:
        """The status that refuses a request which is no handshake (RFC 6455, section 4.2.1)."""
        if headers.get(b"sec-websocket-version") != b"13":
            return 426
        try:
            key = base64.b64decode(headers.get(b"sec-websocket-key", b"").strip(), validate=True)
        except binascii.Error:
            return 400
        return None if method == "GET" and len(key) == 16 else 400

    async def _run(self, scope: Event) -> None:
        try:
            await self._app(scope, self.receive, self.send)
        except OSError:
            pass  # the peer is gone
        except Exception:
            log.exception("websocket failed")
        if self._state == _NEW:
            self._respond(500, [], b"")
        elif self._state == _OPEN:
            self._close(1011, "")

    # The socket.

    def data_received(self, data: bytes) -> None:
        if self._state == _OVER:
            return
        self._buffer += data
        self._frames.spend(1, self._loop.time())  # a frame of 100 kB may come in as many pieces
        if self._is_blocked() or self._later is not None:
            self._read(False)
        elif len(self._buffer) >= self._needed:
            self._drain()

    def eof_received(self) -> None:
        pass  # the transport closes

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
        """The server stops: close with the code with which the peer reconnects."""
        if self._state == _OPEN:
            self._end(frames.RESTARTS, "")
            self._write(frames.CLOSE, frames.close_payload(frames.RESTARTS, ""))
        self._state = _OVER
        self._transport.close()

    # What the peer sends.

    def _is_blocked(self) -> bool:
        """Whether the next frame has to wait: for the application to take a message, or the peer its answers."""
        if self._state == _CLOSING:
            return False
        return self._state != _OPEN or bool(self._events) or not self._writable.is_set()

    def _drain(self) -> None:
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
                return  # it comes at its time, which a budget has set
            self._later.cancel()
        self._later = self._loop.call_later(secs, self._drain) if secs else self._loop.call_soon(self._drain)

    def _read(self, is_wanted: bool) -> None:
        if is_wanted != self._is_reading and not self._transport.is_closing():
            self._is_reading = is_wanted
            (self._transport.resume_reading if is_wanted else self._transport.pause_reading)()

    def _handle(self, frame: Frame) -> float:
        """Act on a frame; returns for how many seconds the peer has used up its messages."""
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
        """Pass the disconnect to the application, once; without a close frame there is no reason."""
        if self._state in (_NEW, _OPEN):
            self._deliver(
                {"type": "websocket.disconnect", "code": code} | ({} if reason is None else {"reason": reason})
            )
        self._state = _OVER

    def _deliver(self, event: Event) -> None:
        self._events.append(event)
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)

    # What the application does.

    async def receive(self) -> Event:
        """The next event. Others are served first: a message is parsed when it is asked for."""
        while not self._events:
            if self._buffer and self._later is None:
                self._drain_in(0)
            self._receiver = self._loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        return self._events.popleft()

    async def send(self, event: Event) -> None:
        """Write an event of the application. Raises OSError when the peer is gone, RuntimeError after a close."""
        if event["type"] != "websocket.close":
            await self._writable.wait()
        match event["type"]:
            case _ if self._state == _OVER:
                raise ConnectionResetError("the peer is gone")
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

    def _accept(self, event: Event) -> None:
        head = [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"]
        head.append(b"sec-websocket-accept: %s\r\n" % self._accept_key)
        if subprotocol := event.get("subprotocol"):
            head.append(b"sec-websocket-protocol: %s\r\n" % subprotocol.encode())
        head += [b"%s: %s\r\n" % header for header in [*self._server.default_headers, *event.get("headers", ())]]
        self._transport.write(b"".join([*head, b"\r\n"]))
        self._state = _OPEN
        self._connection.expire("token", TOKEN_SECS)
        self._connection.on_admitted = self._admitted
        self._connection.on_tick = self._tick
        self._connection.ping = self._answers
        self._ping_at = self._connection.ticks + PING_SECS
        if not self._connection.is_stranger:
            self._admitted()

    def _respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Refuse the handshake with an HTTP answer."""
        own = [(b"content-length", b"%d" % len(body)), (b"connection", b"close"), *self._server.default_headers]
        lines = [b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode())]
        lines += [b"%s: %s\r\n" % header for header in [*own, *headers]]
        self._transport.write(b"".join([*lines, b"\r\n", body]))
        self._end(frames.LOST)
        self._connection.expire("close", CLOSE_SECS)
        self._transport.close()

    def _close(self, code: int, reason: str) -> None:
        """Send a close frame and wait for the peer's, for CLOSE_SECS."""
        self._write(frames.CLOSE, frames.close_payload(code, reason))
        self._end(code, reason)
        self._state = _CLOSING
        self._connection.expire("close", CLOSE_SECS)
        self._drain_in(0)

    def _admitted(self) -> None:
        """A token was accepted: the peer may send more."""
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
        """One answer for all pings that arrived since the last one (RFC 6455, section 5.5.3)."""
        if self._pong is not None and self._state == _OPEN:
            pong, self._pong = self._pong, None
            self._write(frames.PONG, pong)

    async def _answers(self, within: float) -> bool:
        """Whether the peer answers a ping of its own in so many seconds, or we could not read its answer by then."""
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
        """Each second: send a ping when one is due; end the connection of a peer that did not answer the last."""
        if self._state != _OPEN:
            return
        if not self._transport.get_write_buffer_size():
            self._write_pong()
        if self._events:  # the application is busy, and the answer may wait behind what it has not taken
            self._ping_at = max(self._ping_at, ticks + 1)
        if ticks < self._ping_at:
            return
        if self._ping is not None:
            self._connection.abort("pong")
            return
        self._ping, self._ping_at = os.urandom(4), ticks + PING_SECS
        self._write(frames.PING, self._ping)
