"""STUN and TURN servers: asked as browsers begin, without credentials."""

import asyncio
import secrets
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest

from portico.doctor import relay, stun
from portico.doctor.relay import Answer, Server, ask, judge, server_of
from tests.doctor.conftest import MakeSubject
from tests.doctor.findings import levels
from tests.receiver import Receiver
from tests.servers import kept_port
from tests.worker.webhooks.certificates import a_server

SEEN = ip_address("203.0.113.9")


@asynccontextmanager
async def a_stun_server() -> AsyncIterator[int]:
    """The port of a server that sees every client as SEEN; it sends something else first."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self._transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self._transport.sendto(b"noise", addr)
            self._transport.sendto(_answer(data[8:20], SEEN), addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


async def test_the_servers_of_the_settings_are_asked_and_no_password_is_shown(
    subject: MakeSubject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with kept_port() as kept:
        closed = kept.getsockname()[1]
        async with a_stun_server() as port, Receiver() as tcp, Receiver(tls=a_server(tmp_path, None)) as tls:
            urls = [f"stun:127.0.0.1:{port}", f"turn:me:s3cret@127.0.0.1:{port}", f"turns:127.0.0.1:{tls.port}"]
            urls += [f"turn:127.0.0.1:{each}?transport=tcp" for each in (tcp.port, closed)]
            monkeypatch.setenv("PORTICO_ICE_SERVERS", ", ".join(urls))
            found = await relay.check(subject(media_address=str(SEEN)))
    assert levels(found) == ["ok", "ok", "ok", "ok", "problem"]
    assert f"sees this machine as {SEEN}" in found[0].text
    assert "connection refused" in found[4].text
    assert "s3cret" not in str(found)


async def test_without_servers_there_is_nothing_to_ask(subject: MakeSubject) -> None:
    assert await relay.check(subject()) == []


def test_an_address_that_janus_does_not_offer_is_noted_with_the_setting_that_offers_it() -> None:
    found = judge(server_of("stun:stun.example.com"), Answer(seen=SEEN), [ip_address("10.0.0.5")])
    assert levels(found) == ["note"]
    assert f"PORTICO_MEDIA_ADDRESS={SEEN}" in found[0].remedy


@pytest.mark.parametrize(
    ("url", "host", "port", "transport"),
    [
        ("stun:a.b", "a.b", 3478, "udp"),
        ("turn:a.b:1?transport=tcp", "a.b", 1, "tcp"),
        ("turns:[2001:db8::1]", "2001:db8::1", 5349, "tls"),
    ],
)
def test_urls_of_servers_are_read(url: str, host: str, port: int, transport: str) -> None:
    assert server_of(url) == Server(url, host, port, transport)


async def test_what_does_not_speak_tls_is_found_out() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as plain:
        answer = await ask(Server("turns:x", "127.0.0.1", plain.sockets[0].getsockname()[1], "tls"))
    assert answer.reason is not None and "does not speak TLS" in answer.reason


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::9"])
def test_the_address_in_an_answer_is_read(address: str) -> None:
    transaction = secrets.token_bytes(12)
    packet = _answer(transaction, ip_address(address))
    assert stun.mapped_address(packet, transaction) == ip_address(address)
    assert stun.mapped_address(packet, bytes(12)) is None, "of another request"
    for length in range(len(packet)):
        assert stun.mapped_address(packet[:length], transaction) is None


async def test_a_stun_server_is_asked() -> None:
    async with a_stun_server() as port:
        assert await stun.ask("127.0.0.1", port, within_secs=10) == SEEN


async def test_a_stun_server_that_is_silent_is_given_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert await stun.ask("127.0.0.1", silent.getsockname()[1], within_secs=0.2) is None


def _answer(transaction: bytes, address: IPv4Address | IPv6Address) -> bytes:
    key = struct.pack("!I", 0x2112A442) + transaction
    hidden = bytes(one ^ other for one, other in zip(address.packed, key, strict=False))
    value = struct.pack("!xBH", 1 if address.version == 4 else 2, 0) + hidden
    software = struct.pack("!HH", 0x8022, 3) + b"abc\0"
    attributes = software + struct.pack("!HH", 0x0020, len(value)) + value
    return struct.pack("!HHI", 0x0101, len(attributes), 0x2112A442) + transaction + attributes
