"""Chat: the data channel to the room's TextRoom."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from portico.client.dialect import ChatDialect, parsed
from portico.client.errors import MediaFailed, RequestRefused
from portico.client.peer import Peer
from portico.client.signaling import Signaling

SEND_SECS = 10.0
"""How long the server may take to confirm a message."""


class TextChannel:
    """The data channel of one connection."""

    def __init__(self, signaling: Signaling, room_id: str, participant_id: str, on_text: Callable[[str], None]) -> None:
        """`on_text` receives the text of each message."""
        self._signaling = signaling
        self._room_id = room_id
        self._participant_id = participant_id
        self._on_text = on_text
        self._channel: Any = None
        self._dialect = ChatDialect(0, participant_id)
        self._confirmed: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def open(self, handle: int, peer: Peer) -> None:
        """Connect by this peer, for this handle of the TextRoom, and join the TextRoom."""
        opened = asyncio.Event()
        setup, offer = await self._signaling.ask(handle, {"request": "setup", "room": self._room_id})
        self._dialect = ChatDialect(int(setup["janus_room_id"]), self._participant_id)
        peer.on_channel(lambda channel: channel.on("message", self._receive))
        await peer.take(offer)
        self._channel = peer.channel("JanusDataChannel")
        self._channel.on("message", self._receive)
        self._channel.on("open", opened.set)
        await self._signaling.ask(handle, {"request": "ack"}, await peer.make_answer())
        try:
            await asyncio.wait_for(opened.wait(), peer.within)
        except TimeoutError:
            raise MediaFailed("the data channel does not open", peer.way) from None
        self._channel.send(self._dialect.join(uuid4().hex))

    async def send(self, content: dict[str, Any], to: list[str]) -> None:
        """Send a message, and wait until the server confirms it. Raises RequestRefused."""
        transaction = uuid4().hex
        confirmed = self._confirmed[transaction] = asyncio.get_running_loop().create_future()
        try:
            self._channel.send(self._dialect.message(transaction, content, to))
            answer = await asyncio.wait_for(confirmed, SEND_SECS)
        except TimeoutError:
            raise RequestRefused("the server did not confirm the message") from None
        except Exception as error:
            raise RequestRefused(f"the message was not sent: {error!r}") from error
        finally:
            del self._confirmed[transaction]
        if answer.get("textroom") == "error":
            raise RequestRefused(str(answer.get("error")))

    def _receive(self, text: Any) -> None:
        answer = parsed(text)
        waiting = self._confirmed.get(str(answer.get("transaction")))
        if waiting is not None and answer.get("textroom") in ("success", "error") and not waiting.done():
            waiting.set_result(answer)
        elif answer.get("textroom") == "message":
            self._on_text(text)
