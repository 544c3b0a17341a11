"""The socket of the page /check, without a browser: it sends offers that Janus answers, and no media."""

import json
from typing import Any, Self

import aiohttp

ANSWER_SECS = 20.0
FINGERPRINT = ":".join(["A1"] * 32)
_SESSION = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
_TRANSPORT = [
    "c=IN IP4 0.0.0.0",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuvwx",
    "a=ice-options:trickle",
    f"a=fingerprint:sha-256 {FINGERPRINT}",
    "a=setup:actpass",
    "a=sendrecv",
    "a=rtcp-mux",
]
_AUDIO = ["m=audio 9 UDP/TLS/RTP/SAVPF 111", *_TRANSPORT, "a=mid:0", "a=rtpmap:111 opus/48000/2"]
_VIDEO = ["m=video 9 UDP/TLS/RTP/SAVPF 96", *_TRANSPORT, "a=mid:1", "a=rtpmap:96 VP8/90000"]
OFFER = "\r\n".join([*_SESSION, *_AUDIO, *_VIDEO, ""])


class CheckClient:
    """One socket at /check/socket of the server at `base_url`."""

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url.replace('http', 'ws')}/check/socket"

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        try:
            self.socket = await self._http.ws_connect(self._url)
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._http.close()

    async def send(self, message: object) -> None:
        await self.socket.send_str(json.dumps(message))

    async def answer(self, message: object) -> dict[str, Any]:
        """Send a message and return the next one of the server."""
        await self.send(message)
        received: dict[str, Any] = await self.socket.receive_json(timeout=ANSWER_SECS)
        return received

    async def begin(self, **members: str) -> dict[str, Any]:
        return await self.answer({"check": "begin", **members})

    async def offer(self, path: str = "direct", sdp: object = OFFER) -> dict[str, Any]:
        return await self.answer({"check": "offer", "path": path, "sdp": sdp})

    def vanish(self) -> None:
        """Be gone without a close frame, as a killed process is."""
        transport = self.socket._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()

    async def closed(self) -> int:
        """Wait until the server closes the socket; the close code."""
        message = await self.socket.receive(timeout=ANSWER_SECS)
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return int(message.data)
