"""The client over the server's own relay, with the credentials of the first answer; and which address it chooses."""

import pytest

from portico.client import Tone
from portico.client.relays import Relays, way_of
from tests.client.parts import client, until_sound
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer

pytestmark = pytest.mark.one_janus

URLS = ["turn:r:3478?transport=udp", "turn:r:3478?transport=tcp", "turns:r:5349?transport=tcp"]


@pytest.fixture(scope="module")
def server(relay_server: PorticoServer) -> PorticoServer:
    return relay_server


async def test_sound_takes_the_way_to_the_relay_that_is_asked_for(rooms: Rooms) -> None:
    room_id = rooms.create()
    options = {"messages": False}
    anna = client(rooms, room_id, "Anna", relay="tcp", **options)
    async with anna, client(rooms, room_id, "Ben", relay="udp", **options) as ben:
        await anna.publish(audio=Tone(440))
        await until_sound(ben.audio(), 440)
        assert rooms.figure("portico_relay_addresses_used") >= 3  # her stream, her mixer, his mixer


def test_the_ways_are_tried_one_after_another_and_only_those_that_are_offered() -> None:
    servers = [{"urls": ["stun:s", *URLS], "username": "u", "credential": "c"}]
    relays = Relays()
    seen = []
    while True:
        (chosen,) = relays.choose(servers)
        seen.append(chosen["urls"])
        if not relays.next(relays.way):
            break
        assert relays.next("udp"), "another connection has gone on meanwhile"
    assert seen == [["stun:s", url] for url in URLS]
    assert relays.choose([]) == []
    assert not Relays().next(None)


def test_a_way_that_is_asked_for_is_the_only_one() -> None:
    relays = Relays("tls")
    assert relays.choose([{"urls": URLS}, {"urls": "turn:other"}]) == [{"urls": [URLS[2]]}]
    assert not relays.next("tls")
    with pytest.raises(ValueError, match="relay must be one of udp, tcp, tls"):
        Relays("quic")


def test_addresses_that_the_client_cannot_use_have_no_way() -> None:
    assert [way_of(url) for url in ("turn:r", "turns:r", "turns:r?transport=udp", "stuns:s", "http:x")] == [
        "udp",
        "tls",
        "",
        "",
        "",
    ]
