"""One WebRTC connection by aiortc, with its private parts that are replaced, and why.

aiortc decodes each track in a thread of its own, and keeps what is not read in queues without a bound. Here received
frames leave it encoded: they are decoded when they are read, and what is not read costs nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import Packet

from portico.client.errors import MediaFailed, RequestRefused
from portico.client.frames import EncodedFrame
from portico.client.queues import DroppingQueue
from portico.client.receiving import Received, take_over

CONNECT_SECS = 20.0
"""How long ICE and DTLS may take."""
CLOSE_SECS = 5.0
QUEUED = {"audio": 50, "video": 60}
"""Encoded frames that wait for the network: 1 s and 2 s."""
CLOCK_RATES = {"audio": 48_000, "video": 90_000}
_TIME_BASES = {kind: Fraction(1, rate) for kind, rate in CLOCK_RATES.items()}

Jsep = dict[str, Any]


class OutgoingTrack(MediaStreamTrack):
    """A track of encoded frames, which aiortc sends as they are."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._frames: DroppingQueue[EncodedFrame] = DroppingQueue(QUEUED[kind])
        self._rate = CLOCK_RATES[kind]

    def send(self, frame: EncodedFrame) -> None:
        """Queue a frame; the oldest is dropped when the network does not take them."""
        self._frames.put(frame)

    async def recv(self) -> Any:
        """The next frame, for aiortc's sender."""
        frame = await self._frames.get()
        if frame is None:
            raise MediaStreamError
        packet: Any = Packet(frame.data)
        packet.pts, packet.time_base = round(frame.time * self._rate), _TIME_BASES[self.kind]
        return packet

    def stop(self) -> None:
        """End the track: aiortc's sender stops waiting for frames."""
        self._frames.close()
        super().stop()


class Peer:
    """A PeerConnection. It is closed in every case by `close`, which is idempotent and bounded in time."""

    def __init__(self, ice_servers: list[dict[str, Any]]) -> None:
        configuration = RTCConfiguration(iceServers=servers_of(ice_servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = RTCPeerConnection(configuration)
        self._changed = asyncio.Event()
        self._connection.on("connectionstatechange", self._changed.set)

    def add(self, track: OutgoingTrack, *, on_keyframe_request: Callable[[], None] | None = None) -> None:
        """Send a track. `on_keyframe_request` is called when a receiver lacks a picture to start from."""
        sender: Any = self._connection.addTrack(track)
        if on_keyframe_request is not None:
            sender._send_keyframe = on_keyframe_request

    def on_channel(self, take: Callable[[Any], None]) -> None:
        """Call `take` with each data channel that the server opens."""
        self._connection.on("datachannel", take)

    def channel(self, label: str) -> Any:
        """A data channel of this side."""
        return self._connection.createDataChannel(label)

    async def offer(self) -> Jsep:
        """The offer, with all ICE candidates."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return {"type": "offer", "sdp": self._connection.localDescription.sdp}

    async def accept(self, answer: Jsep) -> dict[str, Received]:
        """Take the server's answer; what is received, by kind."""
        return await self._take(answer)

    async def answer(self, offer: Jsep) -> tuple[Jsep, dict[str, Received]]:
        """Take the server's offer: the answer to it, and what is received, by kind."""
        received = await self._take(offer)
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return {"type": "answer", "sdp": self._connection.localDescription.sdp}, received

    async def connected(self, within: float = CONNECT_SECS) -> None:
        """Wait until media can flow. Raises MediaFailed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while (state := self._connection.connectionState) not in ("connected", "failed", "closed"):
                    self._changed.clear()
                    await self._changed.wait()
                if state == "connected":
                    return
        raise MediaFailed(f"no media connection: {self._connection.connectionState}")

    @property
    def is_broken(self) -> bool:
        """Whether the connection was lost."""
        return self._connection.connectionState in ("failed", "closed")

    async def close(self) -> None:
        """Close the connection and its sockets."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECS):
                await self._connection.close()
        await asyncio.sleep(0)  # asyncio closes a socket one step later

    async def _take(self, jsep: Jsep) -> dict[str, Received]:
        received: dict[str, Received] = {}

        def take(track: MediaStreamTrack) -> None:
            receiver = next(one for one in self._connection.getReceivers() if one.track is track)
            received[track.kind] = take_over(receiver)

        self._connection.on("track", take)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(jsep["sdp"], jsep["type"]))
        except (ValueError, KeyError, IndexError, AssertionError) as error:
            # The server rejects in this form, for clients that have no branch for errors: the text says why.
            raise RequestRefused(str(jsep.get("sdp", "the server sent no offer")).strip()[:200]) from error
        finally:
            self._connection.remove_listener("track", take)
        return received


def servers_of(ice_servers: list[dict[str, Any]]) -> list[RTCIceServer]:
    """The servers in aiortc's form."""
    return [RTCIceServer(one["urls"], one.get("username"), one.get("credential")) for one in ice_servers]
