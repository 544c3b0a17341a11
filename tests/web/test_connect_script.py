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
