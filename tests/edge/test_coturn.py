"""coturn as it runs beside the server: who gets a relay address, and what it reaches. Janus is at PEER here."""

import asyncio
import contextlib
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aioice import stun, turn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portico.edge.coturn import Relay, load_secret
from portico.edge.coturn_config import BYTES_PER_SEC, RelaySettings
from portico.runtime import child
from tests.edge.turn_client import (
    WITHIN_SECS,
    Allocation,
    allocate,
    allocation,
    error_of,
    free_turn_port,
    login,
    service,
)
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTEN, PEER = "127.0.0.1", "127.0.0.9"
SECRET = secrets.token_hex(16)
LIMITED = os.geteuid() == 0 and child.protect().owner is not None
"""Whether the kernel can limit the relay to the ports of media here."""


def bundle(name: str) -> bytes:
    """A key and a certificate for this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Relay, RelaySettings]]:
    data = tmp_path_factory.mktemp("relay")
    certificates = data / "edge" / "certificates"
    certificates.mkdir(parents=True)
    certificates.chmod(0o700)
    (certificates / "turn.pem").write_bytes(bundle("first"))
    for path in (certificates, certificates / "turn.pem"):
        child.let_read(path)
    low = 10_000 + os.getpid() % 4_000 * 2  # below the ports that the system gives to others
    settings = RelaySettings(
        data,
        SECRET,
        listen=(LISTEN,),
        relay=(PEER,),
        peers=(PEER,),
        media_ports=(low + 300, low + 400),
        port=free_turn_port(),
        tls_port=free_turn_port(),
        ports=(low, low + 199),
        certificate=certificates / "turn.pem",
    )
    running = Relay(settings)
    await running.start()
    try:
        yield running, settings
    finally:
        await running.stop()


@pytest.fixture
def server(relay: tuple[Relay, RelaySettings]) -> tuple[str, int]:
    return LISTEN, relay[1].port


async def test_a_browser_with_credentials_reaches_janus_and_janus_the_browser(
    relay: tuple[Relay, RelaySettings], server: tuple[str, int]
) -> None:
    loop, settings = asyncio.get_running_loop(), relay[1]
    for transport in ("udp", "tcp"):
        with service(PEER, settings.media_ports[0]) as janus:
            async with allocation(server, login(SECRET), transport) as anna, asyncio.timeout(WITHIN_SECS):
                await anna.permit(*janus.getsockname())
                await anna.send(b"to janus", *janus.getsockname())
                data, source = await loop.sock_recvfrom(janus, 100)
                assert (data, source) == (b"to janus", anna.address)
                assert settings.ports[0] <= source[1] <= settings.ports[1]
                await loop.sock_sendto(janus, b"to anna", source)
                assert await anna.received.packets.get() == b"to anna"
                assert relay[0].addresses_used >= 1


async def test_no_and_old_and_forged_credentials_get_no_relay(server: tuple[str, int]) -> None:
    username, password = login(SECRET)
    for user in (
        None,
        login(SECRET, secs=-1),
        login("another secret"),
        (username, ("A" if password[0] != "A" else "B") + password[1:]),
        (f"{int(username.split(':')[0]) + 60}:anna", password),  # a later end than was signed
        ("anna", password),
        (f"{username}:x", password),
    ):
        assert await error_of(allocate(server, user)) == 401, user


async def test_an_open_relay_lives_on_when_its_credentials_end(
    relay: tuple[Relay, RelaySettings], server: tuple[str, int]
) -> None:
    user = login(SECRET, "carla", secs=3)
    async with allocation(server, user) as anna:

        async def is_over() -> bool:
            await asyncio.sleep(0.5)  # coturn counts a relay address for a while after it is given back
            return await error_of(allocate(server, user)) == 401

        await until(is_over, WITHIN_SECS)
        await anna.refresh()
        await anna.permit(PEER, relay[1].media_ports[0])


@pytest.mark.parametrize(
    "peer",
    [
        "127.0.0.1",
        "127.0.0.8",
        "127.0.0.10",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "8.8.8.8",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
async def test_no_other_address_is_relayed_to(server: tuple[str, int], peer: str) -> None:
    async with allocation(server, login(SECRET)) as anna:
        assert await error_of(anna.permit(peer, 5432)) == 403


@pytest.mark.parametrize("peer", ["::1", "::", "::ffff:127.0.0.9", "::ffff:127.0.0.1", "fe80::1", "fd00::1", "ff02::1"])
async def test_no_address_of_ipv6_is_relayed_to(server: tuple[str, int], peer: str) -> None:
    async with allocation(server, login(SECRET)) as anna:
        assert await error_of(anna.permit(peer, 5432)) in (403, 443)


@pytest.mark.skipif(not LIMITED, reason="needs root and a user of the children's own")
async def test_other_services_on_the_address_of_janus_are_not_reached(
    relay: tuple[Relay, RelaySettings], server: tuple[str, int]
) -> None:
    loop = asyncio.get_running_loop()
    assert relay[0].why_all_ports is None
    below, above = relay[1].media_ports[0] - 1, relay[1].media_ports[1] + 1
    with service(PEER, below) as first, service(PEER, above) as second, service("0.0.0.0") as third:
        for number, bound in enumerate((first, second, third), start=1):
            port = bound.getsockname()[1]
            async with allocation(server, login(SECRET)) as anna:
                await anna.permit(PEER, port)  # coturn knows no ports
                await anna.send(b"to a service", PEER, port)
                await until(lambda number=number: dropped() >= number, WITHIN_SECS)  # type: ignore[misc]
        with service(PEER, relay[1].media_ports[1]) as janus:
            async with allocation(server, login(SECRET)) as anna, asyncio.timeout(WITHIN_SECS):
                await anna.permit(*janus.getsockname())
                await anna.send(b"to janus", *janus.getsockname())
                assert await loop.sock_recv(janus, 100) == b"to janus"
        for bound in (first, second, third):
            with pytest.raises(BlockingIOError):
                bound.recv(100)


@pytest.mark.skipif(not LIMITED, reason="needs root and a user of the children's own")
@pytest.mark.usefixtures("relay")
async def test_a_packet_filter_that_is_lost_is_made_again() -> None:
    (first,) = filters()
    os.kill(first, signal.SIGKILL)

    def is_made_again() -> bool:
        return bool(filters() - {first}) and table().count("drop") > 0

    await until(is_made_again, WITHIN_SECS)


def filters() -> set[int]:
    """The nft processes of this one that run."""
    shown = subprocess.run(
        ["ps", "-o", "pid=,stat=,comm=", "--ppid", str(os.getpid())], check=False, capture_output=True, text=True
    )
    found = [line.split() for line in shown.stdout.splitlines()]
    return {int(pid) for pid, state, name, *_ in found if name == "nft" and not state.startswith("Z")}


def table() -> str:
    """The packet filter of this process, as nft shows it; nothing where there is none."""
    command = ["nft", "list", "table", "inet", f"portico_relay_{os.getpid()}"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=WITHIN_SECS).stdout


def dropped() -> int:
    """Packets that the packet filter of this process has dropped."""
    return sum(int(count) for count in re.findall(r"counter packets (\d+)", table()))


async def test_the_relay_makes_no_tcp_connections(server: tuple[str, int]) -> None:
    """RFC 6062, by which a browser could connect to the database."""
    request = stun.Message(message_method=stun.Method.ALLOCATE, message_class=stun.Class.REQUEST)
    request.attributes["REQUESTED-TRANSPORT"] = turn.TCP_TRANSPORT

    def client() -> turn.TurnClientTcpProtocol:
        return turn.TurnClientTcpProtocol(server, *login(SECRET), lifetime=600, channel_refresh_time=500)

    transport, anna = await asyncio.get_running_loop().create_connection(client, *server)
    try:
        assert await error_of(anna.request_with_retry(request)) == 442
    finally:
        transport.close()


async def test_browsers_with_one_token_share_a_quota_and_others_have_their_own(
    relay: tuple[Relay, RelaySettings], server: tuple[str, int]
) -> None:
    """By TCP: coturn knows a UDP port of a client for a while, and the system soon gives it to another socket."""
    settings, held = relay[1], []
    assert (settings.total_quota, settings.user_quota) == (200, 100)
    try:
        for number in range(settings.user_quota):
            held.append(await allocate(server, login(SECRET, "ben", secs=1000 + number), "tcp"))
        assert await error_of(allocate(server, login(SECRET, "ben", secs=500), "tcp")) == 486
        held.append(await allocate(server, login(SECRET, "cleo"), "tcp"))
    finally:
        for one in held:
            await one.close()

    async def has_room() -> bool:
        return await error_of(allocate(server, login(SECRET, "ben"), "tcp")) is None

    await until(has_room, WITHIN_SECS)


@pytest.mark.parametrize("towards_janus", [True, False])
async def test_one_relay_address_carries_so_many_bytes_in_a_second(
    relay: tuple[Relay, RelaySettings], server: tuple[str, int], towards_janus: bool
) -> None:
    """What exceeds them is dropped, in each direction. coturn counts anew each second."""
    arrived = 0
    with service(PEER, relay[1].media_ports[0]) as janus:
        async with allocation(server, login(SECRET), "tcp") as anna, asyncio.timeout(WITHIN_SECS):
            await anna.permit(*janus.getsockname())

            async def send(packet: bytes) -> None:
                if towards_janus:
                    await anna.send(packet, *janus.getsockname())
                else:
                    janus.sendto(packet, anna.address)

            def most() -> float:
                """The bytes of the seconds that have begun since the first packet."""
                return BYTES_PER_SEC * (time.monotonic() - begun + 2)

            sent, begun = 0, time.monotonic()
            while sent < 1.5 * most():
                for _ in range(20):  # fewer than the buffers of sockets hold
                    await send(b"x" * 4000)
                    sent += 4000
                await asyncio.sleep(0.001)
                arrived += sum(map(len, taken(janus, anna)))
            last: list[bytes] = []
            while b"end" not in last:  # what is before it has arrived, or was dropped
                await send(b"end")
                await asyncio.sleep(0.01)
                last += taken(janus, anna)
            arrived += sum(map(len, last))
            assert BYTES_PER_SEC / 2 < arrived < most(), (arrived, sent)


def taken(janus: socket.socket, anna: Allocation) -> list[bytes]:
    """Take the packets that have arrived at either end."""
    packets: list[bytes] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            packets.append(janus.recv(5000))
    while not anna.received.packets.empty():
        packets.append(anna.received.packets.get_nowait())
    return packets


async def test_tls_uses_a_new_certificate_and_old_protocols_are_refused(
    relay: tuple[Relay, RelaySettings], server: tuple[str, int]
) -> None:
    running, settings = relay
    tls = any_certificate()
    address = LISTEN, settings.tls_port
    async with allocation(address, login(SECRET), "tcp", tls) as anna:
        await anna.permit(PEER, settings.media_ports[0])
        assert await shown_name(address, tls) == "first"
        assert settings.certificate is not None
        settings.certificate.write_bytes(bundle("second"))
        await running.use_certificate("turn", settings.certificate)

        async def is_new() -> bool:
            return await shown_name(address, tls) == "second"

        await until(is_new, WITHIN_SECS)
        await anna.refresh()  # it lives on
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        await shown_name(address, old)


async def shown_name(address: tuple[str, int], tls: ssl.SSLContext) -> str:
    """The common name of the certificate that a TLS server shows."""
    _, writer = await asyncio.open_connection(*address, ssl=tls)
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        [name] = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value)
    finally:
        writer.close()


async def test_a_killed_coturn_is_started_again_and_takes_a_certificate_that_changes_meanwhile(
    relay: tuple[Relay, RelaySettings], server: tuple[str, int]
) -> None:
    running, settings = relay
    program, tls = running.program, any_certificate()
    pid, restarts, certificate = program.pid, program.state.restarts, settings.certificate
    assert pid is not None and program.state.version == "4.6.1" and certificate is not None
    os.kill(pid, 9)
    certificate.write_bytes(bundle("third"))

    async def is_back() -> bool:
        await running.use_certificate("turn", certificate)  # the signal must not end it while it starts
        return program.pid not in (None, pid) and program.state.is_up

    await until(is_back, WITHIN_SECS)
    certificate.write_bytes(bundle("fourth"))  # after it was read at the start
    await running.use_certificate("turn", certificate)

    async def is_new() -> bool:
        return await shown_name((LISTEN, settings.tls_port), tls) == "fourth"

    await until(is_new, WITHIN_SECS)
    assert await error_of(allocate(server, login(SECRET))) is None
    assert program.state.restarts == restarts + 1


def any_certificate() -> ssl.SSLContext:
    """A client's settings by which every certificate is accepted."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls


async def test_no_secret_is_logged(relay: tuple[Relay, RelaySettings], server: tuple[str, int]) -> None:
    username, password = login(SECRET, "dora")
    assert await error_of(allocate(server, (username, password))) is None
    assert await error_of(allocate(server, (username, "wrong" + password))) == 401
    logs = [path.read_text(errors="replace") for path in relay[1].folder.glob("coturn.log*")]
    assert logs
    assert SECRET not in "".join(logs)
    assert password not in "".join(logs)


async def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    first = load_secret(tmp_path)
    assert len(first) == 64
    assert load_secret(tmp_path) == first
    assert (tmp_path / "edge" / "turn-secret").stat().st_mode & 0o077 == 0
