"""The socket to a browser: the order of what is sent, and what is received."""

import asyncio
from typing import Any

import pytest

from portico.gateway.browser_socket import BrowserSocket, NothingReceived, SocketClosed


class Socket:
    """The server's side of an ASGI WebSocket, which takes a message only when it is let."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.lets = asyncio.Semaphore(0)
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, event: Any) -> None:
        await self.lets.acquire()
        self.sent.append(event.get("text", event["type"]))

    def let(self, messages: int) -> None:
        for _ in range(messages):
            self.lets.release()


async def test_messages_of_one_task_do_not_overtake_those_of_another() -> None:
    socket = Socket()
    browser = BrowserSocket(socket.incoming.get, socket.send)
    browser.queue([{"n": 1}, {"n": 2}])
    first = asyncio.create_task(browser.send())
    await asyncio.sleep(0)  # it waits for the socket
    browser.queue([{"n": 3}])
    second = asyncio.create_task(browser.send())
    socket.let(3)
    await asyncio.gather(first, second)
    assert socket.sent == ['{"n":1}', '{"n":2}', '{"n":3}']


async def test_messages_of_a_socket_that_takes_nothing_are_still_received() -> None:
    async def send(_: Any) -> None:
        raise RuntimeError("Unexpected ASGI message")

    socket = Socket()
    browser = BrowserSocket(socket.incoming.get, send)
    socket.incoming.put_nowait({"type": "websocket.receive", "text": '{"janus": "destroy"}'})
    browser.queue([{"n": 1}])
    await browser.send()
    assert await browser.receive(None) == {"janus": "destroy"}
    await browser.close(1000, "goodbye")  # the socket is closed already


@pytest.mark.parametrize(("reason", "sent"), [("short", "short"), ("a" * 124, "a" * 123), ("aé" * 60, "aé" * 41)])
async def test_a_close_reason_is_cut_to_the_bytes_of_a_control_frame(reason: str, sent: str) -> None:
    events: list[Any] = []

    async def send(event: Any) -> None:
        events.append(event)

    await BrowserSocket(Socket().incoming.get, send).close(1008, reason)
    assert events == [{"type": "websocket.close", "code": 1008, "reason": sent}] and len(sent.encode()) <= 123


@pytest.mark.parametrize(
    ("event", "message"),
    [({"text": '{"a": 1}'}, {"a": 1}), ({"text": "{"}, None), ({"text": None, "bytes": b"x"}, None), ({}, None)],
)
async def test_what_is_not_json_is_none(event: dict[str, Any], message: object) -> None:
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.receive", **event})
    assert await BrowserSocket(socket.incoming.get, socket.send).receive(None) == message


@pytest.mark.parametrize(
    ("event", "by_choice"),
    [
        ({"code": 1000, "reason": ""}, True),
        ({"code": 1001, "reason": ""}, True),
        ({"code": 1005, "reason": ""}, True),
        ({"code": 1005}, False),  # there was no close frame
        ({"code": 1006}, False),
        ({"code": 1011, "reason": "keepalive ping timeout"}, False),
    ],
)
async def test_who_closes_and_who_is_lost(event: dict[str, Any], by_choice: bool) -> None:
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.disconnect", **event})
    with pytest.raises(SocketClosed) as closed:
        await BrowserSocket(socket.incoming.get, socket.send).receive(None)
    assert closed.value.by_choice == by_choice


async def test_who_says_nothing_is_silent() -> None:
    socket = Socket()
    with pytest.raises(NothingReceived):
        await BrowserSocket(socket.incoming.get, socket.send).receive(0.01)
