"""Joins of one token, and of one address into one room, are limited; after the wait a participant may join again."""

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from portico.core.rate import SECOND_NS, Limit
from portico.gateway.join_limit import JoinLimit
from portico.signaling.effects import CloseCode
from tests.clocks import Clock
from tests.gateway.browser import Refused
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer

pytestmark = pytest.mark.one_janus

ROOM, OTHER_ROOM = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0", "7d949cff-e29e-4439-9c81-2fab619422a1"


async def test_a_token_is_limited_wherever_it_is_shown() -> None:
    clock = Clock(10**15)
    limit = JoinLimit(Limit(2, 60), clock)
    for number in range(2):
        assert await limit.take(ROOM, "grant_id", f"192.0.2.{number}") == 0
    assert await limit.take(ROOM, "grant_id", "192.0.2.9") == 30
    assert await limit.take(ROOM, "other", "192.0.2.9") == 0
    clock.now += 30 * SECOND_NS
    assert await limit.take(ROOM, "grant_id", "192.0.2.9") == 0


async def test_an_address_is_limited_in_each_room_whatever_tokens_it_shows() -> None:
    limit = JoinLimit(Limit(2, 60), Clock(10**15))
    for number in range(2):
        assert await limit.take(ROOM, f"grant-{number}", f"2001:db8::{number}") == 0
    assert await limit.take(ROOM, "another", "2001:db8::99") == 30, "one network"
    assert await limit.take(ROOM, "another", "2001:db8:0:1::99") == 0
    assert await limit.take(OTHER_ROOM, "another", "2001:db8::99") == 0


async def test_what_is_refused_counts_nothing() -> None:
    limit = JoinLimit(Limit(1, 60), Clock(10**15))
    for _ in range(3):
        assert await limit.take(ROOM, "grant_id", "192.0.2.1") == 0
        limit.give_back(ROOM, "grant_id", "192.0.2.1")
    assert await limit.take(ROOM, "grant_id", "192.0.2.1") == 0
    assert await limit.take(ROOM, "grant_id", "192.0.2.2") == 60
    assert await limit.take(ROOM, "other", "192.0.2.1") == 60
    assert await limit.take(ROOM, "other", "192.0.2.2") == 0, "neither refusal has counted for the other"


# In a running server.


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[Rooms]:
    """A server that lets each token, and each address into each room, join three times an hour."""
    with portico(tmp_path_factory.mktemp("limited") / "data", JOIN_LIMIT="3/h") as server:
        yield Rooms(server)


async def test_who_joins_too_often_is_refused_in_words_and_no_join_elsewhere(limited: Rooms) -> None:
    room, elsewhere = limited.create(), limited.create(max_participants=2)
    token = limited.token(room)
    for _ in range(3):
        async with limited.browser(room, token=token) as anna:
            await anna.join()
    for shown in (token, limited.token(room)):
        async with limited.browser(room, token=shown) as ben:
            with pytest.raises(Refused, match=r"Too many joins.* try again in \d+ s") as refused:
                await ben.join()
            assert refused.value.status == 429
            await asyncio.wait_for(ben.closed.wait(), 30)
            assert ben.close_code == CloseCode.UNAVAILABLE
    assert len(limited.participants(room)) == 3, "a refused join leaves nothing behind"
    async with limited.browser(elsewhere) as anna, limited.browser(elsewhere) as ben:
        await anna.join()
        await ben.join()
        for _ in range(4):  # refused because the room is full, which counts nothing
            async with limited.browser(elsewhere) as carl:
                with pytest.raises(Refused, match="full"):
                    await carl.join()
    async with limited.browser(elsewhere) as carl:
        await carl.join()


async def test_joins_at_the_same_time_are_counted_before_they_are_tried(limited: Rooms) -> None:
    room = limited.create()
    token = limited.token(room)
    async with contextlib.AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(limited.browser(room, token=token)) for _ in range(8)]
        outcomes = await asyncio.gather(*(one.join() for one in browsers), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, Refused) and one.status == 429]
    assert len(refused) == 5 and len(limited.participants(room)) == 3


async def test_a_link_is_redeemed_so_often_also_at_the_same_time(limited: Rooms) -> None:
    room = limited.create()
    headers = {"Authorization": f"Bearer {limited.server.api_key}"}
    async with aiohttp.ClientSession() as http:
        path = f"{limited.server.base_url}/v2/rooms/{room}/actions/generate_meeting_link"
        async with http.post(path, headers=headers) as answer:
            invite = (await answer.json())["data"]["meeting_link"].rpartition("#")[2]

        async def knock(invite: str) -> int:
            async with http.post(f"{limited.server.base_url}/meet/{room}/token", json={"invite": invite}) as answer:
                return answer.status

        assert sorted(await asyncio.gather(*(knock(invite) for _ in range(8)))) == [201] * 3 + [429] * 5


def test_the_holder_of_a_meeting_link_gets_so_many_tokens(limited: Rooms) -> None:
    meeting = next(line for line in limited.server.log.splitlines() if "/meet/" in line).split()[-1]
    room, _, invite = meeting.rpartition("/meet/")[2].partition("#")
    assert [knock(limited, room, invite)[0] for _ in range(4)] == [201, 201, 201, 429]
    status, answer, retry_after = knock(limited, room, invite)
    assert (status, answer["errors"][0]["code"]) == (429, "10011")
    assert 0 < int(retry_after) <= 1200
    assert [knock(limited, str(uuid4()), "wrong")[0] for _ in range(4)] == [404, 404, 404, 429], "in any room"


def knock(rooms: Rooms, room: str, invite: str) -> tuple[int, Any, str]:
    """Status, body and Retry-After of asking for a token."""
    url = f"{rooms.server.base_url}/meet/{room}/token"
    request = urllib.request.Request(url, json.dumps({"invite": invite}).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer), ""
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal), refusal.headers.get("retry-after", "")
