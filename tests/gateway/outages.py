"""Calls during outages of the database, on servers of their own."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx

from tests.contract.answers import ANSWERS_WITHIN_SECS, checking_client
from tests.gateway.browser import ANSWER_SECS, Refused, SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.waiting import until_in_thread as until


class Caller:
    """A participant in a call that has to survive; `room` is its room."""

    def __init__(self, rooms: Rooms, room: str, browser: SignalingBrowser) -> None:
        self.rooms, self.room, self.browser = rooms, room, browser

    async def keep_alive(self, within: float = ANSWER_SECS) -> None:
        """The call goes on: requests reach Janus and the socket is open."""
        assert (await self.browser.ask("keepalive", within=within))["janus"] == "ack"
        assert not self.browser.closed.is_set()

    async def is_still_in(self) -> None:
        """The facts agree: one session, in which the participant is present."""
        await self.keep_alive()
        (session,) = await asyncio.to_thread(self.rooms.sessions, self.room)
        assert session["active"]
        people = await asyncio.to_thread(self.rooms.participants, self.room)
        assert [one["id"] for one in people if one["left_at"] is None] == [self.browser.participant_id]

    async def another_joins(self, within: float) -> None:
        """A newcomer gets in within so many seconds."""
        token = await asyncio.to_thread(self.rooms.token, self.room)
        begun = time.monotonic()
        async with self.rooms.browser(self.room, token=token) as newcomer:
            await newcomer.join("newcomer")
            assert time.monotonic() - begun < within
        gone = lambda: all(one["left_at"] for one in others(self))  # noqa: E731
        await until(gone, 10)

    async def refused_to_join(self, token: str) -> Refused:
        """How a newcomer is refused."""
        async with self.rooms.browser(self.room, token=token) as newcomer:
            try:
                await newcomer.join("newcomer")
            except Refused as refused:
                return refused
        raise AssertionError("the newcomer was let in")


def others(caller: Caller) -> list[dict[str, object]]:
    people = caller.rooms.participants(caller.room)
    return [one for one in people if one["id"] != caller.browser.participant_id]


@asynccontextmanager
async def call(rooms: Rooms, **settings: Any) -> AsyncIterator[Caller]:
    """A participant alone in a room, which is made with these settings."""
    room = await asyncio.to_thread(partial(rooms.create, **settings))
    token = await asyncio.to_thread(rooms.token, room)
    async with rooms.browser(room, token=token) as browser:
        await browser.join()
        yield Caller(rooms, room, browser)


async def write(rooms: Rooms) -> httpx.Response:
    """Something that needs to write, over REST; the answer is checked against both documents."""

    def create() -> httpx.Response:
        headers = {"Authorization": f"Bearer {rooms.server.api_key}"}
        with checking_client(headers=headers) as client:
            return client.post(f"{rooms.server.base_url}/v2/rooms", json={})

    return await asyncio.wait_for(asyncio.to_thread(create), ANSWERS_WITHIN_SECS)
