"""Counts every connection to the listening socket before it is served, and ends those whose client is too slow.

Deadlines are counted in ticks: seconds during which the event loop ran. While the process stands still no client
becomes late.
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
"""Networks whose requests are counted; the one whose last request is oldest is forgotten."""
EXTENSION = "portico.connection"
"""The ASGI extension that holds the ClientConnection of a scope."""
Refusal = Literal["address", "anonymous", "all", "descriptors"]
Cause = Literal["head", "body", "idle", "handshake", "token", "close", "answer", "unsent", "displaced", "flood", "pong"]
REFUSALS: tuple[Refusal, ...] = ("address", "anonymous", "all", "descriptors")
CAUSES: tuple[Cause, ...] = (
    *("head", "body", "idle", "handshake", "token", "close", "answer", "unsent", "displaced", "flood", "pong"),
)


class ClientConnection:
    """One accepted socket. It is anonymous until a valid token or API key is shown on it."""

    def __init__(
        self, all_: "ClientConnections", transport: asyncio.Transport, address: str, network: str | None
    ) -> None:
        self._all = all_
        self._deadline: int | None = None
        self._cause: Cause = "head"
        self._opened = all_.ticks
        self._stuck_since = all_.ticks  # the tick since which the client has read too little
        self._unsent = 0  # unsent bytes at that tick
        self._socket = transport.get_extra_info("socket")
        self.limits = all_.limits
        self.transport = transport
        self.address = address
        self.network = network
        """The network that it is counted for while it is anonymous; None for a proxy that has not named a client."""
        self.is_anonymous = True
        self.is_sending = False
        """Whether written data waits for the client to read."""
        self.on_tick: Callable[[int], None] | None = None
        self.on_admitted: Callable[[], None] | None = None
        self.ping: Callable[[float], Awaitable[bool]] | None = None
        """Pings the client of an open WebSocket; whether it answers in so many seconds."""

    @property
    def ticks(self) -> int:
        """Seconds during which the event loop has run."""
        return self._all.ticks

    def expire(self, cause: Cause, secs: int) -> None:
        """Start the deadline of the client: abort the connection in `secs` ticks, unless it is changed before."""
        self._cause, self._deadline = cause, self._all.ticks + secs

    def wait(self) -> None:
        """Stop the deadline: the client waits for us."""
        self._deadline = None

    def sending(self, is_sending: bool) -> None:
        """Note whether written data waits for the client; `check` aborts a connection whose client reads nothing."""
        self.is_sending, self._unsent, self._stuck_since = is_sending, 0, self._all.ticks
        self._all.note_sending(self, is_sending)

    def admit(self) -> None:
        """Stop counting the connection for its address: a valid token or key was shown on it."""
        if self.is_anonymous:
            self._all.admit(self)
            if self.on_admitted is not None:
                self.on_admitted()

    def count_for(self, address: str) -> bool:
        """Count the connection for the client that a trusted proxy names; False when that client has too many."""
        return self._all.recount(self, address)

    def touch(self) -> None:
        """Note a request: connections without one for longer are displaced first."""
        self._all.touch(self)

    def shows_key(self, address: str) -> None:
        """Note a request with a valid API key of the client with this address (behind a proxy, not the proxy's)."""
        self.admit()
        self._all.trust_keys_of(address)

    async def answers(self, within: float) -> bool:
        """Whether the client answers a WebSocket ping in `within` seconds; True for a connection without pings."""
        return self.ping is None or await self.ping(within)

    def abort(self, cause: Cause) -> None:
        """End the connection at once, with unsent data, and count the cause."""
        self._all.ended[cause] += 1
        # With a reset, or the system would keep unsent data for a client that does not read.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def closed(self) -> None:
        """Stop counting the connection, whose socket is closed."""
        self._all.forget(self)

    def is_displaceable(self, ticks: int) -> bool:
        """Whether a newer connection may displace it: it waits for its client, and is KEPT_SECS_MIN old."""
        return self._deadline is not None and ticks - self._opened >= KEPT_SECS_MIN

    def check(self, ticks: int, answer_secs: int) -> None:
        """Abort the connection if its client missed a deadline or reads nothing for `answer_secs` ticks."""
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
    """All connections of this process, and the numbers of those that were refused or aborted."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.descriptors = Descriptors()
        self.ticks = 0
        self.refused: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self._all: dict[ClientConnection, None] = {}
        self._anonymous: dict[ClientConnection, None] = {}  # least recent request first, as below
        self._of_address: dict[str, dict[ClientConnection, None]] = {}
        self._requests: OrderedDict[str, Budget] = OrderedDict()
        self._with_key: OrderedDict[str, int] = OrderedDict()  # by network: the tick until which its keys are trusted
        self._sending: set[ClientConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """The number of open connections."""
        return len(self._all)

    @property
    def anonymous_count(self) -> int:
        """The number of open connections on which no valid token or key was shown."""
        return len(self._anonymous)

    def start(self) -> None:
        """Start ticking."""
        self._timer = asyncio.get_running_loop().call_later(TICK_SECS, self._tick)

    def stop(self) -> None:
        """Stop ticking."""
        if self._timer is not None:
            self._timer.cancel()

    def open(self, transport: asyncio.Transport, address: str) -> ClientConnection | Refusal:
        """Count a new socket; returns the limit instead that refuses it."""
        is_proxy = client_address.is_trusted(address, self.limits.trusted_proxies)
        network = None if is_proxy else addresses.network(address)
        if (refusal := self._refusal(transport, network)) is not None:
            self.refused[refusal] += 1
            return refusal
        connection = ClientConnection(self, transport, address, network)
        self._all[connection] = self._anonymous[connection] = None
        if network is not None:
            self._of_address.setdefault(network, {})[connection] = None
        return connection

    def admit(self, connection: ClientConnection) -> None:
        """See ClientConnection.admit."""
        self._forget_anonymous(connection)
        connection.is_anonymous = False

    def recount(self, connection: ClientConnection, address: str) -> bool:
        """See ClientConnection.count_for."""
        if not connection.is_anonymous:
            # A proxy uses one connection for many clients: another one may have shown the token or key.
            if self._is_full(self._anonymous, self.limits.without_token):
                self.refused["anonymous"] += 1
                return False
            connection.is_anonymous = True
            self._anonymous[connection] = None
        if connection.address == address:
            return True
        network = addresses.network(address)
        if self._is_full(self._of_address.get(network, {}), self.limits.per_address):
            self.refused["address"] += 1
            return False
        self._forget_anonymous(connection)
        connection.address, connection.network = address, network
        self._anonymous[connection] = None
        self._of_address.setdefault(network, {})[connection] = None
        return True

    def touch(self, connection: ClientConnection) -> None:
        """See ClientConnection.touch."""
        if connection in self._anonymous:
            del self._anonymous[connection]
            self._anonymous[connection] = None
            if connection.network is not None:
                of_address = self._of_address[connection.network]
                del of_address[connection]
                of_address[connection] = None

    def forget(self, connection: ClientConnection) -> None:
        """See ClientConnection.closed."""
        self._all.pop(connection, None)
        self._sending.discard(connection)
        self._forget_anonymous(connection)

    def trust_keys_of(self, address: str) -> None:
        """For KEY_TRUSTED_SECS, do not count requests of this address' network that show a key, valid or not."""
        network = addresses.network(address)
        self._with_key[network] = self.ticks + KEY_TRUSTED_SECS
        self._with_key.move_to_end(network)
        if len(self._with_key) > _ADDRESSES_MAX:
            self._with_key.popitem(last=False)

    def trusts_keys_of(self, address: str) -> bool:
        """Whether a valid key was shown from this address' network within KEY_TRUSTED_SECS."""
        return self._with_key.get(addresses.network(address), -1) >= self.ticks

    def count_request(self, address: str, now: float) -> float:
        """Count a request without a trusted key; returns the seconds that it has to wait."""
        network, per_sec = addresses.network(address), self.limits.requests_per_sec
        if (budget := self._requests.get(network)) is None:
            budget = self._requests[network] = Budget(per_sec, REQUESTS_BURST * per_sec, now)
            if len(self._requests) > _ADDRESSES_MAX:
                self._requests.popitem(last=False)
        self._requests.move_to_end(network)
        return min(budget.spend(1, now), REQUEST_WAITS_SECS_MAX)

    def note_sending(self, connection: ClientConnection, is_sending: bool) -> None:
        """Abort the connections with the most unsent data while all together have more than UNSENT_BYTES_MAX."""
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
        return "anonymous" if self._is_full(self._anonymous, self.limits.without_token) else None

    def _is_full(self, anonymous: dict[ClientConnection, None], most: int) -> bool:
        """Whether one more connection exceeds `most`. It displaces a connection that waits for its client, if any."""
        if len(anonymous) < most:
            return False
        for connection in anonymous:
            if connection.is_displaceable(self.ticks):
                connection.abort("displaced")
                self.forget(connection)
                return False
        return True

    def _forget_anonymous(self, connection: ClientConnection) -> None:
        self._anonymous.pop(connection, None)
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
    """Bytes that the system holds because the client has not acknowledged them: SIOCOUTQ of tcp(7)."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0" * 4), sys.byteorder)


def connection_of(scope: MutableMapping[str, Any]) -> ClientConnection | None:
    """The connection of an ASGI scope; None for a scope that another server has made."""
    extensions = scope.get("extensions")
    found = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    return found if isinstance(found, ClientConnection) else None
