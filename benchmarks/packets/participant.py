"""A participant of packets: joins through the gateway as the SDK does, and publishes, subscribes, and is in the mix."""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp

from benchmarks.packets import sdp
from benchmarks.packets.path import CONNECTS_WITHIN_SECS, Path
from benchmarks.packets.port import Port
from benchmarks.packets.rtp import Received
from benchmarks.packets.sdp import Medium
from benchmarks.packets.senders import AudioSender, VideoSender
from tests.gateway.browser import Reachable, SignalingBrowser
from tests.signaling.conversation import AUDIOBRIDGE, VIDEOROOM, stream_display

KEEPALIVE_SECS = 5.0
ANSWER_SECS = 60.0
_CLOCKS = {"audio": 48000, "video": 90000}


class Participant:
    """One browser of packets in a room."""

    def __init__(self, port: Port, server: Reachable, room_id: str, token: str, name: str) -> None:
        self._port = port
        self._browser = SignalingBrowser(server, room_id, token)
        self._name = name
        self._room_id = room_id
        self._keepalive: asyncio.Task[None] | None = None
        self._paths: list[Path] = []
        self.feed = 0
        self.mix: Received | None = None
        self.mix_path: Path | None = None
        self.audio: list[Received] = []
        self.video: list[Received] = []

    async def __aenter__(self) -> Self:
        await self._browser.__aenter__()
        try:
            await self._browser.create()
            await self._browser.enter(self._name)
        except BaseException:
            await self._browser.leave()
            raise
        self._keepalive = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
            await asyncio.gather(self._keepalive, return_exceptions=True)
        for path in self._paths:
            path.close()
        await self._browser.leave()

    @property
    def close_code(self) -> int | None:
        """Of its socket, once it is closed."""
        return self._browser.close_code

    async def enter_mix(self, frames: Sequence[bytes], level: int) -> AudioSender:
        """Speak in the mix and receive it, without its own sound."""
        handle = await self._browser.attach(AUDIOBRIDGE)
        shown = stream_display("audiobridge", self._browser.participant_id)
        await self._request(handle, {"request": "join", "muted": False, "display": shown})
        path = self._path()
        sender = AudioSender(path, frames, level)
        offer = sdp.description(path.local, [Medium("audio", "sendrecv", sender.ssrc)], "actpass")
        remote = await self._offer(handle, {"request": "configure", "display": shown}, offer)
        self.mix = self._port.receive(remote.ssrcs[0], 48000, path)
        self.mix_path = path
        await path.connect(remote, controlling=True)
        self._port.run(sender)
        return sender

    async def publish(self, frames: Sequence[bytes], level: int, video_rate: float) -> VideoSender:
        """Publish sound and pictures, so many packets of pictures a second."""
        handle = await self._browser.attach(VIDEOROOM)
        own_id = self._browser.participant_id
        shown = stream_display("self", own_id, stream_id=own_id)
        joined = await self._request(
            handle, {"request": "join", "room": self._room_id, "ptype": "publisher", "display": shown}
        )
        path = self._path()
        audio, video = AudioSender(path, frames, level), VideoSender(path, video_rate)
        media = [Medium("audio", "sendonly", audio.ssrc), Medium("video", "sendonly", video.ssrc)]
        body = {"request": "configure", "audio": True, "video": True, "display": shown}
        remote = await self._offer(handle, body, sdp.description(path.local, media, "actpass"))
        await path.connect(remote, controlling=True)
        self._port.run(audio)
        self._port.run(video)
        await self._is_up(handle)  # before it, Janus knows no such feed
        self.feed = joined["id"]
        return video

    async def subscribe(self, feed: int, *, audio: bool = True, video: bool = True) -> None:
        """Receive a stream, or only its sound or its pictures."""
        handle = await self._browser.attach(VIDEOROOM)
        body = {"request": "join", "room": self._room_id, "ptype": "subscriber", "feed": feed, "audio": audio}
        answer = await self._ask(handle, {**body, "video": video})
        remote = sdp.read(answer["jsep"]["sdp"])
        path = self._path()
        media = [Medium(kind, "recvonly") for kind in remote.kinds]
        for kind, ssrc in zip(remote.kinds, remote.ssrcs, strict=True):
            if audio if kind == "audio" else video:
                streams = self.audio if kind == "audio" else self.video
                streams.append(self._port.receive(ssrc, _CLOCKS[kind], path))
        jsep = {"type": "answer", "sdp": sdp.description(path.local, media, "active", remote.mids)}
        connecting = asyncio.create_task(path.connect(remote, controlling=False))
        try:
            await self._ask(handle, {"request": "start", "room": self._room_id}, jsep=jsep)
            await connecting
        finally:
            connecting.cancel()

    async def _is_up(self, handle: int) -> None:
        async with asyncio.timeout(CONNECTS_WITHIN_SECS):
            while not any(one["janus"] == "webrtcup" and one["sender"] == handle for one in self._browser.events):
                await asyncio.sleep(0.01)

    def _path(self) -> Path:
        path = Path(self._port)
        self._paths.append(path)
        return path

    async def _request(self, handle: int, body: dict[str, Any]) -> dict[str, Any]:
        content: dict[str, Any] = (await self._ask(handle, body))["plugindata"]["data"]
        return content

    async def _ask(self, handle: int, body: dict[str, Any], **members: Any) -> dict[str, Any]:
        answer = await self._browser.ask("message", handle_id=handle, body=body, within=ANSWER_SECS, **members)
        if "error" in answer.get("plugindata", {}).get("data", {}):
            raise RuntimeError(f"{self._name}: {body['request']} is refused: {answer['plugindata']['data']['error']}")
        return answer

    async def _offer(self, handle: int, body: dict[str, Any], offer: str) -> sdp.Remote:
        answer = await self._ask(handle, body, jsep={"type": "offer", "sdp": offer})
        return sdp.read(answer["jsep"]["sdp"])

    async def _keep(self) -> None:
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):  # the server has ended the connection
            while True:
                await asyncio.sleep(KEEPALIVE_SECS)
                await self._browser.ask("keepalive", within=ANSWER_SECS)
