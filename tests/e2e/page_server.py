"""A customer's application: a web site on an origin of its own, which serves the official SDK's file byte for byte."""

import contextlib
import html
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).parent / "page"
SDK = Path(__file__).parents[2] / "frontend/node_modules/@telnyx/video/lib/index.mjs"


class _Site(ThreadingHTTPServer):
    """Holds its files in memory, so that nothing that happens to the folders disturbs a test run."""

    request_queue_size = 128  # five, the default, are too few for five tabs: who finds no place tries again in a second

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.page = (PAGE / "index.html").read_text()
        self.scripts = {f"/{path.name}": path.read_bytes() for path in PAGE.glob("*.js")}
        self.scripts["/telnyx-video.mjs"] = SDK.read_bytes()


class _Request(BaseHTTPRequestHandler):
    server: _Site

    def do_GET(self) -> None:
        """Serves the page for `/?connect=<address of a connect.js>`, and the scripts it loads."""
        path, _, query = self.path.partition("?")
        if path == "/":
            address = urllib.parse.parse_qs(query).get("connect", [""])[0]
            page = self.server.page.replace("{{connect_js}}", html.escape(address))
            self._answer("text/html", page.encode())
        elif path in self.server.scripts:
            self._answer("text/javascript", self.server.scripts[path])
        else:
            self.send_error(404)

    def _answer(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the requests are the test's own."""


@contextlib.contextmanager
def page_server() -> Iterator[str]:
    """Yields the origin of the running site."""
    if not SDK.exists():
        raise RuntimeError("The official SDK is not installed in frontend/node_modules: run script/setup first.")
    with _Site() as site:
        thread = threading.Thread(target=site.serve_forever, name="page-server")
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}"
        finally:
            site.shutdown()
            thread.join(timeout=5)
