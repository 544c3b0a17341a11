"""A public server with real Caddy and HAProxy in front of it: what clients, certificates and killed programs see."""

import asyncio
import os
import resource
import signal
import ssl
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from portico.edge.haproxy_config import ADDRESS_CONNECTIONS_MAX
from tests.edge.public import PublicServer, handshake, new_certificate, public_server
from tests.edge.turn_client import allocate, allocation, error_of
from tests.gateway.browser import SignalingBrowser
from tests.servers import PorticoServer
from tests.waiting import until, until_in_thread

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAMS = ("caddy", "haproxy", "janus", "turnserver")
KINDS = {"internal": ["caddy"], "shared": ["caddy", "haproxy"], "files": ["haproxy"]}
"""The programs in front, by where certificates are from."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def public(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]
) -> AsyncIterator[PublicServer]:
    folder = tmp_path_factory.mktemp(f"{request.param}-{'long' * 25}")  # longer than the path of a socket may be
    async with public_server(folder, portico, request.param) as server:
        yield server


def kind_of(public: PublicServer) -> str:
    return (
        "files"
        if public.server.settings["TLS"] == "files"
        else ("shared" if "TURN_DOMAIN" in public.server.settings else "internal")
    )


async def test_the_api_and_links_have_the_public_address(public: PublicServer) -> None:
    room_id = (await public.call_api("POST", "/rooms", {"unique_name": "links"}))["data"]["id"]
    answer = await public.call_api("POST", f"/rooms/{room_id}/actions/generate_meeting_link")
    assert answer["data"]["meeting_link"].startswith(f"{public.base_url}/meet/{room_id}#")
    assert f"  Base URL      {public.base_url}/v2\n" in public.server.log


async def test_two_browsers_join_over_wss(public: PublicServer) -> None:
    room_id = (await public.call_api("POST", "/rooms", {"unique_name": "wss"}))["data"]["id"]
    async with SignalingBrowser(public, room_id, await public.token(room_id), tls=public.trust) as anna:
        assert anna.url.startswith("wss://localhost:")
        await anna.join("Anna")
        async with SignalingBrowser(public, room_id, await public.token(room_id), tls=public.trust) as ben:
            await ben.join("Ben")
            await anna.receives("participants")


async def test_plain_http_is_redirected_to_our_own_name(public: PublicServer) -> None:
    async with public.client() as http:
        url = f"http://127.0.0.1:{public.http_port}/meet/x?y=z"
        async with http.get(url, headers={"Host": "evil.example"}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (308, f"{public.base_url}/meet/x?y=z")


async def test_another_host_name_is_not_served(public: PublicServer) -> None:
    url, headers = f"{public.base_url}/healthz", {"Host": "evil.example"}
    async with public.client() as http, http.get(url, headers=headers) as answer:
        assert answer.status == 421


RAW = {
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "another host in the line": b"GET https://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another host in both": b"GET //evil.example/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a user before the host": b"GET /healthz HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.0\r\n\r\n",
    "a path above the root": b"GET /assets/../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "the same, encoded": b"GET /assets/..%2f..%2f..%2fetc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two lengths": b"POST /v2/rooms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


async def _status(public: PublicServer, request: bytes) -> int:
    """The status of the answer to these bytes; 0 where the connection ends without one."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", public.https_port, ssl=public.trust, server_hostname="localhost"
    )
    try:
        writer.write(request)
        async with asyncio.timeout(20):
            line = await reader.readline()
        return int(line.split()[1]) if line else 0
    finally:
        writer.transport.abort()


async def test_requests_that_no_browser_sends_get_nothing(public: PublicServer) -> None:
    statuses = {name: await _status(public, request) for name, request in RAW.items()}
    assert all(status in (0, 400, 401, 404, 405, 421, 501) for status in statuses.values()), statuses


async def test_a_client_cannot_speak_for_a_proxy(public: PublicServer) -> None:
    """The PROXY protocol, by which HAProxy names clients to itself, is refused on the port that clients reach."""
    v2 = b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\xcb\0q\x07\x7f\0\0\x01\0\x01\x01\xbb"
    for header in (b"PROXY TCP4 203.0.113.7 127.0.0.1 1 443\r\n", v2):
        _, writer = await asyncio.open_connection("127.0.0.1", public.https_port)
        writer.write(header)
        with pytest.raises((ssl.SSLError, OSError, TimeoutError)):
            await writer.start_tls(public.trust, server_hostname="localhost", ssl_handshake_timeout=20)
        writer.transport.abort()


async def test_one_address_does_not_take_all_connections(public: PublicServer) -> None:
    """HAProxy refuses more of one address. Caddy knows no such limit and goes on: docs/security.md."""
    number = list(KINDS).index(kind_of(public)) + 1
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    flood, other = f"127.0.{number}.4", f"127.0.{number}.5"
    held: list[asyncio.StreamWriter] = []
    try:
        for _ in range(ADDRESS_CONNECTIONS_MAX):
            _, writer = await asyncio.open_connection("127.0.0.1", public.https_port, local_addr=(flood, 0))
            held.append(writer)
        assert await _is_served(public, flood) is ("haproxy" not in KINDS[kind_of(public)])
        assert await _is_served(public, other)
    finally:
        for writer in held:
            writer.transport.abort()
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


async def _is_served(public: PublicServer, address: str) -> bool:
    try:
        async with public.client(address) as http, http.get(f"{public.base_url}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def test_each_client_is_counted_by_its_own_address(public: PublicServer) -> None:
    """Wrong keys of one address are refused, whatever addresses it invents; another address is not concerned."""
    number = list(KINDS).index(kind_of(public)) + 1
    guessing, other = f"127.0.{number}.2", f"127.0.{number}.3"
    statuses = await _wrong_keys(public, guessing)
    assert {*statuses} == {401, 429} and statuses.count(401) >= 20
    invented = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.8", "X-Real-IP": "203.0.113.9"}
    statuses = await _wrong_keys(public, guessing, invented)
    assert statuses.count(401) < 20, "an address of its own would have admitted 20"
    assert await _wrong_key(public, other, 0) == 401


async def _wrong_keys(public: PublicServer, address: str, headers: dict[str, str] | None = None) -> list[int]:
    """40 at once: 20 are admitted at once, and others as time goes on."""
    return await asyncio.gather(*(_wrong_key(public, address, number, headers) for number in range(40)))


async def _wrong_key(public: PublicServer, address: str, number: int, headers: dict[str, str] | None = None) -> int:
    async with public.client(address) as http:
        named = {"Authorization": f"Bearer wrong-{number}", **(headers or {})}
        async with http.get(f"{public.base_url}/v2/rooms", headers=named) as answer:
            return answer.status


async def test_a_client_outside_is_no_program_of_this_machine(public: PublicServer) -> None:
    """/metrics answers programs of this machine, and every client comes from one: Caddy or HAProxy."""
    async with public.client() as http, http.get(f"{public.base_url}/metrics") as answer:
        assert answer.status == 403


async def test_our_own_server_listens_on_loopback_only(public: PublicServer) -> None:
    listening = Path("/proc/net/tcp").read_text()
    assert f" 0100007F:{public.server.port:04X} 00000000:0000 0A" in listening
    assert f" 00000000:{public.server.port:04X} " not in listening


async def test_readiness_shows_versions_and_metrics_count_restarts(public: PublicServer) -> None:
    """A killed program is back within seconds; the server and its Janus go on."""
    async with public.client() as http, http.get(f"{public.base_url}/readyz") as answer:
        children = (await answer.json())["children"]
    assert list(children) == [*KINDS[kind_of(public)], "coturn"]
    assert {child["status"] for child in children.values()} == {"up"}
    assert all(child["version"][0].isdigit() for child in children.values())
    (janus,) = public.server.descendants("janus")
    for name in children:
        before = await _restarts(public, name)
        (pid,) = public.server.descendants("turnserver" if name == "coturn" else name)
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await until(partial(_is_back, public, name, before))
        assert time.monotonic() - begun < 30  # a second on a machine that does nothing else
    await public.call_api("GET", "/rooms")
    assert public.server.descendants("janus") == [janus]


async def _restarts(public: PublicServer, name: str) -> float:
    async with public.client() as http, http.get(f"{public.server.base_url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(
        float(line.split()[1]) for line in lines if line.startswith(f'portico_child_restarts{{child="{name}"}}')
    )


async def _is_back(public: PublicServer, name: str, before: float) -> bool:
    if await _restarts(public, name) == before:
        return False
    return await asyncio.to_thread(handshake, public.https_port, "localhost", public.trust) is not None


class Named(ssl.SSLContext):
    """Names one host in each handshake, wherever the connection goes."""

    name = "turn.localhost"

    def wrap_bio(self, incoming: Any, outgoing: Any, *_: Any, **__: Any) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_hostname=self.name)


class Localhost(Named):
    name = "localhost"


async def test_another_certificate_is_used_and_ends_no_call(tmp_path: Path, portico: type[PorticoServer]) -> None:
    """Nor does one that expires: who is there stays, by HTTPS and by the relay over TLS. New clients refuse it.

    With a key that is still to be replaced, the old pair stays in use.
    """
    async with public_server(tmp_path, portico, "files") as public:

        async def used(trust: ssl.SSLContext) -> bytes | None:
            """The certificate (DER), when HTTPS and TURN have one that this client trusts."""
            await until_in_thread(lambda: handshake(public.turn_port, "localhost", trust))
            return await until_in_thread(lambda: handshake(public.https_port, "localhost", trust))

        def refused(port: int) -> bool:
            return handshake(port, "localhost", short) is None

        first = await used(public.trust)
        room_id = (await public.call_api("POST", "/rooms", {"unique_name": "long call"}))["data"]["id"]
        token = await public.token(room_id)
        (tmp_path / "certificate.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        await until_in_thread(lambda: "certificate.not_used" in public.server.log)
        assert await used(public.trust) == first
        begun = time.monotonic()
        assert await used(new_certificate(tmp_path)) != first
        short = new_certificate(tmp_path, lasts_secs=2 + 2 * (time.monotonic() - begun))
        await used(short)
        async with SignalingBrowser(public, room_id, token, tls=short) as anna:
            [server] = (await anna.ask("create"))["portico"]["ice_servers"]
            relay = Localhost(ssl.PROTOCOL_TLS_CLIENT)
            relay.load_verify_locations(tmp_path / "certificate.pem")
            user = server["username"], server["credential"]
            async with allocation(("127.0.0.1", public.turn_port), user, "tcp", relay) as relayed:
                for port in (public.https_port, public.turn_port):
                    await until_in_thread(partial(refused, port))
                await anna.attach("janus.plugin.videoroom")
                await relayed.refresh()
                trust = new_certificate(tmp_path)
                last = await used(trust)
                await anna.attach("janus.plugin.videoroom")
                await relayed.refresh()
            assert not anna.closed.is_set()
        (haproxy,) = public.server.descendants("haproxy")
        os.kill(haproxy, signal.SIGKILL)
        again = await until_in_thread(lambda: handshake(public.https_port, "localhost", trust))
        assert again == last, "a restarted program reads the new one"


async def test_turn_over_tls_shares_the_port_by_its_name(tmp_path: Path, portico: type[PorticoServer]) -> None:
    async with public_server(tmp_path, portico, "shared") as public:
        room = (await public.call_api("POST", "/rooms", {}))["data"]["id"]
        async with SignalingBrowser(public, room, await public.token(room), tls=public.trust) as anna:
            [server] = (await anna.ask("create"))["portico"]["ice_servers"]
        assert server["urls"][-1] == f"turns:turn.localhost:{public.https_port}?transport=tcp"
        user = server["username"], server["credential"]
        root = tmp_path / "data" / "edge" / "caddy" / "storage" / "pki" / "authorities" / "local" / "root.crt"
        trust = Named(ssl.PROTOCOL_TLS_CLIENT)
        trust.load_verify_locations(root)
        await until_in_thread(lambda: handshake(public.https_port, "turn.localhost", trust) is not None)
        shared = "127.0.0.1", public.https_port
        assert await error_of(allocate(shared, user, "tcp", trust)) is None
        assert await error_of(allocate(shared, (user[0], "forged"), "tcp", trust)) == 401
        await public.call_api("GET", "/rooms")
        # While there is no relay, HTTPS goes on.
        (coturn,) = public.server.descendants("turnserver")
        os.kill(coturn, signal.SIGSTOP)
        await public.call_api("GET", "/rooms")
        with pytest.raises(aiohttp.ClientError):
            async with public.client() as http, http.get(f"http://127.0.0.1:{public.https_port}/"):
                pass


async def test_nothing_is_left_of_a_server_that_is_killed_or_stopped(
    tmp_path: Path, portico: type[PorticoServer]
) -> None:
    async with public_server(tmp_path, portico, "shared") as public:
        programs = [pid for name in PROGRAMS for pid in public.server.descendants(name)]
        assert len(programs) == len(PROGRAMS)
        public.server.kill9()
        await until_in_thread(lambda: not any(Path(f"/proc/{pid}").exists() for pid in programs))
        public.server.restart()
        programs = public.server.descendants()
        os.kill(public.server.pid, signal.SIGTERM)
        assert public.server.wait() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in programs)
