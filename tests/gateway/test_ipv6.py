"""A client that has IPv6 only, in a network namespace, in a call with the server of a machine that has both."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.gateway.browser import SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.gateway.media_peer import Mixer, Source, level
from tests.gateway.network import Network, network_ipv6
from tests.servers import PorticoServer


@dataclass
class Reached:
    """The server, as the client reaches it."""

    base_url: str


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with network_ipv6() as made:
        if made is None:
            pytest.skip("network namespaces need root")
        yield made


@pytest.fixture(scope="module")
def server(
    janus_binary: Path,
    network: Network,
    tmp_path_factory: pytest.TempPathFactory,
    portico: type[PorticoServer],
    loopback: str | None,
) -> Iterator[PorticoServer]:
    """Listens on all addresses of both families, and offers media on an interface of each."""
    folder: Path = tmp_path_factory.mktemp("ipv6") / "data"
    offered = ",".join(name for name in (loopback, network.interface) if name)
    with portico(folder, host="::", media_interface=offered, janus_bin=str(janus_binary)) as server:
        yield server


async def _call(anna: SignalingBrowser, ben: SignalingBrowser) -> bool:
    """Whether Anna comes to receive Ben's sound."""
    async with anna, ben:
        await anna.join()
        await ben.join()
        async with Mixer(anna, Source(440, 0.3)) as listener, Mixer(ben, Source(700, 0.3)), asyncio.timeout(20):
            while level(await listener.listen(0.2), 700) < -40:
                pass
            return True


def test_two_clients_without_ipv4_receive_each_others_sound(
    server: PorticoServer, rooms: Rooms, network: Network
) -> None:
    room = rooms.create()
    token = rooms.token(room)
    reached = Reached(f"http://[{network.server_address}]:{server.port}")

    browser = partial(SignalingBrowser, reached, room, token)

    async def call() -> bool:
        return await _call(browser(), browser())

    assert network.run(call)


async def test_clients_with_ipv4_are_served_beside_them(server: PorticoServer, rooms: Rooms) -> None:
    """At 127.0.0.1, where the other tests are too."""
    room = rooms.create()
    async with rooms.browser(room) as anna:
        await anna.join()
        async with Mixer(anna, Source(440)):
            pass
