"""The signaling socket: sends requests, returns their answers, and ends when the server answers no keepalive."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import aiohttp

from portico.client.endings import CloseCode, Ending, ending_of
from portico.client.errors import ClientError, RequestRefused, RoomEnded, Unreachable

ANSWER_SECS = 20.0
"""How long a request waits for its answer."""
KEEPALIVE_SECS = 5.0
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
_FINAL = {
    "keepalive": "ack",
    "path_lost": "ack",
    "create": "success",
    "attach": "success",
    "detach": "success",
    "destroy": "success",
}
"""The kind of the final answer, by the kind of the request; "event" for all others."""

Message = dict[str, Any]


class Signaling:
    """One signaling socket. The future `ended` gets the Ending when either side has closed the socket."""

    def __init__(self, token: str, on_message: Callable[[Message], None]) -> None:
        """`on_message` receives each message that answers no request."""
        self.token = token
        self.ice_servers: list[dict[str, Any]] = []
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.was_kicked = False
        """Whether the server has announced the kick of this client; the owner of the socket sets it."""
        self._on_message = on_message
        self._waiting: dict[str, tuple[str, asyncio.Future[Message]]] = {}
        self._session_id: int | None = None
        self._refusal: Message = {}
        self._leaves = False
        self._http: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, url: str) -> None:
        """Connect, and create the session. Raises Unreachable, or RoomEnded if the server refuses."""
        self._http = aiohttp.ClientSession()
        timeout = aiohttp.ClientWSTimeout(ws_close=2.0)
        try:
            async with asyncio.timeout(ANSWER_SECS):
                self._socket = await self._http.ws_connect(
                    url, protocols=("janus-protocol",), timeout=timeout, max_msg_size=MESSAGE_BYTES_MAX
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"the server does not answer: {error!r}") from error
        self._tasks.append(asyncio.create_task(self._read()))
        self._session_id = (await self.request("create"))["data"]["id"]
        self._tasks.append(asyncio.create_task(self._keep_alive()))

    async def attach(self, plugin: str) -> int:
        """Attach to a plugin of Janus; returns the handle's id."""
        handle: int = (await self.request("attach", plugin=plugin))["data"]["id"]
        return handle

    async def ask(self, handle: int, body: Message, jsep: Message | None = None) -> tuple[Message, Message]:
        """Send a request to a plugin; returns its answer and the SDP in it ({} without one). Raises RequestRefused."""
        members = {"handle_id": handle, "body": body} | ({"jsep": jsep} if jsep else {})
        answer = await self.request("message", **members)
        content: Message = answer.get("plugindata", {}).get("data", {})
        if "error_code" in content:
            raise RequestRefused(str(content.get("error", content["error_code"])))
        return content, answer.get("jsep") or {}

    async def detach(self, handle: int) -> None:
        """End a handle."""
        await self.request("detach", handle_id=handle)

    async def use_token(self, token: str) -> None:
        """Replace the token of the connection. Raises RoomEnded when the server refuses the new one."""
        await self.request("keepalive", client_token=token)
        self.token = token

    async def request(self, kind: str, **members: Any) -> Message:
        """Send a request; returns its final answer. Raises RequestRefused, and RoomEnded when the socket is closed."""
        transaction = uuid4().hex
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = _FINAL.get(kind, "event"), answer
        message = {"janus": kind, "transaction": transaction, "client_token": self.token, **members}
        if self._session_id is not None:
            message["session_id"] = self._session_id
        try:
            await self._send(message)
            async with asyncio.timeout(ANSWER_SECS):
                await asyncio.wait((answer, self.ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise RequestRefused(f"the server did not answer {kind} within {ANSWER_SECS:.0f} s") from None
        finally:
            del self._waiting[transaction]
        if not answer.done():
            raise self._end_error()
        received = answer.result()
        if received.get("janus") == "error":
            raise RequestRefused(str(received.get("error", {}).get("reason", "error")))
        return received

    async def close(self) -> None:
        """End the session, so that the participant leaves at once, and close. Does nothing on a closed socket."""
        self._leaves = True
        if self._http is None:
            return
        try:
            if self._tasks:
                await self._destroy_session()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._http.close()
            await asyncio.sleep(0)  # the transport closes its socket one step later
            self._end(0)

    async def _destroy_session(self) -> None:
        try:
            async with asyncio.timeout(3.0):
                if not self.ended.done() and self._session_id is not None:
                    destroy = {"janus": "destroy", "transaction": uuid4().hex, "session_id": self._session_id}
                    await self._send({**destroy, "client_token": self.token})
                await self._socket.close(code=1000)  # one that the server refused is not closed yet, either
        except (ClientError, TimeoutError, aiohttp.ClientError, OSError):
            pass  # the server notices the end of the connection itself

    async def _send(self, message: Message) -> None:
        if self.ended.done():
            raise self._end_error()
        try:
            await self._socket.send_str(json.dumps(message))
        except (aiohttp.ClientError, OSError):
            raise self._end_error() from None

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._receive(json.loads(frame.data))
        finally:
            self._end(self._socket.close_code or 0)

    def _receive(self, message: Message) -> None:
        if servers := (message.get("portico") or {}).get("ice_servers"):
            self.ice_servers = servers
        if message.get("status_code"):
            self._refusal = message
            self._end(int(message.get("close_code", CloseCode.REFUSED)))
            return
        final, answer = self._waiting.get(message.get("transaction", ""), ("", None))
        if answer is None:
            self._on_message(message)
        elif message.get("janus") in (final, "error") and not answer.done():
            answer.set_result(message)

    async def _keep_alive(self) -> None:
        while not self.ended.done():
            await asyncio.sleep(KEEPALIVE_SECS)
            try:
                await self.request("keepalive")
            except RequestRefused:
                self._end(int(CloseCode.TIMED_OUT))
            except RoomEnded:
                return

    def _end(self, code: int) -> None:
        if not self.ended.done():
            code = int(self._refusal.get("close_code", code))
            detail = str(self._refusal.get("error_message", ""))
            self.ended.set_result(ending_of(code, detail=detail, left=self._leaves, kicked=self.was_kicked))

    def _end_error(self) -> RoomEnded:
        ending = self.ended.result() if self.ended.done() else Ending("lost")
        return RoomEnded(ending.detail or f"the call is over: {ending.reason}", ending.code)
