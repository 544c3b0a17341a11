"""PORTICO_PUBLIC_URL with a path: everything works behind a proxy that strips the path and one that does not."""

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, expect

from tests.servers import PorticoServer, free_port
from tests.web.proxy import proxy

pytestmark = pytest.mark.asyncio(loop_scope="session")

PREFIX = "/some/video"
WITHIN_MS = 40_000
PROXY_PORT = free_port()
PUBLIC_URL = f"http://127.0.0.1:{PROXY_PORT}{PREFIX}"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer], loopback: str | None
) -> Iterator[PorticoServer]:
    folder = tmp_path_factory.mktemp("prefix") / "data"
    with portico(folder, media_interface=loopback, PUBLIC_URL=f"{PUBLIC_URL}/") as server:
        yield server


@pytest.fixture(params=[True, False], ids=["stripping", "not stripping"])
def behind_proxy(request: pytest.FixtureRequest, server: PorticoServer) -> Iterator[None]:
    with proxy(PROXY_PORT, server.port, PREFIX, strips=request.param):
        yield


@pytest.mark.usefixtures("behind_proxy")
async def test_a_call_and_the_console_below_a_path(browser: Browser, server: PorticoServer) -> None:
    assert server.meeting_link.startswith(f"{PUBLIC_URL}/meet/")
    assert f"{PUBLIC_URL}/v2" in server.log.split()
    assert f"{PUBLIC_URL}/connect.js" in server.log
    page = await browser.new_page()
    await page.goto(server.meeting_link)
    await expect(page.get_by_test_id("camera")).to_have_attribute("data-on", "true", timeout=WITHIN_MS)
    assert await page.evaluate("window.Portico.server") == f"{PUBLIC_URL}/"
    await expect(page.get_by_role("heading")).to_have_text("Meeting room", timeout=WITHIN_MS)
    await page.get_by_test_id("join").click()
    await expect(page.get_by_test_id("tile")).to_have_count(1, timeout=WITHIN_MS)
    await page.goto(f"{PUBLIC_URL}/console")
    await page.get_by_test_id("key").fill(server.api_key)
    await page.get_by_test_id("open").click()
    await expect(page.get_by_test_id("session").first).to_be_visible(timeout=WITHIN_MS)
    await page.close()


@pytest.mark.usefixtures("behind_proxy")
async def test_the_check_below_a_path(browser: Browser, server: PorticoServer) -> None:
    found = re.search(rf"{PUBLIC_URL}(/meet/(\S+)#(\S+))", server.log)
    assert found, server.log
    page = await browser.new_page()
    received: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda text: received.append(str(text))))
    await page.goto(found[0])
    link = page.get_by_test_id("check-link")
    await expect(link).to_have_attribute("href", f"{PUBLIC_URL}/check#{found[2]}/{found[3]}", timeout=WITHIN_MS)
    await page.goto(f"{PUBLIC_URL}/check#{found[2]}/{found[3]}")
    await page.get_by_test_id("start").click()
    await expect(page.get_by_test_id("step-direct")).to_have_attribute("data-mark", "good", timeout=WITHIN_MS)
    assert '"admitted":true' in received[0]
    await page.close()


@pytest.mark.usefixtures("behind_proxy")
@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("/docs", 200, "openapi.json"),
        ("/openapi.json", 200, f'"servers":[{{"url":"{PUBLIC_URL}"}}]'),
        ("/", 200, 'href="console"'),
        ("/check", 200, "<title>Check your connection"),
        ("/connect.js", 200, "WebSocket"),
        ("/files/recordings/x.webm?expires=1&filename=x&signature=x", 403, "This link is not one of this server"),
        ("/v2/rooms", 401, "errors"),
        ("/nothing", 404, "errors"),
    ],
    ids=lambda value: str(value).replace(str(PROXY_PORT), "PORT"),  # each process of a run has a port of its own
)
async def test_every_kind_of_address_is_below_the_path(path: str, status: int, named: str) -> None:
    try:
        with urllib.request.urlopen(f"{PUBLIC_URL}{path}", timeout=20) as answer:
            found, body = answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        found, body = refusal.code, refusal.read().decode()
    assert found == status
    assert named in body


@pytest.mark.usefixtures("behind_proxy")
async def test_the_front_page_has_its_style_and_leads_to_every_page(browser: Browser) -> None:
    page = await browser.new_page()
    statuses: list[tuple[str, int]] = []
    page.on("response", lambda answer: statuses.append((answer.url, answer.status)))
    await page.goto(f"{PUBLIC_URL}/")
    await expect(page.get_by_role("heading", name="Portico")).to_be_visible(timeout=WITHIN_MS)
    assert await page.evaluate("getComputedStyle(document.querySelector('.front')).display") == "grid"
    assert {status for _, status in statuses} == {200} and len(statuses) >= 2, statuses
    links = await page.evaluate("[...document.links].map((each) => each.href)")
    own = [link for link in links if link.startswith(f"{PUBLIC_URL}/")]
    assert sorted(link.rpartition("/")[2] for link in own) == ["check", "console", "docs"]
    await page.close()


LOOK_ALIKES = {
    "/some/videos/console": 404,
    "/some/videoconsole": 404,
    "/some/VIDEO/console": 404,
    "/some/video;x/console": 404,
    "/some//video/console": 404,
    "//some/video/console": 404,
    "/some/video//console": 404,
    "/some/video//evil.example/": 404,
    "/some/video/some/video/console": 404,
    "/some/video/../video/console": 404,
    "/some/video/..%2fconsole": 404,
    "/some/video/%2e%2e/v2/rooms": 404,
    "/some/video/assets/..%2f..%2f..%2f..%2fetc/passwd": 404,
    "/some/video/assets/../console": 404,
    "/some/video/files/recordings/..%2f..%2fportico.db?expires=1&filename=x&signature=x": 403,
    "/some%2fvideo/v2%2frooms": 401,
    "/some/vide%6f/v2/rooms": 401,
    "http://evil.example/some/video": 308,
}
"""What a path in the first line of a request gets, on the port of the server. Percent-encoding changes nothing."""
SOCKETS = {
    f"{PREFIX}/ROOM/janus": 101,
    f"{PREFIX}//ROOM/janus": 403,
    f"{PREFIX}{PREFIX}/ROOM/janus": 403,
    f"{PREFIX}s/ROOM/janus": 403,
    f"{PREFIX}/../ROOM/janus": 403,
    PREFIX: 403,
    f"{PREFIX}/": 403,
}
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: janus-protocol\r\n"
)


async def first_answer(port: int, target: str, headers: str) -> tuple[int, str]:
    """Status and Location of the answer to a request whose path is sent as it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: evil.example\r\n{headers}\r\n".encode())
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.transport.abort()
    location = re.search(r"(?im)^location: (.*?)\r$", head)
    return int(head.split()[1]), location[1] if location else ""


async def test_a_path_that_only_looks_like_ours_leads_nowhere(server: PorticoServer) -> None:
    answers = {target: await first_answer(server.port, target, "Connection: close\r\n") for target in LOOK_ALIKES}
    assert {target: status for target, (status, _) in answers.items()} == LOOK_ALIKES
    assert {location for _, location in answers.values()} == {"", f"{PREFIX}/"}, "a redirect names no host"
    found = re.search(rf"{PUBLIC_URL}/meet/(\S+)#", server.log)
    assert found, server.log
    sockets = {
        target: (await first_answer(server.port, target.replace("ROOM", found[1]), UPGRADE))[0] for target in SOCKETS
    }
    assert sockets == SOCKETS


async def test_the_path_without_its_slash_leads_to_the_front_page(server: PorticoServer) -> None:
    """As a proxy that does not strip the path sends it. Relative links of the page need the slash."""
    request = urllib.request.Request(f"{server.base_url}{PREFIX}?from=x", headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.url == f"{server.base_url}{PREFIX}/?from=x"
        assert json.load(answer)["data"]["links"]["console"] == f"{PUBLIC_URL}/console"
