"""Tries whether our own relay sends packets to a port that is none of media.

A TURN client (RFC 8656) with the few requests that this needs.
"""

import asyncio
import contextlib
import hashlib
import hmac
import random
import secrets
import socket
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from portico.core.ice import credentials
from portico.edge.coturn_config import RelaySettings

_COOKIE = 0x2112A442
_ALLOCATE, _REFRESH, _SEND, _PERMIT = 0x0003, 0x0004, 0x0016, 0x0008
_USERNAME, _INTEGRITY, _ERROR, _LIFETIME, _PEER, _DATA = 0x0006, 0x0008, 0x0009, 0x000D, 0x0012, 0x0013
_REALM, _NONCE, _FAMILY, _TRANSPORT = 0x0014, 0x0015, 0x0017, 0x0019
_UDP = b"\x11\0\0\0"
_WITHIN_SECS = 5.0
_TRIES = 100

AttributeValue = bytes | tuple[str, int]
"""The value of an attribute: its bytes, or the address and port of an XOR-PEER-ADDRESS."""


class RelayProbeError(Exception):
    """The relay could not be tried; str() is a clause."""


async def reaches_all_ports(settings: RelaySettings) -> bool:
    """Whether the relay reaches a port of Janus' addresses that is none of media. Raises RelayProbeError.

    A packet for a port of media has to arrive first.
    """
    addresses = {ip_address(each).version: each for each in reversed(settings.relay)}
    try:
        async with asyncio.timeout(_WITHIN_SECS):
            return any([await _reaches(settings, address) for address in addresses.values()])
    except TimeoutError:
        raise RelayProbeError("it does not pass packets on to ports of media") from None
    except OSError as error:
        raise RelayProbeError(f"it cannot be tried: {error.strerror or error}") from error


async def _reaches(settings: RelaySettings, address: str) -> bool:
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        other, media = (stack.enter_context(each) for each in _services(settings, address))
        client = stack.enter_context(_socket(settings.listen[0]))
        client.connect((settings.listen[0], settings.port))
        turn = _Client(client, *credentials(settings.secret, "probe", datetime.now(UTC) + timedelta(minutes=1)))
        family = 1 if ip_address(address).version == 4 else 2
        await turn.request(_ALLOCATE, {_TRANSPORT: _UDP, _FAMILY: bytes([family, 0, 0, 0])})
        try:
            await turn.request(_PERMIT, {_PEER: media.getsockname()[:2]})
            await turn.send(b"probe", *media.getsockname()[:2])
            await loop.sock_recv(media, 100)
            await turn.send(b"probe", *other.getsockname()[:2])
            await turn.answer(_PERMIT, {_PEER: media.getsockname()[:2]})  # whatever it is, the packet was before it
        finally:
            turn.give_back()
        try:
            return bool(other.recv(100))
        except BlockingIOError:
            return False


def _services(settings: RelaySettings, address: str) -> tuple[socket.socket, socket.socket]:
    """Open two sockets on the address: one on a port of neither media nor the relay, one on a port of media."""
    ranges = settings.ports, settings.media_ports
    for _ in range(_TRIES):
        port = random.randint(1024, 65535)
        if any(low <= port <= high for low, high in ranges):
            continue
        with contextlib.suppress(OSError):
            other = _socket(address, port)
            break
    else:
        raise RelayProbeError("no port is free")
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):
            return other, _socket(address, random.randint(*settings.media_ports))
    other.close()
    raise RelayProbeError("no port of media is free")


def _socket(address: str, port: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made


class _Client:
    """A TURN client on this machine, by UDP."""

    def __init__(self, connected: socket.socket, username: str, password: str) -> None:
        self._socket, self._username, self._password = connected, username, password
        self._signature: dict[int, bytes] = {}
        self._key = b""

    async def request(self, method: int, attributes: Mapping[int, AttributeValue]) -> None:
        """Send a request; return when it succeeds. The first answer brings realm and nonce. Raises RelayProbeError."""
        for _ in range(2):
            answer_to, answer = await self.answer(method, attributes)
            if answer_to == method | 0x0100:
                return
            self._sign(answer)
        code = answer.get(_ERROR, bytes(4))
        raise RelayProbeError(f"it refuses with {code[2] * 100 + code[3]}")

    def give_back(self) -> None:
        """End the relay address, without waiting for the answer."""
        ended = {_LIFETIME: bytes(4), **self._signature}
        with contextlib.suppress(OSError):
            self._socket.send(_message(_REFRESH, secrets.token_bytes(12), ended, self._key))

    async def send(self, data: bytes, address: str, port: int) -> None:
        """Send data to a peer. No answer follows."""
        indication = _message(_SEND, secrets.token_bytes(12), {_PEER: (address, port), _DATA: data})
        await asyncio.get_running_loop().sock_sendall(self._socket, indication)

    def _sign(self, answer: Mapping[int, bytes]) -> None:
        realm = answer.get(_REALM, b"")
        self._signature = {_USERNAME: self._username.encode(), _REALM: realm, _NONCE: answer.get(_NONCE, b"")}
        key = b":".join((self._username.encode(), realm, self._password.encode()))
        self._key = hashlib.md5(key, usedforsecurity=False).digest()

    async def answer(self, method: int, attributes: Mapping[int, AttributeValue]) -> tuple[int, dict[int, bytes]]:
        """Receive an answer; returns its type and attributes."""
        loop, transaction = asyncio.get_running_loop(), secrets.token_bytes(12)
        await loop.sock_sendall(
            self._socket, _message(method, transaction, {**attributes, **self._signature}, self._key)
        )
        while True:
            packet = await loop.sock_recv(self._socket, 2048)
            if packet[8:20] == transaction:
                return int.from_bytes(packet[:2], "big"), _attributes(packet[20:])


def _message(kind: int, transaction: bytes, attributes: Mapping[int, AttributeValue], key: bytes = b"") -> bytes:
    coded = {name: each if isinstance(each, bytes) else _peer(*each, transaction) for name, each in attributes.items()}
    body = b"".join(
        struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4) for name, value in coded.items()
    )
    if not key:
        return struct.pack("!HHI", kind, len(body), _COOKIE) + transaction + body
    signed = struct.pack("!HHI", kind, len(body) + 24, _COOKIE) + transaction + body  # 24: the attribute that follows
    return signed + struct.pack("!HH", _INTEGRITY, 20) + hmac.digest(key, signed, "sha1")


def _attributes(rest: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(rest) >= 4:
        name, size = struct.unpack("!HH", rest[:4])
        found[name] = rest[4 : 4 + size]
        rest = rest[4 + size + -size % 4 :]
    return found


def _peer(address: str, port: int, transaction: bytes) -> bytes:
    """The value of XOR-PEER-ADDRESS."""
    parsed, key = ip_address(address), struct.pack("!I", _COOKIE) + transaction
    hidden = bytes(one ^ other for one, other in zip(parsed.packed, key, strict=False))
    return struct.pack("!BBH", 0, 1 if parsed.version == 4 else 2, port ^ _COOKIE >> 16) + hidden
