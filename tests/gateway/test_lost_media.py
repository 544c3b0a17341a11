"""UDP dies and TCP lives, as behind a firewall or a VPN: whoever has no media is told, and nobody else has a ghost."""

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.gateway.browser import SignalingBrowser
from tests.gateway.media_peer import TextChannel
from tests.gateway.network import Network, network
from tests.servers import PorticoServer
from tests.signaling.conversation import AUDIOBRIDGE, participant_display, stream_display

TOLD_WITHIN_SECS = 30.0
TOLD_LATE_SECS = 70.0
"""By a Janus without consent freshness, such as Debian's 1.1.2."""
SLACK_SECS = 5.0
QUIET_SECS = 8.0


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as made:
        if made is None:
            pytest.skip("no network namespaces here")
        yield made


@dataclass
class Far:
    """The server by an address that both sides reach."""

    base_url: str
    api_key: str

    def ask(self, path: str, body: bytes | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base_url + path, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())["data"]


@contextlib.asynccontextmanager
async def joined(far: Far, room: str, token: str) -> Any:
    """A participant with a data channel and a mixer that sends nothing: muted, as far as media goes."""
    async with SignalingBrowser(far, room, token) as browser:
        await browser.create()
        mixer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        text = await TextChannel(browser).__aenter__()
        try:
            text.join(text.room, browser.participant_id)
            display = participant_display(browser.participant_id)
            register = await browser.attach(AUDIOBRIDGE)
            await browser.request(register, {"request": "join", "display": display, "muted": True})
            handle = await browser.attach(AUDIOBRIDGE)
            display = stream_display("audiobridge", browser.participant_id)
            await browser.request(handle, {"request": "join", "display": display})
            mixer.addTransceiver("audio", direction="recvonly")
            await mixer.setLocalDescription(await mixer.createOffer())
            offer = {"type": "offer", "sdp": mixer.localDescription.sdp}
            answer = await browser.ask("message", handle_id=handle, body={"request": "configure"}, jsep=offer)
            await mixer.setRemoteDescription(RTCSessionDescription(answer["jsep"]["sdp"], "answer"))
            async with asyncio.timeout(20):
                while mixer.connectionState != "connected":
                    await asyncio.sleep(0.05)
            yield browser
        finally:
            await mixer.close()
            await text.__aexit__(None, None, None)


def left(far: Far, room: str) -> dict[str, str | None]:
    """left_at by participant."""
    (session,) = far.ask(f"/v2/room_sessions?filter[room_id]={room}")
    people = far.ask(f"/v2/room_sessions/{session['id']}/participants")
    return {one["id"]: one["left_at"] for one in people}


@pytest.mark.parametrize("mode", ["ice", "ice-lite"])
def test_media_that_dies_ends_the_connection_and_silence_does_not(tmp_path: Path, net: Network, mode: str) -> None:
    settings = {"media_address": net.server_address} if mode == "ice-lite" else {}
    with PorticoServer(tmp_path / "data", host="0.0.0.0", media_interface=net.interface, **settings) as server:
        far = Far(f"http://{net.server_address}:{server.port}", server.api_key)
        room = far.ask("/v2/rooms", b"{}")["id"]
        token = far.ask(f"/v2/rooms/{room}/actions/generate_join_client_token", b"{}")["token"]
        within = TOLD_LATE_SECS if "notices_lost_media_late" in server.log else TOLD_WITHIN_SECS

        async def call() -> float:
            async with joined(far, room, token) as anna:
                # Nothing is sent by this participant, ever: that is no reason to be sent away.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(anna.closed.wait(), QUIET_SECS)
                assert not anna.closed.is_set()
                net.cut_udp()
                begun = time.monotonic()
                while not anna.closed.is_set():
                    with contextlib.suppress(ConnectionError, TimeoutError):
                        await anna.ask("keepalive")  # signaling lives
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(anna.closed.wait(), 2)
                    assert time.monotonic() - begun < within + SLACK_SECS
                took = time.monotonic() - begun
                assert anna.close_code == 4003
                async with asyncio.timeout(10):
                    while (await asyncio.to_thread(left, far, room))[anna.participant_id] is None:
                        await asyncio.sleep(0.1)
            net.mend()
            async with joined(far, room, token) as again:
                assert (await asyncio.to_thread(left, far, room))[again.participant_id] is None
            return took

        took = net.run(call)
        print(f"{mode}: told {took:.1f} s after the cut")
        assert took < within
