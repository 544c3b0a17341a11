"""The control connection to Janus: one WebSocket, one session, one handle per plugin, many requests at once.

The messages are those of https://janus.conf.meetecho.com/docs/rest.html, carried as the WebSocket transport does.
"""

import asyncio
import contextlib
import itertools
from typing import Any

import aiohttp
import msgspec

from portico.janus.config import PLUGINS
from portico.janus.errors import JanusError, JanusUnavailable

SUBPROTOCOL = "janus-protocol"
ADMIN_SUBPROTOCOL = "janus-admin-protocol"

_MOST_PENDING = 1000
"""Requests that may wait for their answers; more of them means that Janus does not keep up."""

_CLOSE_DEADLINE = 0.2

_LONGEST_ANSWER = 4 * 1024 * 1024

Message = dict[str, Any]


class JanusLink:
    """Requests of Janus' operator. Once closed it stays closed: open another."""

    def __init__(
        self, client: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, secret: dict[str, str]
    ) -> None:
        """`secret` is what every request carries: {"apisecret": ...}, {"admin_secret": ...} or nothing."""
        self._client = client
        self._socket = socket
        self._secret = secret
        self._transactions = itertools.count(1)
        self._pending: dict[str, asyncio.Future[Message | None]] = {}  # None says that the connection was lost
        self._session_id = 0  # set by open()
        self._handles: dict[str, int] = {}  # plugin -> handle; set by open()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(), name="janus-link")

    @classmethod
    async def open(cls, url: str, secret: str | None, *, deadline: float) -> "JanusLink":
        """Connects and attaches to the three plugins within `deadline` seconds.

        Raises JanusUnavailable or, where the secret is wrong, JanusError.
        """
        carried = {"apisecret": secret} if secret is not None else {}
        return await cls._open(url, SUBPROTOCOL, carried, PLUGINS, deadline)

    @classmethod
    async def open_admin(cls, url: str, secret: str, *, deadline: float) -> "JanusLink":
        """Connects to the Admin API, for `core` alone, within `deadline` seconds; raises JanusUnavailable."""
        return await cls._open(url, ADMIN_SUBPROTOCOL, {"admin_secret": secret}, (), deadline)

    @classmethod
    async def _open(
        cls, url: str, subprotocol: str, secret: dict[str, str], plugins: tuple[str, ...], deadline: float
    ) -> "JanusLink":
        client = aiohttp.ClientSession()
        link: JanusLink | None = None
        try:
            async with asyncio.timeout(deadline):
                socket = await client.ws_connect(url, protocols=(subprotocol,), max_msg_size=_LONGEST_ANSWER)
                link = cls(client, socket, secret)
                if plugins:
                    await link._attach(plugins, deadline)
            return link
        except (aiohttp.ClientError, OSError) as error:
            raise JanusUnavailable(f"Janus does not answer on {url}: {str(error) or 'timed out'}.") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise JanusUnavailable(f"What answers on {url} is not Janus.") from error
        finally:
            if link is None:
                await client.close()
            elif len(link._handles) < len(plugins):
                await link.close()

    async def request(self, plugin: str, body: Message, *, deadline: float) -> Message:
        """Sends a message to a plugin and returns the plugin's answer; a plugin's error raises JanusError."""
        message = {"janus": "message", "handle_id": self._handles[plugin], "body": body}
        answer = await self.core({**message, "session_id": self._session_id}, deadline=deadline)
        data: Message = answer["plugindata"]["data"]
        if "error_code" in data:
            raise JanusError(data["error_code"], str(data.get("error", "")))
        return data

    async def core(self, message: Message, *, deadline: float) -> Message:
        """Sends a request to Janus' core (`info`, `ping`, `create`, ...) and returns the whole answer."""
        if self._lost.done() or len(self._pending) >= _MOST_PENDING:
            raise JanusUnavailable("Janus is not answering at the moment: try again in a few seconds.")
        transaction = str(next(self._transactions))
        answered = self._pending[transaction] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(deadline):
                text = msgspec.json.encode({**message, **self._secret, "transaction": transaction}).decode()
                await self._socket.send_str(text)
                answer: Message | None = await answered
        except TimeoutError as error:
            raise JanusUnavailable(f"Janus did not answer a request within {deadline:g} s.") from error
        except (aiohttp.ClientError, OSError):
            answer = None
        finally:
            del self._pending[transaction]
        if answer is None:
            raise JanusUnavailable("The connection to Janus was lost in the middle of a request.")
        if answer["janus"] == "error":
            raise JanusError(answer["error"]["code"], answer["error"]["reason"])
        return answer

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._lost.done()

    async def lost(self) -> str:
        """Returns when the connection is gone, with words for why."""
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        """Closes the connection, which also ends its Janus session; what still waits for an answer gets an error."""
        self._end("was closed by us")
        self._reader.cancel()
        try:
            await asyncio.wait([self._reader])
            # A Janus that hangs does not say good-bye: the deadline drops the connection.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_DEADLINE):
                    await self._socket.close()
        finally:
            await self._client.close()

    async def _attach(self, plugins: tuple[str, ...], deadline: float) -> None:
        self._session_id = (await self.core({"janus": "create"}, deadline=deadline))["data"]["id"]
        for plugin in plugins:
            attach = {"janus": "attach", "plugin": plugin, "session_id": self._session_id}
            self._handles[plugin] = (await self.core(attach, deadline=deadline))["data"]["id"]

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                if frame.type is aiohttp.WSMsgType.TEXT and not self._take(msgspec.json.decode(frame.data)):
                    break
        except msgspec.DecodeError:
            self._end("sent something that is not JSON")
        finally:
            self._end("closed the control connection")

    def _take(self, message: Message) -> bool:
        """Gives an answer to whoever waits for it; False when the message says that our session is over."""
        kind = message.get("janus")
        # After an `ack` the answer itself is still to come, as an `event` with the same transaction.
        if kind in ("success", "error", "event", "pong", "server_info"):
            answered = self._pending.get(message.get("transaction", ""))
            if answered is not None and not answered.done():
                answered.set_result(message)
        elif kind == "timeout" and message.get("session_id") == self._session_id:
            self._end("let our session time out")
            return False
        return True

    def _end(self, reason: str) -> None:
        if not self._lost.done():
            self._lost.set_result(reason)
        for answered in self._pending.values():
            if not answered.done():
                answered.set_result(None)
