"""Public servers of tests: the names localhost and turn.localhost, ports of 127.0.0.1, and clients that trust them."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from portico.edge.certificates import SELF_SIGNED_LASTS, self_signed
from tests.edge.turn_client import free_turn_port
from tests.servers import PorticoServer, free_port
from tests.waiting import until_in_thread


@dataclass
class PublicServer:
    """A server with Caddy or HAProxy in front of it, and how a client outside reaches it."""

    server: PorticoServer
    https_port: int
    http_port: int
    turn_port: int
    trust: ssl.SSLContext

    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.https_port}"

    @asynccontextmanager
    async def client(self, address: str = "127.0.0.1") -> AsyncIterator[aiohttp.ClientSession]:
        """A client with this address of the loopback interface."""
        connector = aiohttp.TCPConnector(ssl=self.trust, local_addr=(address, 0), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as http:
            yield http

    async def call_api(self, method: str, path: str, body: object = None) -> Any:
        """The answer of the REST API, asked for over HTTPS."""
        headers = {"Authorization": f"Bearer {self.server.api_key}"}
        url = f"{self.base_url}/v2{path}"
        async with self.client() as http, http.request(method, url, json=body, headers=headers) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def token(self, room_id: str) -> str:
        answer = await self.call_api("POST", f"/rooms/{room_id}/actions/generate_join_client_token")
        token: str = answer["data"]["token"]
        return token


@asynccontextmanager
async def public_server(
    folder: Path, portico: type[PorticoServer], kind: str, **settings: str
) -> AsyncIterator[PublicServer]:
    """`kind` is internal, shared (the same with TURN_DOMAIN) or files."""
    ports = https, http, turn = free_port(), free_port(), free_turn_port()
    chosen = {"HOST": "127.0.0.1", "DOMAIN": "localhost", "HTTPS_PORT": str(https), "HTTP_PORT": str(http)}
    root = folder / "data" / "edge" / "caddy" / "storage" / "pki" / "authorities" / "local" / "root.crt"
    if kind == "files":
        root = folder / "certificate.pem"
        new_certificate(folder)
        chosen |= {"TLS": "files", "TLS_CERTIFICATE": str(root), "TLS_KEY": str(root)}
    else:
        chosen |= {"TLS": "internal"}
    chosen |= {"MEDIA_INTERFACE": "127.0.0.1", "TURN_PORT": str(free_turn_port()), "TURN_TLS_PORT": str(turn)}
    if kind == "shared":
        chosen |= {"TURN_DOMAIN": "turn.localhost"}
    with portico(folder / "data", **chosen, **settings) as server:
        await until_in_thread(root.exists)
        public = PublicServer(server, *ports, ssl.create_default_context(cafile=root))
        await until_in_thread(lambda: handshake(public.https_port, "localhost", public.trust) is not None)
        yield public


def new_certificate(folder: Path, name: str = "localhost", lasts_secs: float = 300 * 86_400) -> ssl.SSLContext:
    """Write key and certificate as certificate.pem of the folder, replacing what is there; returns the trust in it."""
    pem = self_signed(name, datetime.now(UTC) - SELF_SIGNED_LASTS + timedelta(seconds=lasts_secs))
    (folder / "new.pem").write_bytes(pem)
    (folder / "new.pem").replace(folder / "certificate.pem")
    return ssl.create_default_context(cafile=folder / "certificate.pem")


def handshake(port: int, name: str, trust: ssl.SSLContext) -> bytes | None:
    """The certificate (DER) with which a TLS handshake for this name succeeds; None while there is none."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            trust.wrap_socket(plain, server_hostname=name) as secured,
        ):
            return secured.getpeercert(binary_form=True)
    except OSError:
        return None
