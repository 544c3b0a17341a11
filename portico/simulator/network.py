"""Makes the network of a client bad: loses packets of media, and breaks the signaling connection."""

import random
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from portico.client import Room


class Network:
    """The network of one client. Between `lose` and `recover` it loses packets in both directions."""

    def __init__(self, room: Room, seed: int) -> None:
        self._room = room
        self._random = random.Random(seed)
        self._share = 0.0
        self._reached: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def is_bad(self) -> bool:
        """Whether packets are lost now."""
        return self._share > 0

    def lose(self, share: float) -> None:
        """Lose this part (0 to 1) of the packets of media from now on. ICE checks pass, so that the path is kept."""
        self._share = share
        self.reach()

    def recover(self) -> None:
        """Lose no more packets."""
        self._share = 0.0

    def reach(self) -> None:
        """Apply the loss to the media connections that the client has opened since."""
        if self._share:
            for transport in _transports(self._room):
                self._wrap(transport)

    def disconnect(self) -> None:
        """Break the signaling connection, as a lost network does."""
        connection: Any = self._room._connection  # the client has no need of such a method, and applications neither
        if connection is not None:
            connection.signaling._socket._response.connection.transport.abort()

    def _wrap(self, transport: Any) -> None:
        if transport in self._reached:
            return
        self._reached.add(transport)
        send: Callable[[bytes], Awaitable[None]] = transport._send
        receive: Callable[[], Awaitable[bytes]] = transport._recv

        async def lossy_send(data: bytes) -> None:
            if self._random.random() >= self._share:
                await send(data)

        async def lossy_receive() -> bytes:
            while True:
                data = await receive()
                if self._random.random() >= self._share:
                    return data

        transport._send, transport._recv = lossy_send, lossy_receive


def _transports(room: Room) -> list[Any]:
    """The ICE transports of aiortc under all media connections of a client."""
    connection: Any = room._connection
    if connection is None:
        return []
    peers = [peer._connection for peer in connection._peers]
    return [transport for peer in peers for transport in peer._RTCPeerConnection__iceTransports]
