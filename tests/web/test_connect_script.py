"""connect.js in real Chromium: the SDK's fixed address leads to the server that the script was loaded from."""

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = Path(__file__).parents[2] / "frontend" / "public" / "connect.js"
HOSTED = "wss://video.telnyx.com/a-room/janus"

# Opens a socket and returns the first message of the server, and members of the socket.
OPEN = """
([url, protocols]) => new Promise((resolve) => {
  const socket = protocols === null ? new WebSocket(url) : new WebSocket(url, protocols);
  const seen = { url: socket.url, isSocket: socket instanceof WebSocket };
  socket.onmessage = (event) => { resolve({ ...seen, first: event.data, protocol: socket.protocol }); socket.close(); };
  socket.onerror = () => resolve({ ...seen, first: null });
})
"""


async def _send_path(connection: ServerConnection) -> None:
    assert connection.request is not None
    await connection.send(connection.request.path)
    await connection.wait_closed()


def _first_offered(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return offered[0] if offered else None


def _serve_script(_: ServerConnection, request: Request) -> Response | None:
    """The script as an ordinary file below two paths; everything else is a WebSocket."""
    if request.path not in ("/connect.js", "/below/connect.js"):
        return None
    headers = Headers({"Content-Type": "text/javascript", "Connection": "close"})
    return Response(200, "OK", headers, SCRIPT.read_bytes())


@contextmanager
def _site(html: str) -> Iterator[str]:
    """A web site of its own origin with one page."""

    class OnePage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), OnePage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _port(server: Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[str]:
    """A signaling server that sends each socket the path of its request; yields its host and port."""
    async with serve(
        _send_path, "127.0.0.1", 0, select_subprotocol=_first_offered, process_request=_serve_script
    ) as server:
        yield f"127.0.0.1:{_port(server)}"


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page()
    yield page
    await page.close()


async def test_page_of_another_origin_reaches_the_server(page: Page, server: str) -> None:
    with _site(f'<script src="http://{server}/connect.js"></script>') as site:
        await page.goto(site)
        seen = await page.evaluate(OPEN, [HOSTED, "janus-protocol"])
    assert seen == {
        "url": f"ws://{server}/a-room/janus",
        "isSocket": True,
        "first": "/a-room/janus",
        "protocol": "janus-protocol",
    }


async def test_path_in_front_of_the_script_is_kept(page: Page, server: str) -> None:
    with _site(f'<script src="http://{server}/below/connect.js"></script>') as site:
        await page.goto(site)
        seen = await page.evaluate(OPEN, [HOSTED + "?a=b", "janus-protocol"])
    assert seen["first"] == "/below/a-room/janus?a=b"


async def test_other_addresses_are_left_alone(page: Page, server: str) -> None:
    with _site(f'<script src="http://{server}/connect.js"></script>') as site:
        await page.goto(site)
        seen = await page.evaluate(OPEN, [f"ws://{server}/elsewhere", None])
        other = await page.evaluate("new WebSocket('wss://video.telnyx.com.example/x').url")
    assert (seen["first"], seen["protocol"]) == ("/elsewhere", "")
    assert other == "wss://video.telnyx.com.example/x"


async def test_loaded_twice_it_wraps_once(page: Page, server: str) -> None:
    tag = f'<script src="http://{server}/connect.js"></script>'
    remember = "<script>window.first = window.WebSocket</script>"
    with _site(tag + remember + tag) as site:
        await page.goto(site)
        assert await page.evaluate("window.first === window.WebSocket")
        seen = await page.evaluate(OPEN, [HOSTED, "janus-protocol"])
    assert seen["first"] == "/a-room/janus"


async def test_bundled_it_does_nothing_until_connect_is_called(page: Page, server: str) -> None:
    with _site(f"<script>{SCRIPT.read_text()}</script>") as site:
        await page.goto(site)
        assert await page.evaluate("new WebSocket('wss://video.telnyx.com/x/janus').url") == (
            "wss://video.telnyx.com/x/janus"
        )
        await page.evaluate("address => Portico.connect(address)", f"http://{server}")
        seen = await page.evaluate(OPEN, [HOSTED, "janus-protocol"])
        secure = await page.evaluate(
            "Portico.connect('https://meet.example.com'), new WebSocket('wss://video.telnyx.com/x/janus').url"
        )
    assert seen["first"] == "/a-room/janus"
    assert secure == "wss://meet.example.com/x/janus"


async def test_wrapped_constructor_is_still_a_websocket(page: Page, server: str) -> None:
    with _site(f'<script src="http://{server}/connect.js"></script>') as site:
        await page.goto(site)
        constants = await page.evaluate("[WebSocket.CONNECTING, WebSocket.OPEN, WebSocket.CLOSING, WebSocket.CLOSED]")
        subclass = await page.evaluate(
            "(() => { class Mine extends WebSocket {}"
            " const socket = new Mine('wss://video.telnyx.com/x/janus');"
            " return [socket instanceof Mine, socket instanceof WebSocket, socket.url]; })()"
        )
        bad_url = await page.evaluate("(() => { try { new WebSocket('https://[') } catch (e) { return e.name } })()")
        no_url = await page.evaluate("(() => { try { new WebSocket() } catch (e) { return e.name } })()")
    assert constants == [0, 1, 2, 3]
    assert subclass == [True, True, f"ws://{server}/x/janus"]
    assert (bad_url, no_url) == ("SyntaxError", "TypeError")


# ICE servers, and reports of lost paths.

SERVERS = [{"urls": ["turn:127.0.0.1:9?transport=udp"], "username": "1:a", "credential": "b"}]
SDK_SETTINGS = "{ iceServers: [{ urls: 'stun:stun.l.google.com:19302' }] }"
CALL = """
async ([url, answer]) => {
  const socket = new WebSocket(url, "janus-protocol");
  await new Promise((resolve) => { socket.onopen = resolve; });
  const arrived = new Promise((resolve) => { socket.onmessage = resolve; });
  socket.send(JSON.stringify(answer));
  await arrived;
  globalThis.socket = socket;
}
"""
"""Opens a socket to a server that sends back what it receives, and has it send `answer`."""
SERVERS_OF = "(settings) => new RTCPeerConnection(settings).getConfiguration().iceServers"


async def _send_back(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@pytest_asyncio.fixture(loop_scope="session")
async def echo() -> AsyncIterator[str]:
    """A server that sends each socket what it receives; yields its host and port."""
    async with serve(
        _send_back, "127.0.0.1", 0, select_subprotocol=_first_offered, process_request=_serve_script
    ) as server:
        yield f"127.0.0.1:{_port(server)}"


async def test_peer_connections_of_the_sdk_use_the_servers_of_the_first_answer(page: Page, echo: str) -> None:
    of_sdk = f"({SERVERS_OF})({SDK_SETTINGS})"
    with _site(f'<script src="http://{echo}/connect.js"></script>') as site:
        await page.goto(site)
        before = await page.evaluate(of_sdk)
        await page.evaluate(CALL, [HOSTED, {"janus": "success", "portico": {"ice_servers": SERVERS}}])
        during = await page.evaluate(of_sdk)
        await page.evaluate("socket.close()")
    assert "stun.l.google.com" in str(before)
    assert during == SERVERS  # and not the public STUN server


@pytest.mark.parametrize(
    "answer",
    [
        {"janus": "success"},
        {"janus": "success", "portico": {"ice_servers": []}},
        {"janus": "success", "portico": "text"},
        {"janus": "event", "plugindata": {"data": {"portico": {"ice_servers": SERVERS}}}},
    ],
)
async def test_without_servers_the_settings_of_the_sdk_stay(page: Page, echo: str, answer: dict[str, object]) -> None:
    with _site(f'<script src="http://{echo}/connect.js"></script>') as site:
        await page.goto(site)
        await page.evaluate(CALL, [HOSTED, answer])
        servers = await page.evaluate(f"({SERVERS_OF})({SDK_SETTINGS})")
    assert "stun.l.google.com" in str(servers)


@pytest.mark.parametrize("settings", [None, {}, {"iceServers": []}, {"iceServers": [{"urls": "stun:127.0.0.1:9"}]}])
async def test_other_peer_connections_are_left_alone(page: Page, echo: str, settings: dict[str, object] | None) -> None:
    with _site(f'<script src="http://{echo}/connect.js"></script>') as site:
        await page.goto(site)
        plain = await page.evaluate(SERVERS_OF, settings)
        await page.evaluate(CALL, [HOSTED, {"portico": {"ice_servers": SERVERS}}])
        assert await page.evaluate(SERVERS_OF, settings) == plain


async def test_other_sockets_bring_no_servers(page: Page, echo: str) -> None:
    with _site(f'<script src="http://{echo}/connect.js"></script>') as site:
        await page.goto(site)
        await page.evaluate(CALL, [f"ws://{echo}/elsewhere", {"portico": {"ice_servers": SERVERS}}])
        servers = await page.evaluate(f"({SERVERS_OF})({SDK_SETTINGS})")
    assert "stun.l.google.com" in str(servers)


async def test_wrapped_peer_connection_is_still_one(page: Page, echo: str) -> None:
    with _site(f'<script src="http://{echo}/connect.js"></script>') as site:
        await page.goto(site)
        assert await page.evaluate(
            "(() => { class Mine extends RTCPeerConnection {}"
            f" const mine = new Mine({SDK_SETTINGS});"
            " return mine instanceof Mine && mine instanceof RTCPeerConnection"
            " && typeof RTCPeerConnection.generateCertificate === 'function'; })()"
        )
        bad = await page.evaluate("(() => { try { new RTCPeerConnection(7) } catch (e) { return e.name } })()")
    assert bad == "TypeError"


async def test_what_the_page_sends_arrives_unchanged(page: Page, echo: str) -> None:
    sent = ["text", '{"jsep": 1}', '{"jsep": {"sdp": 5}, "handle_id": 1}', 'no json, but "jsep"']
    with _site(f'<script src="http://{echo}/connect.js"></script>') as site:
        await page.goto(site)
        await page.evaluate(CALL, [HOSTED, {"portico": {"ice_servers": SERVERS}}])
        received = await page.evaluate(
            """async (texts) => {
              const got = [];
              const all = new Promise((resolve) => {
                socket.onmessage = ({ data }) => { got.push(data); if (got.length === texts.length) resolve(got); };
              });
              for (const text of texts) socket.send(text);
              return all;
            }""",
            sent,
        )
    assert received == sent
