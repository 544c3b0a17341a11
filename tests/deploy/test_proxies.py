"""The examples of deploy/proxies: real nginx and Caddy in front of Portico, with TLS, on a host and below a path."""

import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
import yaml  # type: ignore[import-untyped]

from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Transaction
from tests.deploy.proxies import EXAMPLES, Ports, caddy, nginx
from tests.factories import row
from tests.gateway.browser import SignalingBrowser
from tests.recorded import a_recorded_participant, a_recording
from tests.servers import PorticoServer, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE_BYTES = 64 * 1024 * 1024
"""The size of a file that the buffers of two sockets and of a proxy cannot hold."""
HTTPS, HTTP = free_port(), free_port()
PATH = "/video"
VARIANTS = {
    "nginx": (nginx, "nginx.conf", "", False),
    "nginx-path": (nginx, "nginx-path.conf", PATH, False),
    "nginx-path-stripped": (nginx, "nginx-path.conf", PATH, True),
    "caddy": (caddy, "Caddyfile", "", False),
    "caddy-path": (caddy, "Caddyfile-path", PATH, False),
    "caddy-path-stripped": (caddy, "Caddyfile-path", PATH, True),
}


@dataclass
class Front:
    """A running proxy before a server, and a client that trusts it."""

    name: str
    base_url: str
    server: PorticoServer
    trust: ssl.SSLContext
    http: aiohttp.ClientSession
    folder: Path
    number: int
    """Of the variant, from 1 on: clients of variant 3 have addresses 127.0.3.x."""

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        async with self.http.get(f"{self.base_url}{path}", headers=named, allow_redirects=False) as answer:
            return answer.status, dict(answer.headers), await answer.text()

    async def call_api(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self.server.api_key}"}
        async with self.http.request(method, f"{self.base_url}/v2{path}", json=body, headers=headers) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]
) -> Iterator[dict[str, PorticoServer]]:
    """A server on a host of its own, and one below a path, by their paths."""
    folder, url = tmp_path_factory.mktemp("portico"), f"https://localhost:{HTTPS}"
    chosen = {"TRUSTED_PROXIES": "127.0.0.1"}
    with (
        portico(folder / "host", PUBLIC_URL=url, **chosen) as on_host,
        portico(folder / "path", PUBLIC_URL=f"{url}{PATH}", **chosen) as below_path,
    ):
        yield {"": on_host, PATH: below_path}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=VARIANTS)
async def front(
    request: pytest.FixtureRequest, servers: dict[str, PorticoServer], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    start, example, path, strips = VARIANTS[request.param]
    server, folder = servers[path], tmp_path_factory.mktemp(request.param)
    with start(example, folder, Ports(HTTPS, HTTP, server.port), strips) as trust:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as http:
            number = list(VARIANTS).index(request.param) + 1
            yield Front(request.param, f"https://localhost:{HTTPS}{path}", server, trust, http, folder, number)


async def test_pages_api_and_links_have_the_public_address(front: Front) -> None:
    status, _, text = await front.get("/", accept="application/json")
    assert (status, json.loads(text)["data"]["links"]["api"]) == (200, f"{front.base_url}/v2")
    for path, named in {"/": "<h1>Portico</h1>", "/console": "console-", "/docs": "openapi.json"}.items():
        status, headers, text = await front.get(path, accept="text/html")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert named in text
    _, _, text = await front.get("/openapi.json")
    assert json.loads(text)["servers"] == [{"url": front.base_url}]
    assert (await front.get("/connect.js"))[1]["Content-Type"] == "text/javascript; charset=utf-8"
    status, _, text = await front.get("/nothing")
    assert (status, json.loads(text)["code"]) == (404, "10005")
    assert (await front.get("/v2/rooms"))[0] == 401
    assert (await front.get("/metrics"))[0] == 403, "figures are for programs of the machine"


async def test_a_meeting_link_leads_to_the_page_and_its_cookie_to_the_room(front: Front) -> None:
    room_id = (await front.call_api("POST", "/rooms", {"unique_name": front.name}))["data"]["id"]
    path = f"/rooms/{room_id}/actions/generate_meeting_link"
    link = urlsplit((await front.call_api("POST", path))["data"]["meeting_link"])
    assert f"{link.scheme}://{link.netloc}{link.path}" == f"{front.base_url}/meet/{room_id}"
    status, headers, text = await front.get(f"/meet/{room_id}")
    assert status == 200 and "../connect.js" in text
    assert f"wss://localhost:{HTTPS}" in headers["Content-Security-Policy"]
    url = f"{front.base_url}/meet/{room_id}/token"
    async with front.http.post(url, json={"invite": link.fragment}) as answer:
        assert answer.status == 201
        (cookie,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert (cookie["path"], cookie["secure"]) == (urlsplit(front.base_url).path + f"/meet/{room_id}", True)


async def test_two_browsers_join_over_wss(front: Front) -> None:
    room_id = (await front.call_api("POST", "/rooms", {"unique_name": f"{front.name}-wss"}))["data"]["id"]
    tokens = [
        (await front.call_api("POST", f"/rooms/{room_id}/actions/generate_join_client_token"))["data"]["token"]
        for _ in range(2)
    ]
    async with SignalingBrowser(front, room_id, tokens[0], tls=front.trust) as anna:
        await anna.join("Anna")
        async with SignalingBrowser(front, room_id, tokens[1], tls=front.trust) as ben:
            assert ben.url.startswith("wss://localhost:")
            await ben.join("Ben")
            await anna.receives("participants")
            sessions = (await front.call_api("GET", f"/rooms/{room_id}/sessions?include_participants=true"))["data"]
            assert [len(session["participants"]) for session in sessions] == [2]


async def test_parts_of_a_large_download_come_as_the_client_reads(front: Front) -> None:
    """A proxy that buffered would have read the whole file after the first of the other requests."""
    link, file = await _a_recording(front)
    assert link.startswith(f"{front.base_url}/files/")
    async with front.http.get(link, headers={"Range": "bytes=1000-1009"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"0123456789")
        assert answer.headers["Content-Range"] == f"bytes 1000-1009/{FILE_BYTES}"
    slow = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=front.trust))
    async with slow, slow.get(link) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(FILE_BYTES))
        await answer.content.readexactly(1_000_000)
        for _ in range(20):
            async with front.http.get(link, headers={"Range": "bytes=0-1999999"}) as other:
                assert len(await other.read()) == 2_000_000
        assert file in _open_files(str(front.server.pid)), "the proxy has read the whole file"
        assert not [each for each in _open_files("*") if f"{front.folder}/temp" in str(each)], "the proxy fills a disk"
        rest = 0
        async for chunk in answer.content.iter_chunked(1 << 20):
            rest += len(chunk)
    assert rest == FILE_BYTES - 1_000_000


async def _a_recording(front: Front) -> tuple[str, Path]:
    """The download link of a recording, and its file."""
    db = open_database(f"sqlite:///{front.server.data_dir}/portico.db")

    def make(tx: Transaction) -> tuple[str, str]:
        recording_id = a_recording(tx, a_recorded_participant(tx).participant_id)
        recordings = schema.room_recordings
        tx.execute(recordings.update().where(recordings.c.id == recording_id).values(size_bytes=FILE_BYTES))
        return recording_id, row(tx, recordings, recording_id).object_key

    try:
        recording_id, key = await db.write(make)
    finally:
        await db.close()
    file = front.server.data_dir / "files" / key
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as written:
        written.seek(1000)
        written.write(b"0123456789")
        written.truncate(FILE_BYTES)
    return (await front.call_api("GET", f"/room_recordings/{recording_id}"))["data"]["download_url"], file


def _open_files(processes: str) -> list[Path]:
    """The files that processes with ids of this pattern have open."""
    found = []
    for descriptor in Path("/proc").glob(f"{processes}/fd/*"):
        with suppress(OSError):  # closed meanwhile, or of another user
            found.append(descriptor.readlink())
    return found


async def test_each_client_is_counted_by_its_own_address(front: Front) -> None:
    """Wrong keys of one address are refused, whatever addresses it invents; another address is not concerned."""
    guessing, other = f"127.0.{front.number}.2", f"127.0.{front.number}.3"
    from_guessing, from_other = partial(_wrong_key, front, guessing), partial(_wrong_key, front, other)
    statuses = [await from_guessing(number, {}) for number in range(21)]
    assert statuses[:20] == [401] * 20 and statuses[20] == 429
    invented = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.8", "X-Real-IP": "203.0.113.9"}
    assert await from_guessing(21, invented) == 429
    assert await from_other(0, {}) == 401


async def _wrong_key(front: Front, address: str, number: int, headers: dict[str, str]) -> int:
    connector = aiohttp.TCPConnector(ssl=front.trust, local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        named = {"Authorization": f"Bearer wrong-{number}", **headers}
        async with http.get(f"{front.base_url}/v2/rooms", headers=named) as answer:
            return answer.status


async def test_plain_http_and_the_path_without_its_slash_lead_to_the_page(front: Front) -> None:
    if front.name in ("nginx", "caddy"):
        async with front.http.get(f"http://localhost:{HTTP}/console", allow_redirects=False) as answer:
            assert answer.status in (301, 308)
            assert answer.headers["Location"].partition(":")[0] == "https"
    else:
        async with front.http.get(front.base_url, headers={"Accept": "text/html"}) as answer:
            assert (str(answer.url), answer.status) == (f"{front.base_url}/", 200)
            assert "<h1>Portico</h1>" in await answer.text()


@pytest.mark.parametrize("name", ["traefik.yaml", "traefik-path.yaml"])
async def test_the_files_for_traefik_have_its_form(name: str) -> None:
    """Traefik is no package of Debian, so no Traefik runs here. Version 3.7.13's own parser read both files once."""
    http = yaml.safe_load((EXAMPLES / name).read_text())["http"]
    assert set(http) == {"routers", "middlewares", "services"}
    (router,) = http["routers"].values()
    assert set(router) == {"rule", "entryPoints", "middlewares", "service", "tls"}
    assert router["rule"].startswith("Host(`video.example.com`)")
    assert set(router["middlewares"]) == set(http["middlewares"])
    balancer = http["services"][router["service"]]["loadBalancer"]
    assert balancer == {"servers": [{"url": "http://127.0.0.1:8080"}]}
    (headers,) = http["middlewares"].values()
    assert headers == {"headers": {"customRequestHeaders": {"Forwarded": ""}}}
