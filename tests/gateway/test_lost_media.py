"""UDP dies and TCP lives, as behind a firewall or a VPN: the connection without media is closed, and leaves no ghost.

Silence is no loss: one participant never sends, one sends and stops, one sends a packet each 400 ms, as DTX does.
"""

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
from av import AudioFrame

from tests.gateway.browser import SignalingBrowser
from tests.gateway.media_peer import SAMPLES, Source, TextChannel
from tests.gateway.network import Network, network
from tests.servers import PorticoServer
from tests.signaling.conversation import AUDIOBRIDGE, participant_display, stream_display

CLOSED_WITHIN_SECS = 30.0
SLACK_SECS = 5.0
QUIET_SECS = 8.0
QUIET_BY_COUNTERS_SECS = 45.0
"""Where Janus does not check consent, so that counters decide: twice what a decision takes."""


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


class Sparse(Source):
    """A frame each 400 ms, as of a DTX encoder in silence."""

    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        self._sent += 19 * SAMPLES
        return frame


@contextlib.asynccontextmanager
async def joined(far: Far, room: str, token: str, source: Source | None = None) -> Any:
    """(SignalingBrowser, RTCPeerConnection of its mixer) of a participant with a data channel; without a source its
    mixer never sends.
    """
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
            if source is None:
                mixer.addTransceiver("audio", direction="recvonly")
            else:
                mixer.addTrack(source)
            await mixer.setLocalDescription(await mixer.createOffer())
            offer = {"type": "offer", "sdp": mixer.localDescription.sdp}
            answer = await browser.ask("message", handle_id=handle, body={"request": "configure"}, jsep=offer)
            await mixer.setRemoteDescription(RTCSessionDescription(answer["jsep"]["sdp"], "answer"))
            async with asyncio.timeout(20):
                while mixer.connectionState != "connected":
                    await asyncio.sleep(0.05)
            yield browser, mixer
        finally:
            await mixer.close()
            await text.__aexit__(None, None, None)


def left(far: Far, room: str) -> dict[str, str | None]:
    """left_at by participant, in all sessions: who joins again late, on a busy machine, begins another one."""
    sessions = far.ask(f"/v2/room_sessions?filter[room_id]={room}")
    people = [one for session in sessions for one in far.ask(f"/v2/room_sessions/{session['id']}/participants")]
    return {one["id"]: one["left_at"] for one in people}


async def live(browsers: list[SignalingBrowser], secs: float) -> None:
    """Signaling of all of them goes on for so long, or until one is closed."""
    end = time.monotonic() + secs
    while time.monotonic() < end and not any(one.closed.is_set() for one in browsers):
        for browser in browsers:
            with contextlib.suppress(ConnectionError, TimeoutError):
                await browser.ask("keepalive")
        await asyncio.sleep(1)


async def is_closed(far: Far, room: str, browser: SignalingBrowser) -> float:
    """Seconds until the browser, whose signaling goes on, is closed for its media and out of the list."""
    begun = time.monotonic()
    while not browser.closed.is_set():
        await live([browser], 1)
        assert time.monotonic() - begun < CLOSED_WITHIN_SECS + SLACK_SECS
    took = browser.closed_at - begun
    assert browser.close_code == 4003
    async with asyncio.timeout(10):
        while (await asyncio.to_thread(left, far, room))[browser.participant_id] is None:
            await asyncio.sleep(0.1)
    return took


@pytest.mark.parametrize("mode", ["ice", "ice-lite"])
def test_media_that_dies_ends_the_connection_and_silence_does_not(
    tmp_path: Path, net: Network, mode: str, portico: type[PorticoServer]
) -> None:
    settings = {"media_address": net.server_address} if mode == "ice-lite" else {}
    with portico(tmp_path / "data", host="0.0.0.0", media_interface=net.interface, **settings) as server:
        far = Far(f"http://{net.server_address}:{server.port}", server.api_key)
        room = far.ask("/v2/rooms", b"{}")["id"]
        token = far.ask(f"/v2/rooms/{room}/actions/generate_join_client_token", b"{}")["token"]
        consent = "consent=True" in server.log or '"consent":true' in server.log.replace(" ", "")
        quiet = QUIET_SECS if consent else QUIET_BY_COUNTERS_SECS
        print(f"{mode}: Janus {'checks' if consent else 'does not check'} consent")

        async def call() -> list[float]:
            async with (
                joined(far, room, token, Source(440, 0.1)) as (speaks, _),
                joined(far, room, token, Sparse(440)) as (sparse, _),
                joined(far, room, token, Source(440, 0.1)) as (stopped, mixer),
                joined(far, room, token) as (silent, _),
            ):
                browsers = [speaks, sparse, stopped, silent]
                await live(browsers, 2)
                mixer.getSenders()[0].replaceTrack(None)
                await live(browsers, quiet)
                assert [one.close_code for one in browsers if one.closed.is_set()] == []
                net.cut_udp()
                took = await asyncio.gather(*(is_closed(far, room, one) for one in browsers))
            net.mend()
            async with joined(far, room, token) as (again, _):
                assert (await asyncio.to_thread(left, far, room))[again.participant_id] is None
            return list(took)

        took = net.run(call)
        print(f"{mode}: closed {[round(one, 1) for one in took]} s after the cut")
        assert max(took) < CLOSED_WITHIN_SECS
