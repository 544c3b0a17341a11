"""An operator's own STUN and TURN servers reach a browser whose token was verified, and no other."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from portico.core.ice import LIFETIME, credentials
from tests.gateway.browser import Refused, SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer
from tests.signaling.conversation import TEXTROOM, VIDEOROOM

SERVERS = "stun:stun.example.com turn:anna:s3cret@a.example.com turns:b.example.com:443?transport=tcp"
SECRET = "shared-with-coturn"


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[Rooms]:
    data = tmp_path_factory.mktemp("ice") / "data"
    with portico(data, ice_servers=SERVERS, ice_secret=SECRET) as server:
        yield Rooms(server)


async def create(browser: SignalingBrowser) -> dict[str, object]:
    """The whole answer to the first request."""
    return await browser.ask("create")


async def test_the_first_answer_has_them_with_credentials_for_an_hour(rooms: Rooms) -> None:
    async with rooms.browser(rooms.create()) as anna:
        before = int(time.time())
        answer = await create(anna)
    stun, fixed, issued = answer["portico"]["ice_servers"]  # type: ignore[index]
    assert stun == {"urls": ["stun:stun.example.com"]}
    assert fixed == {"urls": ["turn:a.example.com"], "username": "anna", "credential": "s3cret"}
    expiry, holder = issued["username"].split(":")
    assert before <= int(expiry) - LIFETIME.total_seconds() <= time.time() + 1
    assert issued["urls"] == ["turns:b.example.com:443?transport=tcp"]
    until = datetime.fromtimestamp(int(expiry), UTC)
    assert (issued["username"], issued["credential"]) == credentials(SECRET, holder, until)


async def test_browsers_of_one_token_are_one_holder_and_others_are_others(rooms: Rooms) -> None:
    room = rooms.create()
    token = rooms.token(room)
    holders = []
    for shown in (token, token, rooms.token(room)):
        async with rooms.browser(room, token=shown) as browser:
            answer = await create(browser)
            holders.append(answer["portico"]["ice_servers"][2]["username"].split(":")[1])  # type: ignore[index]
    assert holders[0] == holders[1] != holders[2]


@pytest.mark.parametrize("token", ["", "not a token", "of another room", "refresh"])
async def test_an_anonymous_client_receives_none(rooms: Rooms, token: str) -> None:
    room = rooms.create()
    if token == "of another room":
        token = rooms.token(rooms.create())
    elif token == "refresh":
        made = rooms.rest.rooms.actions.generate_join_client_token(room).data
        assert made is not None and made.refresh_token is not None
        token = made.refresh_token
    async with rooms.browser(room, token=token) as client:
        answer = await create(client)
        assert "portico" not in answer
        with pytest.raises(Refused) as refused:
            await client.attach(TEXTROOM)
        assert refused.value.status == 401
        assert not any("portico" in event for event in client.events)


async def test_a_report_about_a_path_that_is_not_up_changes_nothing(rooms: Rooms) -> None:
    async with rooms.browser(rooms.create()) as anna:
        await anna.join()
        handle = await anna.attach(VIDEOROOM)
        await anna.say({"janus": "path_lost", "transaction": "path-lost-1", "handle_id": handle})
        await anna.ask("keepalive")
        assert not anna.closed.is_set()
