"""Connection checks: the socket at /check/socket, over which the page /check gets echoes of Janus for one minute.

The messages are those of docs/check.md. A client never reaches Janus' own API: it sends offers and gets answers.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import structlog

from portico.core.addresses import network
from portico.core.check_relays import RELAY_PATHS, by_path
from portico.core.errors import Busy, Forbidden, NotFound
from portico.core.ice import IceServers
from portico.db.engine import Database, Transaction
from portico.gateway.browser_socket import BrowserSocket, NothingReceived, Receive, Send, SocketClosed, TooSlow
from portico.gateway.check_slots import CheckSlots, NoSlot
from portico.janus.echo import EchoSession, NoEchoTest
from portico.janus.errors import JanusError, JanusUnavailable
from portico.janus.node import JanusNode
from portico.listener import frames
from portico.listener.connections import ClientConnection, connection_of
from portico.services import tokens
from portico.services.tokens import TokenKeys
from portico.signaling.check_offer import prepared
from portico.signaling.policy import RequestRefused

log = structlog.get_logger()

CHECK_SECS = 60
"""How long a check may last. The page needs 15 to 40 s."""
FIRST_MESSAGE_SECS = 10
MESSAGES_MAX = 100
"""Messages of one check: the page sends 4 offers, as many ends, and 5 pings."""
STOP_SECS = 5
RELAY_LIFETIME = timedelta(minutes=2)
"""How long the credentials of a check admit to the relay."""
PATHS = ("direct", *RELAY_PATHS)
"""The paths that a check may try, each once."""
BITRATE_MAX = 1_000_000
"""Bits per second of video that the echo asks for: two cameras at the SDK's limit of 500 kb/s."""
RATE_PERIOD_SECS = 2.0
RATE_MAX = 3 * BITRATE_MAX
"""Bits per second at which a check is ended. Browsers keep to BITRATE_MAX after a second; other programs may not."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What all checks of a process use."""

    db: Database
    keys: TokenKeys
    node: JanusNode | None
    """The Janus of this process; without one there are no checks."""
    clock: Callable[[], datetime]
    ice: IceServers
    is_draining: Callable[[], bool]
    secs: int = CHECK_SECS
    rate_max: int = RATE_MAX


class Checks:
    """An ASGI application for WebSockets at /check/socket."""

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self.slots = CheckSlots()
        self._open: dict[asyncio.Task[None], BrowserSocket] = {}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one socket, from the handshake to its end."""
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        client = connection_of(dict(scope))
        address = (scope.get("client") or ("",))[0]
        task = asyncio.current_task()
        assert task is not None
        socket = self._open[task] = BrowserSocket(receive, send)
        try:
            await self._serve(socket, client, address)
        except (SocketClosed, TooSlow):
            pass
        except NothingReceived:
            await socket.close(frames.NORMAL, "The check is over.")
        finally:
            del self._open[task]

    async def stop(self) -> None:
        """End all checks, within STOP_SECS."""
        await asyncio.gather(*(socket.close(frames.RESTARTS, "The server stops.") for socket in self._open.values()))
        if self._open:
            await asyncio.wait(self._open, timeout=STOP_SECS)

    async def _serve(self, socket: BrowserSocket, client: ClientConnection | None, address: str) -> None:
        begin = await socket.receive(FIRST_MESSAGE_SECS)
        refusal = self._refusal()
        if refusal is None:
            try:
                with self.slots.slot(address, self._context.secs):
                    if client is not None:
                        client.admit()  # its slot bounds it now; other sockets without a token end after 30 s
                    await ConnectionCheck(self._context, socket, address).run(begin)
                    return
            except NoSlot as full:
                refusal = {"reason": full.reason, "sentence": str(full), "retry_secs": full.retry_secs}
        socket.queue([{"check": "refused", **refusal}])
        await socket.send()
        await socket.close(frames.NORMAL, "The check cannot begin.")

    def _refusal(self) -> dict[str, object] | None:
        if self._context.is_draining():
            return {"reason": "stopping", "sentence": "The server stops. Try again in a minute.", "retry_secs": 60}
        if self._context.node is None:
            sentence = "This server has no media server of its own, so it offers no connection check."
            return {"reason": "media", "sentence": sentence, "retry_secs": 60}
        if not self._context.node.is_up or self._context.node.shortage():
            return {"reason": "media", "sentence": "The media server is busy. Try again in a minute.", "retry_secs": 60}
        return None


class ConnectionCheck:
    """One check of one client."""

    def __init__(self, context: CheckContext, socket: BrowserSocket, address: str) -> None:
        self._context = context
        self._socket = socket
        self._address = address
        self._janus: EchoSession | None = None
        assert context.node is not None
        self._node = context.node
        self._tried: set[str] = set()
        self._handles: dict[str, int] = {}

    async def run(self, begin: object) -> None:
        """Answer messages for CHECK_SECS. Raises SocketClosed, NothingReceived and TooSlow at the end."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._context.secs
        watch = asyncio.create_task(self._watch_rate())
        try:
            await self._say({"check": "begun", "secs": self._context.secs, **await self._relays(begin)})
            for _ in range(MESSAGES_MAX):
                message = await self._socket.receive(max(ends_at - loop.time(), 0))
                if (answer := await self._answer(message)) is not None:
                    await self._say(answer)
            raise NothingReceived
        finally:
            watch.cancel()
            if self._janus is not None:
                await self._janus.close()

    async def _say(self, message: dict[str, Any]) -> None:
        self._socket.queue([message])
        await self._socket.send()

    async def _relays(self, begin: object) -> dict[str, object]:
        """The members `admitted` and `relays` of `begun`. Relays have credentials where `begin` has a token or link."""
        is_admitted = False
        if isinstance(begin, dict) and isinstance(begin.get("room_id"), str):
            look = partial(_is_admitted, keys=self._context.keys, begin=begin, now=self._context.clock())
            with contextlib.suppress(Busy):  # the database is away: the check goes on without credentials
                is_admitted = await self._context.db.read(look)
        ice, now = self._context.ice, self._context.clock()
        servers = ice.issue(_holder(self._address), now, RELAY_LIFETIME) if is_admitted else ice.addresses()
        return {"admitted": is_admitted, "relays": by_path(servers)}

    async def _answer(self, message: object) -> dict[str, Any] | None:
        match message:
            case {"check": "ping", "n": int(number)}:
                return {"check": "pong", "n": number}
            case {"check": "offer", "path": str(path), "sdp": sdp} if path in PATHS:
                if path in self._tried:
                    return _failed(path, "used", "Each path is tried once in a check.")
                self._tried.add(path)
                return await self._offered(path, sdp)
            case {"check": "end", "path": str(path)}:
                if self._janus is not None and (handle := self._handles.pop(path, None)) is not None:
                    await self._janus.end(handle)
                return None
        raise NothingReceived  # not a message of the page: the check ends

    async def _offered(self, path: str, sdp: object) -> dict[str, Any]:
        node = self._node
        try:
            offer = prepared(sdp, self._address)
            if self._janus is None:
                self._janus = await EchoSession.open(node.url, node.api_secret)
            echo = await self._janus.begin(offer, BITRATE_MAX)
        except NoEchoTest:
            return _failed(path, "echo", "The media server has no EchoTest plugin.")
        except RequestRefused as refused:
            return _failed(path, "offer", str(refused))
        except JanusError as error:
            return _failed(path, "offer", f"The media server refuses the offer ({error.code}).")
        except JanusUnavailable as error:
            return _failed(path, "media", str(error))
        self._handles[path] = echo.handle_id
        return {"check": "answer", "path": path, "sdp": echo.answer}

    async def _watch_rate(self) -> None:
        """Close the socket, which ends the check, once its echoes receive more than `rate_max` bits per second."""
        received = 0
        while self._node.shows_handles:
            await asyncio.sleep(RATE_PERIOD_SECS)
            before, received = received, await self._received()
            if (received - before) * 8 > self._context.rate_max * RATE_PERIOD_SECS:
                log.warning("check ended", reason="it sends too much", bits_per_sec=(received - before) * 4)
                await self._socket.close(frames.POLICY, "The check sends too much.")
                return

    async def _received(self) -> int:
        """Bytes of media that Janus has received from the client in the echoes that are open."""
        total = 0
        if self._janus is not None:
            for handle in [*self._handles.values()]:
                try:
                    info = await self._node.handle_info(self._janus.session_id, handle, deadline=2.0)
                except (JanusError, JanusUnavailable):
                    continue
                media = (info.get("webrtc") or {}).get("media", {}).values()
                total += sum(medium.get("stats", {}).get("in", {}).get("bytes", 0) for medium in media)
        return total


def _holder(address: str) -> str:
    """Who gets the credentials of a check: a network, whose checks share what one holder may have of the relay."""
    return f"check-{sha256(network(address).encode()).hexdigest()[:16]}"


def _is_admitted(tx: Transaction, keys: TokenKeys, begin: dict[str, Any], now: datetime) -> bool:
    """Whether `begin` has a valid client token or the valid invitation of the room."""
    try:
        match begin:
            case {"room_id": str(room_id), "token": str(token)}:
                tokens.check_access(tx, keys, room_id, token, now=now)
            case {"room_id": str(room_id), "invite": str(invitation)}:
                tokens.check_invitation(tx, keys, room_id, invitation)
            case _:
                return False
    except (Forbidden, NotFound):
        return False
    return True


def _failed(path: str, reason: str, sentence: str) -> dict[str, Any]:
    return {"check": "failed", "path": path, "reason": reason, "sentence": sentence}
