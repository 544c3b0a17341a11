"""While the process itself stands still, no peer becomes late."""

import asyncio
import socket
import time
from typing import Any

import uvloop

from portico.listener.connections import ClientConnections
from portico.listener.limits import Limits
from portico.listener.server import make_server


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def _ask_after_a_stall(secs: float) -> bytes:
    """What a client gets whose request was half there when the server stood still; another that stays away is ended."""
    connections = ClientConnections(Limits(head_secs=2))
    server = make_server(_answer, connections)
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    await server.startup(sockets=[listening])
    connections.start()
    early, late = (socket.create_connection(listening.getsockname()) for _ in range(2))
    try:
        early.setblocking(False)
        late.setblocking(False)
        await loop.sock_sendall(early, b"GET / HTTP/1.1\r\n")
        while connections.count < 2:
            await asyncio.sleep(0.01)
        time.sleep(secs)
        await loop.sock_sendall(early, b"Host: x\r\n\r\n")
        async with asyncio.timeout(10):
            answer = await loop.sock_recv(early, 100)
            while connections.ended["head"] == 0:
                await asyncio.sleep(0.1)
    finally:
        early.close()
        late.close()
        connections.stop()
        await server.shutdown(sockets=[listening])
    return answer


def test_a_stall_of_ours_ends_no_connection() -> None:
    assert uvloop.run(_ask_after_a_stall(4.0)).startswith(b"HTTP/1.1 204 ")
