"""WebRTC without a browser, for a SignalingBrowser: its data channel as an attacker would use it, and its sound."""

import asyncio
import json
from collections import deque
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import aioice.ice
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from av import AudioFrame, VideoFrame
from numpy.typing import NDArray

from tests.gateway.browser import SignalingBrowser
from tests.signaling.conversation import AUDIOBRIDGE, TEXTROOM, VIDEOROOM, stream_display

CONNECTS_WITHIN_SECS = 15.0
# This side gives a path up after six checks whose answers took longer than half a second: on a busy machine they do.
# Whether a path is alive is for the server to find out here.
aioice.ice.CONSENT_FAILURES = 1000
RATE = 48000
SAMPLES = 960
"""In a frame of 20 ms."""


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
        try:
            await self._open()
        except BaseException:
            await close(self._peer)
            raise
        return self

    async def _open(self) -> None:
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

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await close(self._peer)

    @property
    def transport(self) -> Any:
        """What carries its packets: an aiortc RTCIceTransport."""
        assert self._peer.sctp is not None
        return self._peer.sctp.transport.transport

    def send(self, request: str, **members: Any) -> None:
        """A request of the TextRoom; its answer arrives among what is received."""
        self._channel.send(json.dumps({"textroom": request, "transaction": f"{request}-1", **members}))

    def join(self, room: int, username: str) -> None:
        self.send("join", room=room, username=username, display=username)

    def say(self, room: int, text: str) -> None:
        self.send("message", room=room, text=text)

    def texts(self, kind: str = "message") -> list[dict[str, Any]]:
        return [one for one in self.received if one.get("textroom") == kind]

    async def receives(self, *kinds: str, within: float = 10.0, **members: Any) -> dict[str, Any]:
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


async def close(peer: RTCPeerConnection) -> None:
    """Close the connection and its sockets, which asyncio closes one step later."""
    await peer.close()
    await asyncio.sleep(0)


class Source(MediaStreamTrack):
    """Sound at 48 kHz: a tone that `amplitude` (1 is full scale) makes louder, softer or silent at any time."""

    kind = "audio"

    def __init__(self, hertz: int, amplitude: float = 0.0) -> None:
        super().__init__()
        self.hertz = hertz
        self.amplitude = amplitude
        self._sent = 0
        self._begun = 0.0

    async def recv(self) -> AudioFrame:
        now = asyncio.get_running_loop().time()
        self._begun = self._begun or now
        await asyncio.sleep(self._begun + self._sent / RATE - now)
        times = (self._sent + np.arange(SAMPLES)) / RATE
        tone = np.sin(2 * np.pi * self.hertz * times) * self.amplitude * 32767
        frame = AudioFrame.from_ndarray(tone.astype(np.int16)[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, Fraction(1, RATE)
        self._sent += SAMPLES
        return frame


class Mixer:
    """The audio connection of a SignalingBrowser that has joined: sends the source, and keeps what it receives."""

    def __init__(self, browser: SignalingBrowser, source: Source) -> None:
        self.source = source
        self._browser = browser
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._samples: deque[NDArray[np.float64]] = deque(maxlen=RATE // SAMPLES * 2)
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await close(self._peer)
            raise
        return self

    async def _open(self) -> None:
        browser = self._browser
        handle = await browser.attach(AUDIOBRIDGE)
        shown = stream_display("audiobridge", browser.participant_id)
        await browser.request(handle, {"request": "join", "muted": False, "display": shown})
        self._peer.addTrack(self.source)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        jsep = {"type": "offer", "sdp": self._peer.localDescription.sdp}
        body = {"request": "configure", "display": shown}
        answer = await browser.ask("message", handle_id=handle, body=body, jsep=jsep)
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["jsep"]["sdp"], "answer"))
        (receiver,) = self._peer.getReceivers()
        self._reader = asyncio.create_task(self._read(receiver.track))
        async with asyncio.timeout(CONNECTS_WITHIN_SECS):
            while not self._samples:
                await asyncio.sleep(0.02)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        await close(self._peer)

    async def listen(self, secs: float = 0.5) -> NDArray[np.float64]:
        """Samples (1 is full scale) of so many seconds from now on."""
        self._samples.clear()
        async with asyncio.timeout(secs + CONNECTS_WITHIN_SECS):
            while len(self._samples) < secs * RATE / SAMPLES:
                await asyncio.sleep(0.02)
        return np.concatenate(self._samples)

    async def _read(self, track: Any) -> None:
        while True:
            frame = await track.recv()
            samples = frame.to_ndarray().reshape(-1, 2 if frame.layout.name == "stereo" else 1)
            self._samples.append(samples[:, 0] / 32768)


_BUNDLED = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)


class Picture(VideoStreamTrack):
    """A small black picture, four times a second."""

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        await asyncio.sleep(0.25)
        frame = VideoFrame.from_ndarray(np.zeros((48, 64, 3), dtype=np.uint8), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Videos:
    """The camera of a SignalingBrowser that has joined, and its subscriptions."""

    def __init__(self, browser: SignalingBrowser) -> None:
        self._browser = browser
        self._peers: list[RTCPeerConnection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self._peers:
            await close(peer)

    async def offer(self) -> tuple[int, dict[str, str]]:
        """Offer a stream on a handle of its own: (feed, the server's answer), which need not be one of WebRTC."""
        handle = await self._browser.attach(VIDEOROOM)
        shown = stream_display("self", self._browser.participant_id, stream_id=self._browser.participant_id)
        joined = await self._browser.request(handle, {"request": "join", "ptype": "publisher", "display": shown})
        self._peers.append(peer := RTCPeerConnection(_BUNDLED))
        peer.addTrack(Source(440, 0.1))
        peer.addTrack(Picture())
        await peer.setLocalDescription(await peer.createOffer())
        jsep = {"type": "offer", "sdp": peer.localDescription.sdp}
        answer = await self._browser.ask("message", handle_id=handle, body={"request": "configure"}, jsep=jsep)
        return joined["id"], answer["jsep"]

    async def publish(self) -> int:
        """The feed of a stream that flows."""
        feed, answer = await self.offer()
        await self._peers[-1].setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        await self._connected()
        return feed

    async def ask_for(self, feed: int) -> tuple[int, dict[str, str]]:
        """Subscribe on a handle of its own: (handle, the server's offer), which need not be one of WebRTC."""
        handle = await self._browser.attach(VIDEOROOM)
        answer = await self._browser.ask(
            "message", handle_id=handle, body={"request": "join", "ptype": "subscriber", "feed": feed}
        )
        return handle, answer["jsep"]

    async def subscribe(self, feed: int) -> None:
        """See a stream."""
        handle, offer = await self.ask_for(feed)
        self._peers.append(peer := RTCPeerConnection(_BUNDLED))
        await peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        jsep = {"type": "answer", "sdp": peer.localDescription.sdp}
        await self._browser.ask("message", handle_id=handle, body={"request": "start"}, jsep=jsep)
        await self._connected()

    async def _connected(self) -> None:
        async with asyncio.timeout(CONNECTS_WITHIN_SECS):
            while self._peers[-1].connectionState != "connected":
                await asyncio.sleep(0.02)


def level(samples: NDArray[np.float64], hertz: int) -> float:
    """Decibels of a tone in a sound; 0 is a tone at full scale."""
    times = np.arange(len(samples)) / RATE
    window = np.hanning(len(samples))
    turning = np.exp(-2j * np.pi * hertz * times)
    amplitude = 2 * abs(np.sum(samples * window * turning)) / np.sum(window)
    return 20 * float(np.log10(max(amplitude, 1e-9)))


def noise(samples: NDArray[np.float64], *tones: int) -> float:
    """Decibels of everything that is not one of the tones (within 40 Hz); 0 is a tone at full scale."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    others = np.all([np.abs(hertz - tone) > 40 for tone in tones], axis=0) & (hertz > 40)
    # Of a sine at full scale under this window: its whole power, so that both are on one scale.
    whole = (len(samples) ** 2) * 3 / 64 * 2
    return 10 * float(np.log10(max(np.sum(spectrum[others]) / whole, 1e-12)))
