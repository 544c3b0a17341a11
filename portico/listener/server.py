"""The HTTP and WebSocket server on one listening socket."""

from functools import partial
from typing import Any, cast

import uvicorn

from portico.listener.connections import ClientConnections
from portico.listener.http_protocol import HttpProtocol
from portico.listener.limits import BACKLOG
from portico.listener.websocket_protocol import WebSocketProtocol


def make_server(app: Any, connections: ClientConnections) -> uvicorn.Server:
    """A uvicorn server, not started. HttpProtocol reads the client's address from proxies' headers, not uvicorn."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=cast(Any, partial(HttpProtocol, connections=connections)),
            ws=cast(Any, WebSocketProtocol),
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=connections.limits.idle_secs,
            timeout_graceful_shutdown=3,
        )
    )
