"""HTTP/1.1 on one connection: uvicorn's protocol with bounds on what a client sends, and deadlines."""

import asyncio
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from portico.core import client_address
from portico.core.budget import Budget
from portico.listener.connections import EXTENSION, ClientConnection, ClientConnections
from portico.listener.limits import BODY_BYTES_BURST, BODY_BYTES_PER_SEC, CLOSE_SECS, HEAD_BYTES_MAX, HEADERS_MAX
from portico.listener.websocket_protocol import WebSocketProtocol

_SLICE_BYTES = 2048
"""Bytes that the parser gets at once. It cannot be stopped in the middle; 2 kB hold at most 100 requests."""


class _Flow(FlowControl):
    """Uvicorn's flow control, which resumes reading only when the protocol holds no unparsed bytes."""

    is_held = False

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


class HttpProtocol(HttpToolsProtocol):
    """Serves one connection, with deadlines for a request's head, its body and the reading of its answer."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: ClientConnections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections = connections
        self._limits = connections.limits
        self._connection: ClientConnection | None = None
        self._flow: _Flow
        self._is_over = False  # refused, or handed to the WebSocket protocol
        self._in_request = False
        self._is_received = True  # whether the current request is read to its last byte
        self._beyond_body = 0  # bytes of the current request that are not its body
        self._held = b""  # received and not parsed yet
        self._bytes = Budget(BODY_BYTES_PER_SEC, BODY_BYTES_BURST, self.loop.time())
        self._resumes: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport)
        opened = self._connections.open(transport, self.client[0] if self.client else "")
        if isinstance(opened, ClientConnection):
            self._connection = opened
            opened.expire("head", self._limits.head_secs)
            return
        self._is_over = True
        if opened == "descriptors":
            transport.abort()
        else:
            self._refuse(503, "Too many connections.", retry=True)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._resumes is not None:
            self._resumes.cancel()
        if self._connection is not None:
            self._connection.closed()
        self._held = b""
        super().connection_lost(exc)

    # Requests.

    def data_received(self, data: bytes) -> None:
        if self._is_over or self._connection is None:
            return
        self._unset_keepalive_if_required()
        if not self._in_request:
            self._in_request = True
            self._connection.expire("head", self._limits.head_secs)
        self._held = self._held + data if self._held else data
        if pause := self._bytes.spend(len(data), self.loop.time()):
            self._hold(pause)
        self._feed()

    def _hold(self, secs: float) -> None:
        self._flow.is_held = True
        self.flow.pause_reading()
        if self._resumes is None:
            self._resumes = self.loop.call_later(secs, self._resume)

    def _resume(self) -> None:
        self._resumes = None
        self._feed()

    def _feed(self) -> None:
        """Parse held bytes until an earlier request has to be answered first, or the budget is used up."""
        while self._held and not self._is_over:
            if self.pipeline or self._resumes is not None:
                self._flow.is_held = True
                self.flow.pause_reading()
                return
            piece, self._held = self._held[:_SLICE_BYTES], self._held[_SLICE_BYTES:]
            self._parse(piece)
        if self._resumes is None and self._flow.is_held and not self._is_over:
            self._flow.is_held = False
            self.flow.resume_reading()

    def _parse(self, piece: bytes) -> None:
        self._beyond_body += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._held = piece[upgrade.args[0] :] + self._held
                self._upgrade()
                return
        except httptools.HttpParserError:
            self._refuse(400, "Invalid HTTP request received.")
            return
        if self._beyond_body > HEAD_BYTES_MAX or (self._in_request and len(self.headers or ()) > HEADERS_MAX):
            self._refuse(431, "The request's headers are too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_received = False
        self.scope["extensions"] = {EXTENSION: self._connection}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        assert self._connection is not None
        self._connection.expire("body", self._limits.body_secs)
        if self.client is not None and (proxies := self._limits.trusted_proxies):
            client = client_address.client_of(self.client[0], self.headers, proxies)
            self.scope["client"] = (client, self.client[1] if client == self.client[0] else 0)
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start the application: at once, or later for an address that has made too many requests without a key.

        A text in `Authorization` need not be a valid key. It counts as one on a connection that has shown a valid token
        or key, or if the address has shown a valid key lately. A trusted proxy's connection has many clients, so only
        the address counts there.
        """
        start = partial(super()._start_asgi_task, cycle, app)
        connection, client = self._connection, cycle.scope["client"]
        if connection is None or client is None:
            start()
            return
        is_admitted = not connection.is_anonymous and connection.network is not None
        shows_key = any(name == b"authorization" for name, _ in cycle.scope["headers"])
        if is_admitted or (shows_key and self._connections.trusts_keys_of(client[0])):
            start()
        elif wait := self._connections.count_request(client[0], self.loop.time()):
            self.loop.call_later(wait, start)
        else:
            start()

    def on_body(self, body: bytes) -> None:
        self._beyond_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._is_received, self._beyond_body = True, 0
        if self.cycle is None or self._connection is None:
            return
        if self.cycle.response_complete and not self.pipeline:
            self._idle(self._connection)
        else:
            self._connection.touch()
            self._connection.wait()

    # Answers.

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._connection is None:
            return
        if self.transport.is_closing():
            self._connection.wait()
            self._connection.sending(True)
        elif not self._is_received:
            self._connection.expire("body", CLOSE_SECS)
        elif not self.pipeline:
            self._idle(self._connection)
        if self._held and self._resumes is None:
            self._resumes = self.loop.call_later(0, self._resume)

    def _idle(self, connection: ClientConnection) -> None:
        self._in_request = False
        connection.expire("idle", self._limits.idle_secs)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._connection is not None:
            self._connection.sending(True)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._connection is not None and not self.transport.is_closing():
            self._connection.sending(False)

    def _refuse(self, status: int, sentence: str, *, retry: bool = False) -> None:
        """Answer without the application, and close the connection."""
        self._is_over, self._held = True, b""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            text = sentence.encode()
            head = [STATUS_LINE[status], b"content-type: text/plain; charset=utf-8\r\n"]
            head += [b"content-length: %d\r\n" % len(text), b"connection: close\r\n"]
            head += [b"retry-after: 1\r\n"] if retry else []
            self.transport.write(b"".join([*head, b"\r\n", text]))
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
        if self._connection is not None:
            self._connection.expire("close", CLOSE_SECS)

    def _upgrade(self) -> None:
        """Hand the socket to the WebSocket protocol: the request that was read is a handshake."""
        connection = self._connection
        assert connection is not None
        self._is_over = True
        self._connection = None
        self.connections.discard(self)
        client = self.scope["client"]
        if client is not None and connection.network is None and not connection.count_for(client[0]):
            self._connection = connection
            self._refuse(503, "Too many connections.", retry=True)
            return
        early, self._held = self._held, b""
        protocol = WebSocketProtocol(self.config, self.server_state, connection)
        self._flow.is_held = False
        self.flow.resume_reading()
        self.transport.set_protocol(protocol)
        protocol.begin(cast(Any, self.scope), self.url, early)
