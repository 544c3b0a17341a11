"""WebRTC without a browser: the data channel of a SignalingBrowser, as raw as an attacker would use it."""

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.gateway.browser import SignalingBrowser
from tests.signaling.conversation import TEXTROOM

CONNECTS_WITHIN_SECS = 15.0


class TextChannel:
    """A data channel to Janus' TextRoom plugin. Everything that arrives is kept, parsed, in `received`."""

    def __init__(self, browser: SignalingBrowser) -> None:
        self._browser = browser
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel: Any = None
        self._opened = asyncio.Event()
        self.received: list[dict[str, Any]] = []
        self.room = 0
        """The number of the TextRoom that the server names to this connection."""

    async def __aenter__(self) -> Self:
        self._peer.on("datachannel", self._take)
        self._handle = await self._browser.attach(TEXTROOM)
        setup = {"request": "setup", "room": self._browser.room_id}
        answer = await self._browser.ask("message", handle_id=self._handle, body=setup)
        self.room = answer["plugindata"]["data"]["janus_room_id"]
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["jsep"]["sdp"], "offer"))
        self._channel = self._peer.createDataChannel("JanusDataChannel")
        self._channel.on("message", self._receive)
        self._channel.on("open", self._opened.set)
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        jsep = {"type": "answer", "sdp": self._peer.localDescription.sdp}
        await self._browser.ask("message", handle_id=self._handle, body={"request": "ack"}, jsep=jsep)
        await asyncio.wait_for(self._opened.wait(), CONNECTS_WITHIN_SECS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._peer.close()

    def send(self, request: str, **members: Any) -> None:
        """A request of the TextRoom; its answer arrives among what is received."""
        self._channel.send(json.dumps({"textroom": request, "transaction": f"{request}-1", **members}))

    def join(self, room: int, username: str) -> None:
        self.send("join", room=room, username=username, display=username)

    def say(self, room: int, text: str) -> None:
        self.send("message", room=room, text=text)

    def texts(self, kind: str = "message") -> list[dict[str, Any]]:
        return [one for one in self.received if one.get("textroom") == kind]

    async def hears(self, *kinds: str, within: float = 10.0, **members: Any) -> dict[str, Any]:
        """The first that arrives of one of these kinds with these members."""
        async with asyncio.timeout(within):
            while True:
                for one in (one for kind in kinds for one in self.texts(kind)):
                    if members.items() <= one.items():
                        return one
                await asyncio.sleep(0.005)

    def _take(self, channel: Any) -> None:
        channel.on("message", self._receive)

    def _receive(self, text: str) -> None:
        self.received.append(json.loads(text))
