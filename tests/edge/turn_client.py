"""A TURN client: aioice's, with the requests that browsers send and those that attackers would."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aioice import stun, turn

from portico.core.ice import credentials

WITHIN_SECS = 20.0


def free_turn_port() -> int:
    """A port of 127.0.0.1 that is free for UDP and TCP, and none of those of media and of the relay."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as probe, socket.socket() as stream:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            with contextlib.suppress(OSError):
                stream.bind(("127.0.0.1", port))
                if not (20_000 <= port <= 40_000 or port >= 61_000):
                    return port


class Received(asyncio.DatagramProtocol):
    """What arrives at a relay address."""

    def __init__(self) -> None:
        self.packets: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.packets.put_nowait(data)

    def connection_made(self, transport: Any) -> None: ...

    def connection_lost(self, error: Exception | None) -> None: ...


@dataclass
class Allocation:
    """A relay address of this client."""

    transport: Any
    received: Received

    @property
    def client(self) -> Any:
        return self.transport._TurnTransport__inner_protocol

    @property
    def address(self) -> tuple[str, int]:
        found: tuple[str, int] = self.transport.get_extra_info("sockname")
        return found

    async def permit(self, peer: str, port: int) -> None:
        """Bind a channel to a peer. Raises TransactionFailed, with the code of the server's error."""
        channel = 0x4000 + len(self.client.peer_to_channel)
        await self.client.channel_bind(channel, (peer, port))
        self.client.channel_to_peer[channel] = (peer, port)
        self.client.peer_to_channel[peer, port] = channel
        self.client.channel_refresh_at[channel] = float("inf")

    async def send(self, data: bytes, peer: str, port: int) -> None:
        await self.client.send_data(data, (peer, port))

    async def refresh(self) -> None:
        request = stun.Message(message_method=stun.Method.REFRESH, message_class=stun.Class.REQUEST)
        request.attributes["LIFETIME"] = 600
        await self.client.request_with_retry(request)

    async def close(self) -> None:
        """Give the relay address back."""
        await self.client.delete()


def login(secret: str, holder: str = "anna", *, secs: float = 3600) -> tuple[str, str]:
    """Credentials that end in so many seconds."""
    return credentials(secret, holder, datetime.now(UTC) + timedelta(seconds=secs))


async def allocate(
    server: tuple[str, int], user: tuple[str, str] | None, transport: str = "udp", tls: ssl.SSLContext | None = None
) -> Allocation:
    """A relay address. Raises TransactionFailed.

    coturn remembers for a while the client port of an allocation that has ended: it refuses another one with 437, or
    answers nothing. A client then takes another port, up to three times (RFC 8656, section 7.4).
    """
    for within_secs in (WITHIN_SECS / 4, WITHIN_SECS / 4):
        try:
            return await _allocate_once(server, user, transport, tls, within_secs)
        except TimeoutError:
            continue
        except stun.TransactionFailed as failed:
            if failed.response.attributes["ERROR-CODE"][0] != 437:
                raise
    return await _allocate_once(server, user, transport, tls, WITHIN_SECS)


async def _allocate_once(
    server: tuple[str, int],
    user: tuple[str, str] | None,
    transport: str,
    tls: ssl.SSLContext | None,
    within_secs: float,
) -> Allocation:
    username, password = user or (None, None)
    async with asyncio.timeout(within_secs):
        made, received = await turn.create_turn_endpoint(
            Received, server, username=username, password=password, transport=transport, ssl=tls or False
        )
    return Allocation(made, received)


@contextlib.asynccontextmanager
async def allocation(*arguments: Any, **options: Any) -> AsyncIterator[Allocation]:
    """A relay address for the block."""
    made = await allocate(*arguments, **options)
    try:
        yield made
    finally:
        await made.close()


async def error_of(attempt: Any) -> int | None:
    """The code with which the server refuses; None where it does not."""
    try:
        made = await attempt
    except stun.TransactionFailed as failed:
        code: int = failed.response.attributes["ERROR-CODE"][0]
        return code
    if isinstance(made, Allocation):
        await made.close()
    return None


@contextlib.contextmanager
def service(address: str, port: int = 0) -> Iterator[socket.socket]:
    """A program of this machine that waits for UDP."""
    with socket.socket(type=socket.SOCK_DGRAM) as bound:
        bound.bind((address, port))
        bound.setblocking(False)
        yield bound


async def reached(server: tuple[str, int], secret: str, *, peer: str, media: int, service_on: str) -> bool:
    """Whether a browser reaches a service that listens on an address of this machine, by a relay whose peer is `peer`.

    A program with the port `media`, as Janus has it, has to be reached, and its answer to arrive.
    """
    loop = asyncio.get_running_loop()
    with service(peer, media) as janus, service(service_on, free_turn_port()) as other:
        async with allocation(server, login(secret)) as anna, asyncio.timeout(WITHIN_SECS):
            port = other.getsockname()[1]
            await anna.permit(peer, port)  # coturn knows no ports
            await anna.permit(peer, media)
            await anna.send(b"to a service", peer, port)
            await anna.send(b"to janus", peer, media)
            data, source = await loop.sock_recvfrom(janus, 100)
            assert data == b"to janus"
            await loop.sock_sendto(janus, b"to anna", source)
            assert await anna.received.packets.get() == b"to anna"
        with contextlib.suppress(BlockingIOError):
            return other.recv(100) == b"to a service"
        return False
