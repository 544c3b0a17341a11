"""One WebRTC connection by aiortc. It replaces private parts of aiortc; a reason stands at each.

aiortc decodes each track in a thread of its own, and its queues have no bound. Here received frames are taken from it
encoded, are decoded when they are read, and are dropped when they are not read.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from aioice.stun import TransactionError
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from portico.client.errors import MediaFailed, RequestRefused
from portico.client.outgoing import OutgoingTrack
from portico.client.receiving import Received, take_over

TRY_SECS = 8.0
"""How long ICE and DTLS may take where there is another way to try."""
CONNECT_SECS = 20.0
"""How long ICE and DTLS may take."""
CLOSE_SECS = 5.0
GATHER_SECS = 6.0
"""aioice gives up STUN and TURN servers that do not answer after 5 s."""
CONSENT_SECS = 5.0
CONSENT_FAILURES = 5

Jsep = dict[str, Any]


class Peer:
    """A PeerConnection. Its owner has to call `close`, which may be repeated and is bounded in time."""

    def __init__(
        self,
        ice_servers: list[dict[str, Any]],
        *,
        relay_only: bool = False,
        way: str | None = None,
        within: float = CONNECT_SECS,
        on_broken: Callable[["Peer"], None] | None = None,
    ) -> None:
        """`way` is the one to the relay, `within` the seconds until media have to flow.

        `on_broken` is called when a connection that was established is lost.
        """
        policy = RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL
        configuration = RTCConfiguration(
            iceServers=servers_of(ice_servers), iceTransportPolicy=policy, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE
        )
        self._connection: Any = RTCPeerConnection(configuration)
        self._changed = asyncio.Event()
        self._connection.on("connectionstatechange", self._change)
        self._on_broken = on_broken
        self.way = way
        self.within = within
        self._was_connected = False
        self._gathering: asyncio.Future[None] | None = None

    def add(self, track: OutgoingTrack, *, codec: str = "", receives: bool = False) -> Any:
        """Add a track to send; returns its RTCRtpSender. `codec` is the only one that is offered, if named.

        With `receives` the other side may send a track back.
        """
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

    async def take(self, jsep: Jsep) -> dict[str, Received]:
        """Apply the server's offer or answer; returns the tracks that it sends, by kind. Raises RequestRefused."""
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

    async def offer(self) -> Jsep:
        """Make an offer that contains all ICE candidates."""
        offer = await self._connection.createOffer()
        await self._gather(offer)
        return {"type": "offer", "sdp": self._connection.localDescription.sdp}

    async def make_answer(self) -> Jsep:
        """Make the answer, with all ICE candidates, to the offer that `take` was given."""
        await self._gather(await self._connection.createAnswer())
        return {"type": "answer", "sdp": self._connection.localDescription.sdp}

    async def connected(self) -> None:
        """Wait until media can flow. Raises MediaFailed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.within):
                while (state := self._connection.connectionState) not in ("connected", "failed", "closed"):
                    self._changed.clear()
                    await self._changed.wait()
                if state == "connected":
                    return
        raise MediaFailed(f"no media connection: {self._connection.connectionState}", self.way)

    async def close(self) -> None:
        """Close the connection and its sockets."""
        self._on_broken = None
        if self._gathering is not None:
            await asyncio.wait((self._gathering,), timeout=GATHER_SECS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECS):
                await self._connection.close()
        await asyncio.sleep(0)  # asyncio closes a socket one step later

    async def _gather(self, description: RTCSessionDescription) -> None:
        """Apply our own description, and gather ICE candidates. If it is cancelled, `close` waits for its end."""
        self._replace_consent_checks()
        # aioice loses the sockets that it has opened when its gathering is cancelled.
        self._gathering = asyncio.ensure_future(self._connection.setLocalDescription(description))
        self._gathering.add_done_callback(lambda gathered: gathered.cancelled() or gathered.exception())
        await asyncio.shield(self._gathering)

    def _replace_consent_checks(self) -> None:
        """Replace aioice's consent checks, which give a path up after six answers that took more than half a second."""
        for transport in self._connection._RTCPeerConnection__iceTransports:
            transport._connection.query_consent = partial(check_consent, transport._connection)

    def _change(self) -> None:
        self._changed.set()
        state = self._connection.connectionState
        if state == "connected":
            self._was_connected = True
        elif state in ("failed", "closed") and self._was_connected and self._on_broken is not None:
            self._on_broken(self)


async def check_consent(connection: Any) -> None:
    """Close an ICE connection whose other side has answered no check for about 40 s (RFC 7675 asks for 30)."""
    failures = 0
    while failures < CONSENT_FAILURES:
        if connection._closing:
            return  # aioice begins the checks also of a connection that is closed while it connects
        await asyncio.sleep(CONSENT_SECS * (0.8 + 0.4 * random.random()))
        key = connection.remote_password.encode()
        for pair in connection._nominated.values():
            request = connection.build_request(pair, nominate=False)
            try:
                await pair.protocol.request(request, pair.remote_addr, integrity_key=key, retransmissions=2)
                failures = 0
            except TransactionError:
                failures += 1
    connection._query_consent_task = None
    await connection.close()


def servers_of(ice_servers: list[dict[str, Any]]) -> list[RTCIceServer]:
    """The servers in aiortc's form."""
    return [RTCIceServer(one["urls"], one.get("username"), one.get("credential")) for one in ice_servers]
