"""One WebRTC connection by aiortc, with its private parts that are replaced, and why.

aiortc decodes each track in a thread of its own, and keeps what is not read in queues without a bound. Here received
frames leave it encoded: they are decoded when they are read, and what is not read costs nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from portico.client.errors import MediaFailed, RequestRefused
from portico.client.outgoing import OutgoingTrack
from portico.client.receiving import Received, take_over

CONNECT_SECS = 20.0
"""How long ICE and DTLS may take."""
CLOSE_SECS = 5.0

Jsep = dict[str, Any]


class Peer:
    """A PeerConnection. It is closed in every case by `close`, which is idempotent and bounded in time."""

    def __init__(self, ice_servers: list[dict[str, Any]], on_broken: Callable[["Peer"], None] | None = None) -> None:
        """`on_broken` is called when a connection that was established is lost."""
        configuration = RTCConfiguration(iceServers=servers_of(ice_servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._connection = RTCPeerConnection(configuration)
        self._changed = asyncio.Event()
        self._connection.on("connectionstatechange", self._change)
        self._on_broken = on_broken
        self._was_connected = False

    def add(self, track: OutgoingTrack, *, codec: str = "", receives: bool = False) -> RTCRtpSender:
        """Send a track, with this codec alone if one is named. `receives`: the other side may send one back."""
        transceiver = self._connection.addTransceiver(track, direction="sendrecv" if receives else "sendonly")
        if codec:
            known = RTCRtpSender.getCapabilities(track.kind).codecs
            wanted = [one for one in known if one.mimeType.lower() in (f"video/{codec}", "video/rtx")]
            transceiver.setCodecPreferences(wanted)
        return transceiver.sender

    def receive_too(self) -> None:
        """Have the next offer ask for a track of the other side."""
        for transceiver in self._connection.getTransceivers():
            transceiver.direction = "sendrecv"

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

    async def make_answer(self) -> Jsep:
        """The answer to the offer that was taken, with all ICE candidates."""
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return {"type": "answer", "sdp": self._connection.localDescription.sdp}

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

    async def close(self) -> None:
        """Close the connection and its sockets."""
        self._on_broken = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECS):
                await self._connection.close()
        await asyncio.sleep(0)  # asyncio closes a socket one step later

    def _change(self) -> None:
        self._changed.set()
        state = self._connection.connectionState
        if state == "connected":
            self._was_connected = True
        elif state in ("failed", "closed") and self._was_connected and self._on_broken is not None:
            self._on_broken(self)

    async def take(self, jsep: Jsep) -> dict[str, Received]:
        """Take the server's offer or answer; what is received from now on, by kind. Raises RequestRefused."""
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
