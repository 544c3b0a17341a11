"""A browser without media: it speaks the SDK's dialect over a real WebSocket, and keeps received events."""

import asyncio
import contextlib
import json
import socket
import ssl
import time
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import uuid4

import aiohttp

from tests.signaling.conversation import (
    AUDIOBRIDGE,
    TEXTROOM,
    VIDEOROOM,
    listener_display,
    participant_display,
)

ANSWER_SECS = 10.0
_FINAL = {
    "keepalive": "ack",
    "trickle": "ack",
    "create": "success",
    "attach": "success",
    "detach": "success",
    "hangup": "success",
    "destroy": "success",
}


class Refused(Exception):
    """The server answered with a status code."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Reachable(Protocol):
    """A server, or what is known of one."""

    @property
    def base_url(self) -> str: ...


class SignalingBrowser:
    """One socket. `closed` is set, with the close code, when it ends."""

    def __init__(
        self,
        server: Reachable,
        room_id: str,
        token: str,
        *,
        answers_pings: bool = True,
        tls: ssl.SSLContext | bool = True,
    ) -> None:
        """`tls` says which certificates of a wss server count; True for those of known authorities."""
        self.url = f"{server.base_url.replace('http', 'ws')}/{room_id}/janus"
        self.room_id = room_id
        self.token = token
        self.participant_id = str(uuid4())
        self.events: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.closed = asyncio.Event()
        self.closed_at = 0.0  # by time.monotonic()
        self._answers_pings = answers_pings
        self._tls = tls
        self._waiting: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self._session_id: int | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        try:
            self.socket = await self._http.ws_connect(
                self.url, protocols=("janus-protocol",), autoping=self._answers_pings, autoclose=True, ssl=self._tls
            )
        except BaseException:
            await self._http.close()
            raise
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def stuff(self) -> None:
        """Stop reading, and send requests until the server can send nothing any more."""
        transport = self.socket._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        transport.pause_reading()
        request = {"janus": "detach", "handle_id": 1, "client_token": self.token}
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(1):
                    await self.say({**request, "transaction": "x" * 128})
                await asyncio.sleep(0)  # other clients on our event loop have to answer pings meanwhile

    async def leave(self) -> None:
        """Close as a tab does."""
        try:
            await self.socket.close(code=1001)
            await self._reader
        finally:
            self._reader.cancel()
            await self._http.close()

    async def vanish(self) -> None:
        """Be gone without a close frame, as a killed process is."""
        transport = self.socket._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()
        await self._reader
        await self._http.close()

    async def say(self, message: object) -> None:
        await self.socket.send_str(json.dumps(message))

    async def ask(self, kind: str, *, within: float = ANSWER_SECS, **members: Any) -> dict[str, Any]:
        """A request and the answer that ends the SDK's wait for it; Refused when that is a status code."""
        transaction = str(uuid4())
        answers = self._waiting[transaction] = asyncio.Queue()
        message = {"janus": kind, "transaction": transaction, "client_token": self.token, **members}
        if self._session_id is not None:
            message["session_id"] = self._session_id
        await self.say(message)
        async with asyncio.timeout(within):
            while True:
                answer = await answers.get()
                if answer.get("status_code"):
                    raise Refused(answer["status_code"], answer["error_message"])
                if answer["janus"] == _FINAL.get(kind, "event") or answer["janus"] == "error":
                    return answer

    async def create(self) -> None:
        self._session_id = (await self.ask("create"))["data"]["id"]

    async def attach(self, plugin: str) -> int:
        answer = await self.ask("attach", plugin=plugin)
        number: int = answer["data"]["id"]
        return number

    async def request(self, handle: int, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.ask("message", handle_id=handle, body=body)
        content: dict[str, Any] = answer["plugindata"]["data"]
        return content

    async def join(self, context: str = "Anna") -> dict[str, Any]:
        """Everything that the SDK does to be in the room, but for the media, up to its step after the rosters."""
        await self.create()
        text = await self.attach(TEXTROOM)
        self.text_room = (await self.request(text, {"request": "setup", "room": self.room_id}))["janus_room_id"]
        return await self.enter(context)

    async def enter(self, context: str = "Anna") -> dict[str, Any]:
        """The steps of `join` after the data channel."""
        register = await self.attach(AUDIOBRIDGE)
        display = participant_display(self.participant_id, context)
        joined = await self.request(
            register, {"request": "join", "room": self.room_id, "display": display, "muted": True}
        )
        listener = await self.attach(VIDEOROOM)
        display = listener_display(self.participant_id)
        await self.request(
            listener, {"request": "join", "room": self.room_id, "ptype": "publisher", "display": display}
        )
        await self.attach(AUDIOBRIDGE)  # by which the server sees that the rosters are taken in
        return joined

    async def receives(self, word: str, value: str | None = None, within: float = 5.0) -> dict[str, Any]:
        """Waits for an unasked plugin event with this member, of this value if one is named."""
        async with asyncio.timeout(within), self._changed:
            while True:
                for event in self.events:
                    content = event.get("plugindata", {}).get("data", {})
                    if word in content and value in (None, content[word]):
                        return event
                await self._changed.wait()

    async def _read(self) -> None:
        async for frame in self.socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            message = json.loads(frame.data)
            answers = self._waiting.get(message.get("transaction", ""))
            if answers is not None:
                answers.put_nowait(message)
            async with self._changed:
                self.events.append(message)
                self._changed.notify_all()
        self.close_code = self.socket.close_code
        self.closed_at = time.monotonic()
        self.closed.set()
