"""The socket to a browser: the order of what it is told, and what it says."""

import asyncio
from typing import Any

import pytest

from portico.gateway.browser import Browser, Closed, Gone, Silent


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


async def test_what_one_task_says_does_not_overtake_what_another_has_to_say() -> None:
    socket = Socket()
    browser = Browser(socket.incoming.get, socket.send)
    browser.queue([{"n": 1}, {"n": 2}])
    first = asyncio.create_task(browser.tell())
    await asyncio.sleep(0)  # it waits for the socket
    browser.queue([{"n": 3}])
    second = asyncio.create_task(browser.tell())
    socket.let(3)
    await asyncio.gather(first, second)
    assert socket.sent == ['{"n":1}', '{"n":2}', '{"n":3}']


async def test_a_socket_that_fails_is_gone() -> None:
    async def send(_: Any) -> None:
        raise RuntimeError("Unexpected ASGI message")

    browser = Browser(Socket().incoming.get, send)
    browser.queue([{"n": 1}])
    with pytest.raises(Gone):
        await browser.tell()
    await browser.close(1000, "goodbye")  # nobody is there to be told


@pytest.mark.parametrize(
    ("event", "message"),
    [({"text": '{"a": 1}'}, {"a": 1}), ({"text": "{"}, None), ({"text": None, "bytes": b"x"}, None), ({}, None)],
)
async def test_what_is_not_json_is_none(event: dict[str, Any], message: object) -> None:
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.receive", **event})
    assert await Browser(socket.incoming.get, socket.send).hear(None) == message


@pytest.mark.parametrize(("code", "by_choice"), [(1000, True), (1001, True), (1005, True), (1006, False)])
async def test_who_closes_and_who_is_lost(code: int, by_choice: bool) -> None:
    socket = Socket()
    socket.incoming.put_nowait({"type": "websocket.disconnect", "code": code})
    with pytest.raises(Closed) as closed:
        await Browser(socket.incoming.get, socket.send).hear(None)
    assert closed.value.by_choice == by_choice


async def test_who_says_nothing_is_silent() -> None:
    socket = Socket()
    with pytest.raises(Silent):
        await Browser(socket.incoming.get, socket.send).hear(0.01)
