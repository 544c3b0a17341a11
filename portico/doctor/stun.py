"""Asks a STUN server under which address it sees this machine (RFC 8489)."""

import asyncio
import secrets
import struct
from ipaddress import ip_address

from portico.core.addresses import Address

_REQUEST, _ANSWER, _COOKIE = 0x0001, 0x0101, 0x2112A442
_XOR_MAPPED_ADDRESS = 0x0020
_FORMS = ((1, 8), (2, 20))
"""(Family, bytes of the value) of an attribute with an IPv4 address, and of one with an IPv6 address."""
_SENT_AFTER_SECS = (0.0, 0.4, 1.0)


def request(transaction: bytes) -> bytes:
    """Make a binding request; `transaction` is its id of 12 bytes."""
    return struct.pack("!HHI", _REQUEST, 0, _COOKIE) + transaction


def mapped_address(packet: bytes, transaction: bytes) -> Address | None:
    """The address in the answer to the request with this id; None for any other packet."""
    if len(packet) < 20 or packet[8:20] != transaction:
        return None
    kind, length, cookie = struct.unpack("!HHI", packet[:8])
    if kind != _ANSWER or cookie != _COOKIE:
        return None
    rest = packet[20 : 20 + length]
    while len(rest) >= 4:
        name, size = struct.unpack("!HH", rest[:4])
        value = rest[4 : 4 + size]
        if name == _XOR_MAPPED_ADDRESS and len(value) == size and (value[1], size) in _FORMS:
            key = struct.pack("!I", _COOKIE) + transaction
            return ip_address(bytes(one ^ other for one, other in zip(value[4:], key, strict=False)))
        rest = rest[4 + size + -size % 4 :]
    return None


async def ask(host: str, port: int, *, within_secs: float) -> Address | None:
    """Ask a STUN server; returns the address under which it sees us, None without an answer in time. Raises OSError."""
    transaction = secrets.token_bytes(12)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Address] = loop.create_future()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            found = mapped_address(data, transaction)
            if found is not None and not answer.done():
                answer.set_result(found)

    try:
        async with asyncio.timeout(within_secs):
            transport, _ = await loop.create_datagram_endpoint(Receiver, remote_addr=(host, port))
            try:
                for secs in _SENT_AFTER_SECS:
                    loop.call_later(secs, transport.sendto, request(transaction))
                return await answer
            finally:
                transport.close()
    except TimeoutError:
        return None
