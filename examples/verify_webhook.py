"""Receives webhooks and prints those that Portico has signed: `python verify_webhook.py [PORT]`.

Needs `pip install "telnyx[webhooks]"` and TELNYX_PUBLIC_KEY, which `portico webhooks key` prints.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from telnyx import Telnyx

client = Telnyx(api_key="not used", public_key=os.environ["TELNYX_PUBLIC_KEY"])


class Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        try:
            # The bytes as they arrived: they are what is signed, and JSON that is parsed and written again may differ.
            webhook: Any = client.webhooks.unwrap(body, headers=dict(self.headers))
        except ValueError as error:
            self.answer(400, str(error))
            return
        # The same event may arrive twice: store data.id where that matters.
        # The SDK has no class for video events; it still has their type and payload.
        print(webhook.data.event_type, webhook.data.payload, flush=True)
        self.answer(200, "ok")

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 3000), Webhook)
    print(f"Listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
