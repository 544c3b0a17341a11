"""Every connection to the listening socket: counted before it is served, and ended when its peer takes too long.

Deadlines are counted in ticks, which are seconds during which the event loop ran: while the process itself stands
still, no peer becomes late.
"""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

import structlog

from portico.core import addresses, client_address
from portico.core.budget import Budget
from portico.listener.descriptors import Descriptors
from portico.listener.limits import (
    KEPT_SECS_MIN,
    KEY_TRUSTED_SECS,
    PROGRESS_BYTES_MIN,
    REQUEST_WAITS_SECS_MAX,
    REQUESTS_BURST,
    UNSENT_BYTES_MAX,
    Limits,
)

log = structlog.get_logger()
TICK_SECS = 1.0
_ADDRESSES_MAX = 10_000
"""Addresses whose requests are remembered; the one that asked longest ago is forgotten."""
EXTENSION = "portico.connection"
"""Where an ASGI scope of ours holds its ClientConnection, among its extensions."""
Refusal = Literal["address", "strangers", "all", "descriptors"]
Cause = Literal["head", "body", "idle", "handshake", "token", "close", "answer", "unsent", "displaced", "flood", "pong"]
REFUSALS: tuple[Refusal, ...] = ("address", "strangers", "all", "descriptors")
CAUSES: tuple[Cause, ...] = (
    *("head", "body", "idle", "handshake", "token", "close", "answer", "unsent", "displaced", "flood", "pong"),
)


class ClientConnection:
    """One accepted socket. It belongs to a stranger until a token or an API key was shown on it."""

    def __init__(
        self, all_: "ClientConnections", transport: asyncio.Transport, address: str, network: str | None
    ) -> None:
        self._all = all_
        self._deadline: int | None = None
        self._cause: Cause = "head"
        self._opened = all_.ticks
        self._stuck_since = all_.ticks
        self._unsent = 0
        self._socket = transport.get_extra_info("socket")
        self.limits = all_.limits
        self.transport = transport
        self.address = address
        self.network = network
        """The client that it counts for until it shows a token or key; None for a trusted proxy that has named none."""
        self.is_stranger = True
        self.is_sending = False
        """Whether an answer waits for its peer to read."""
        self.on_tick: Callable[[int], None] | None = None
        self.on_admitted: Callable[[], None] | None = None
        self.ping: Callable[[float], Awaitable[bool]] | None = None
        """Asks the peer of an open WebSocket whether it is there."""

    @property
    def ticks(self) -> int:
        """Seconds for which the event loop has run."""
        return self._all.ticks

    def expire(self, cause: Cause, secs: int) -> None:
        """Abort the connection unless `wait` or another `expire` is called within so many seconds."""
        self._cause, self._deadline = cause, self._all.ticks + secs

    def wait(self) -> None:
        """It is our turn: no deadline runs against the peer."""
        self._deadline = None

    def sending(self, is_sending: bool) -> None:
        """Whether what was written waits for the peer. An answer that makes no progress for too long is dropped."""
        self.is_sending, self._unsent, self._stuck_since = is_sending, 0, self._all.ticks
        self._all.note_sending(self, is_sending)

    def admit(self) -> None:
        """A valid token or key was shown: the connection no longer counts for its address."""
        if self.is_stranger:
            self._all.admit(self)
            if self.on_admitted is not None:
                self.on_admitted()

    def count_for(self, address: str) -> bool:
        """Count it for the client that a trusted proxy names. False when that client has too many."""
        return self._all.recount(self, address)

    def touch(self) -> None:
        """It asks for something: it is no longer among the first to be dropped for a newer one."""
        self._all.touch(self)

    def shows_key(self, address: str) -> None:
        """A request of this client's, which may come through a trusted proxy, had a valid API key."""
        self.admit()
        self._all.trust_keys_of(address)

    async def answers(self, within: float) -> bool:
        """Whether the peer answers a WebSocket ping in so many seconds; True where it cannot be asked."""
        return self.ping is None or await self.ping(within)

    def abort(self, cause: Cause) -> None:
        """End it at once, whatever is unsent."""
        self._all.ended[cause] += 1
        # With a reset: otherwise the system would go on to offer what is unsent to a peer that does not read.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def closed(self) -> None:
        """The socket is gone."""
        self._all.forget(self)

    def is_displaceable(self, ticks: int) -> bool:
        """Whether it waits for its peer, and had its time to say what it came for."""
        return self._deadline is not None and ticks - self._opened >= KEPT_SECS_MIN

    def check(self, ticks: int, answer_secs: int) -> None:
        """Abort it if its peer is too late."""
        if self._deadline is not None and ticks > self._deadline:
            self.abort(self._cause)
        elif self.is_sending and self._is_stuck(ticks, answer_secs):
            self.abort("answer")
        elif self.on_tick is not None:
            self.on_tick(ticks)

    def _is_stuck(self, ticks: int, answer_secs: int) -> bool:
        unsent = self.transport.get_write_buffer_size() + _unacknowledged(self._socket.fileno())
        if not unsent or unsent <= self._unsent - PROGRESS_BYTES_MIN:
            self._unsent, self._stuck_since = unsent, ticks
        self._unsent = max(self._unsent, unsent)
        return ticks - self._stuck_since > answer_secs


class ClientConnections:
    """All connections of this process, and what was refused or ended."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.descriptors = Descriptors()
        self.ticks = 0
        self.refused: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self._all: dict[ClientConnection, None] = {}
        self._strangers: dict[ClientConnection, None] = {}  # oldest first, as each of the following
        self._of_address: dict[str, dict[ClientConnection, None]] = {}
        self._requests: OrderedDict[str, Budget] = OrderedDict()
        self._with_key: OrderedDict[str, int] = OrderedDict()  # by network: until which tick its keys are believed
        self._sending: set[ClientConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """Connections that are open."""
        return len(self._all)

    @property
    def strangers(self) -> int:
        """Those of them on which no token or key was shown."""
        return len(self._strangers)

    def start(self) -> None:
        """Begin to tick."""
        self._timer = asyncio.get_running_loop().call_later(TICK_SECS, self._tick)

    def stop(self) -> None:
        """End ticking."""
        if self._timer is not None:
            self._timer.cancel()

    def open(self, transport: asyncio.Transport, address: str) -> ClientConnection | Refusal:
        """Count a new socket, or say which limit it meets."""
        is_proxy = client_address.is_trusted(address, self.limits.trusted_proxies)
        network = None if is_proxy else addresses.network(address)
        if (refusal := self._refusal(transport, network)) is not None:
            self.refused[refusal] += 1
            return refusal
        connection = ClientConnection(self, transport, address, network)
        self._all[connection] = self._strangers[connection] = None
        if network is not None:
            self._of_address.setdefault(network, {})[connection] = None
        return connection

    def admit(self, connection: ClientConnection) -> None:
        """See ClientConnection.admit."""
        self._forget_stranger(connection)
        connection.is_stranger = False

    def recount(self, connection: ClientConnection, address: str) -> bool:
        """See ClientConnection.count_for."""
        if not connection.is_stranger:
            # The token or key was shown by any client of the proxy, which uses one connection for many.
            if self._is_full(self._strangers, self.limits.without_token):
                self.refused["strangers"] += 1
                return False
            connection.is_stranger = True
            self._strangers[connection] = None
        if connection.address == address:
            return True
        network = addresses.network(address)
        if self._is_full(self._of_address.get(network, {}), self.limits.per_address):
            self.refused["address"] += 1
            return False
        self._forget_stranger(connection)
        connection.address, connection.network = address, network
        self._strangers[connection] = None
        self._of_address.setdefault(network, {})[connection] = None
        return True

    def touch(self, connection: ClientConnection) -> None:
        """See ClientConnection.touch."""
        if connection in self._strangers:
            del self._strangers[connection]
            self._strangers[connection] = None
            if connection.network is not None:
                of_address = self._of_address[connection.network]
                del of_address[connection]
                of_address[connection] = None

    def forget(self, connection: ClientConnection) -> None:
        """See ClientConnection.closed."""
        self._all.pop(connection, None)
        self._sending.discard(connection)
        self._forget_stranger(connection)

    def trust_keys_of(self, address: str) -> None:
        """For KEY_TRUSTED_SECS, requests of this address that show a key are not counted before it is looked up."""
        network = addresses.network(address)
        self._with_key[network] = self.ticks + KEY_TRUSTED_SECS
        self._with_key.move_to_end(network)
        if len(self._with_key) > _ADDRESSES_MAX:
            self._with_key.popitem(last=False)

    def trusts_keys_of(self, address: str) -> bool:
        """Whether a valid key was shown from this address a short while ago."""
        return self._with_key.get(addresses.network(address), -1) >= self.ticks

    def count_request(self, address: str, now: float) -> float:
        """Count a request that shows no key; the seconds that it has to wait, so that others are served."""
        network, per_sec = addresses.network(address), self.limits.requests_per_sec
        if (budget := self._requests.get(network)) is None:
            budget = self._requests[network] = Budget(per_sec, REQUESTS_BURST * per_sec, now)
            if len(self._requests) > _ADDRESSES_MAX:
                self._requests.popitem(last=False)
        self._requests.move_to_end(network)
        return min(budget.spend(1, now), REQUEST_WAITS_SECS_MAX)

    def note_sending(self, connection: ClientConnection, is_sending: bool) -> None:
        """Keep what all clients together have not read within UNSENT_BYTES_MAX: the largest answers go first."""
        if not is_sending:
            self._sending.discard(connection)
            return
        self._sending.add(connection)
        sizes = {each: each.transport.get_write_buffer_size() for each in self._sending}
        total = sum(sizes.values())
        while total > UNSENT_BYTES_MAX and sizes:
            largest = max(sizes, key=sizes.__getitem__)
            total -= sizes.pop(largest)
            self._sending.discard(largest)
            largest.abort("unsent")

    def _refusal(self, transport: asyncio.Transport, network: str | None) -> Refusal | None:
        if self.descriptors.is_reserved(transport.get_extra_info("socket").fileno()):
            return "descriptors"
        if network is not None and self._is_full(self._of_address.get(network, {}), self.limits.per_address):
            return "address"
        if len(self._all) >= self.limits.in_all:
            return "all"
        return "strangers" if self._is_full(self._strangers, self.limits.without_token) else None

    def _is_full(self, strangers: dict[ClientConnection, None], most: int) -> bool:
        """Whether there is no room for one more, also not in the place of one that says nothing."""
        if len(strangers) < most:
            return False
        for connection in strangers:
            if connection.is_displaceable(self.ticks):
                connection.abort("displaced")
                self.forget(connection)
                return False
        return True

    def _forget_stranger(self, connection: ClientConnection) -> None:
        self._strangers.pop(connection, None)
        if connection.network is not None and (of_address := self._of_address.get(connection.network)) is not None:
            of_address.pop(connection, None)
            if not of_address:
                del self._of_address[connection.network]

    def _tick(self) -> None:
        self.start()
        self.ticks += 1
        for connection in list(self._all):
            connection.check(self.ticks, self.limits.answer_secs)


def _unacknowledged(descriptor: int) -> int:
    """Bytes that the system holds because the peer has not taken them: SIOCOUTQ of tcp(7)."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0" * 4), sys.byteorder)


def connection_of(scope: MutableMapping[str, Any]) -> ClientConnection | None:
    """The connection that an ASGI scope came by; None where another server than ours made the scope."""
    extensions = scope.get("extensions")
    found = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    return found if isinstance(found, ClientConnection) else None
