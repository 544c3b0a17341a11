"""The control connection to Janus: one WebSocket, one session, one handle per plugin, many requests at once.

Messages: https://janus.conf.meetecho.com/docs/rest.html, one per WebSocket frame.
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

_PENDING_MAX = 1000
"""Requests that may wait for their answers. If there are more, Janus is overloaded and further requests fail."""

_CLOSE_DEADLINE = 0.2
"""Seconds that Janus has to answer the closing handshake."""

_ANSWER_BYTES_MAX = 4 * 1024 * 1024

Message = dict[str, Any]


class JanusLink:
    """A connection for requests of the server itself. It is not opened again after it was closed or lost."""

    def __init__(
        self, client: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, secret: dict[str, str]
    ) -> None:
        """`secret` is added to every request: {"apisecret": ...}, {"admin_secret": ...} or {}."""
        self._client = client
        self._socket = socket
        self._secret = secret
        self._transactions = itertools.count(1)
        self._pending: dict[str, asyncio.Future[Message | None]] = {}  # None: the connection was lost
        self._session_id = 0  # set by open()
        self._handles: dict[str, int] = {}  # plugin -> handle; set by open()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(), name="janus-link")

    @classmethod
    async def open(cls, url: str, secret: str | None, *, deadline: float) -> "JanusLink":
        """Connect and attach to the three plugins within `deadline` seconds.

        Raises JanusUnavailable, and JanusError if `secret` is wrong.
        """
        added = {"apisecret": secret} if secret is not None else {}
        return await cls._open(url, SUBPROTOCOL, added, PLUGINS, deadline)

    @classmethod
    async def open_bare(cls, url: str, secret: str | None, *, deadline: float) -> "JanusLink":
        """Connect without a session or handle; use only `core`. Raises JanusUnavailable."""
        return await cls._open(url, SUBPROTOCOL, {"apisecret": secret} if secret is not None else {}, (), deadline)

    @classmethod
    async def open_admin(cls, url: str, secret: str, *, deadline: float) -> "JanusLink":
        """Connect to the Admin API within `deadline` seconds; use only `core`. Raises JanusUnavailable."""
        return await cls._open(url, ADMIN_SUBPROTOCOL, {"admin_secret": secret}, (), deadline)

    @classmethod
    async def _open(
        cls, url: str, subprotocol: str, secret: dict[str, str], plugins: tuple[str, ...], deadline: float
    ) -> "JanusLink":
        client = aiohttp.ClientSession()
        link: JanusLink | None = None
        try:
            async with asyncio.timeout(deadline):
                socket = await client.ws_connect(url, protocols=(subprotocol,), max_msg_size=_ANSWER_BYTES_MAX)
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
        """Send a message to a plugin; return `plugindata.data` of its answer.

        Raises JanusError with the plugin's error, and JanusUnavailable if there is no answer within `deadline` seconds.
        """
        message = {"janus": "message", "handle_id": self._handles[plugin], "body": body}
        answer = await self.core({**message, "session_id": self._session_id}, deadline=deadline)
        data: Message = answer["plugindata"]["data"]
        if "error_code" in data:
            raise JanusError(data["error_code"], str(data.get("error", "")))
        return data

    async def core(self, message: Message, *, deadline: float) -> Message:
        """Send a request to Janus' core (`info`, `ping`, `create`, ...); return the whole answer.

        Raises JanusError with the core's error, and JanusUnavailable if there is no answer within `deadline` seconds.
        """
        if self._lost.done() or len(self._pending) >= _PENDING_MAX:
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
        """Return when the connection is lost or closed, with the reason as a clause that follows "Janus"."""
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        """Close the connection, which ends its Janus session. Requests without an answer raise JanusUnavailable."""
        self._end("was closed by us")
        self._reader.cancel()
        try:
            await asyncio.wait([self._reader])
            # Janus does not answer the closing handshake if it hangs: after the deadline the connection is dropped.
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
        """Give an answer to the request that waits for it; False if the message says that our session has ended."""
        kind = message.get("janus")
        # An `ack` is no answer: an `event` with the same transaction follows.
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
