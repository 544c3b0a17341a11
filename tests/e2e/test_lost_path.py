"""UDP dies while the SDK's page only receives and has no data channel: connect.js reports it, as Debian's Janus cannot.

The page is Chromium in a network of its own; see tests/gateway/network.py.
"""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.page_server import page_server
from tests.e2e.person import RED, Person
from tests.gateway.network import Network, network
from tests.gateway.test_lost_media import Far, left
from tests.servers import PorticoServer
from tests.waiting import until

DEBIANS = shutil.which("janus")
LEFT_WITHIN_SECS = 30.0
SLACK_SECS = 5.0

NOTE_STATES = """() => {
  globalThis.states = [];
  globalThis.RTCPeerConnection = new Proxy(RTCPeerConnection, {
    construct(target, args, newTarget) {
      const made = Reflect.construct(target, args, newTarget);
      const number = states.push("new") - 1;
      made.addEventListener("connectionstatechange", () => { states[number] = made.connectionState; });
      return made;
    },
  });
}"""


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as made:
        if made is None:
            pytest.skip("no network namespaces here")
        yield made


async def all_are(person: Person, *wanted: str) -> None:
    """Wait until every PeerConnection of the page has one of these states."""

    async def are() -> bool:
        states = await person.page.evaluate("states")
        return bool(states) and set(states) <= set(wanted)

    await until(are, 20, f"the connections of {person.name} to be {wanted}")


@pytest.mark.skipif(DEBIANS is None, reason="Debian's Janus is not installed")
def test_a_page_that_only_receives_is_out_of_the_list_in_time_and_finds_back(
    tmp_path: Path, net: Network, portico: type[PorticoServer], chromium_elsewhere: Any
) -> None:
    settings = {"host": "0.0.0.0", "media_interface": net.interface, "janus_bin": str(DEBIANS)}
    with portico(tmp_path / "data", **settings) as server:
        far = Far(f"http://{net.server_address}:{server.port}", server.api_key)
        room = far.ask("/v2/rooms", b"{}")["id"]
        token = far.ask(f"/v2/rooms/{room}/actions/generate_join_client_token", b"{}")["token"]

        async def has_left(person: Person) -> bool:
            return (await asyncio.to_thread(left, far, room))[person.id] is not None

        async def arrive(browser: Any, site: str, name: str, *, messages: bool) -> Person:
            person = await Person.open(browser, site, f"{far.base_url}/connect.js", name)
            await person.page.evaluate(NOTE_STATES)
            return await person.join(room, token, messages=messages)

        async def call() -> float:
            with page_server() as site:
                async with chromium_elsewhere(net.server_address) as browser:
                    anna = await arrive(browser, site, "Anna", messages=True)
                    silent = await arrive(browser, site, "Ben", messages=False)
                    await anna.publish(colour=RED)
                    await silent.perceive(anna, colour=RED)

                    # A path that comes back within the seconds is not ended.
                    net.cut_udp()
                    await all_are(silent, "disconnected", "failed")
                    net.mend()
                    await all_are(silent, "connected")
                    assert not await has_left(silent)
                    assert not silent.happened("disconnected")

                    net.cut_udp()
                    cut = time.monotonic()
                    gone = await silent.wait_for("disconnected", "unknown", within=LEFT_WITHIN_SECS + SLACK_SECS)
                    await until(lambda: has_left(silent), 10, "the participant to have left")
                    net.mend()
                    again = await arrive(browser, site, "Ben", messages=False)
                    assert not await has_left(again)
                    return gone.at - cut

        took = net.run(call)
        print(f"closed {took:.1f} s after the cut")
        assert took < LEFT_WITHIN_SECS
        assert "the browser reports it" in server.log
