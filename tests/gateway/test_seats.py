"""A full room: half-open sockets of the same grant give their seats up, and no others do."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from portico.gateway.seats import ANSWER_SECS
from tests.gateway.browser import Refused, SignalingBrowser
from tests.gateway.conftest import Rooms

pytestmark = pytest.mark.one_janus

SLACK_SECS = 3.0
"""For a machine that is busy with other tests."""


def transport_of(browser: SignalingBrowser) -> asyncio.Transport:
    transport = browser.socket._response.connection.transport  # type: ignore[union-attr]
    assert transport is not None
    return transport


@contextlib.asynccontextmanager
async def ghost_of(browser: SignalingBrowser) -> AsyncIterator[SignalingBrowser]:
    """In the room, and gone at the end without a closing handshake, which a lost machine does not have."""
    await browser.__aenter__()
    transport = transport_of(browser)
    try:
        await browser.join()
        yield browser
    finally:
        transport.abort()
        await browser.leave()


def left(rooms: Rooms, room: str) -> dict[str, str | None]:
    """left_reason by participant, None for who is there."""
    found = rooms.rows("SELECT id, left_reason FROM room_participants WHERE room_id = ?", room)
    return {row["id"]: row["left_reason"] for row in found}


@pytest.mark.parametrize("how", ["answers no ping", "reads nothing"])
async def test_ones_own_ghost_gives_its_seat_up(rooms: Rooms, how: str) -> None:
    """A participant whose connection was lost without a close comes back before the server has noticed the loss."""
    room = rooms.create(max_participants=2)
    token = rooms.token(room)
    lost = rooms.browser(room, token=token, answers_pings=how == "reads nothing")
    async with (
        rooms.browser(room, token=token) as ben,
        rooms.browser(room, token=token) as back,
        ghost_of(lost) as ghost,
    ):
        await ben.join()
        if how == "reads nothing":
            transport_of(ghost).pause_reading()
        begun = time.monotonic()
        await back.join()
        assert time.monotonic() - begun < ANSWER_SECS + SLACK_SECS
        assert left(rooms, room) == {
            ghost.participant_id: "timeout",
            ben.participant_id: None,
            back.participant_id: None,
        }
        await ben.receives("leaving")
        assert not ben.closed.is_set()


async def test_who_answers_keeps_the_seat(rooms: Rooms) -> None:
    room = rooms.create(max_participants=2)
    token = rooms.token(room)
    async with rooms.browser(room, token=token) as anna, rooms.browser(room, token=token) as ben:
        await anna.join()
        await ben.join()
        for _ in range(3):
            async with rooms.browser(room, token=token) as third:
                with pytest.raises(Refused, match="full") as refused:
                    await third.join()
                assert refused.value.status == 403
        assert set(left(rooms, room).values()) == {None}
        assert not anna.closed.is_set() and not ben.closed.is_set()


async def test_another_token_frees_no_seat(rooms: Rooms) -> None:
    room = rooms.create(max_participants=2)
    async with (
        rooms.browser(room) as cleo,
        rooms.browser(room) as ben,
        ghost_of(rooms.browser(room, answers_pings=False)) as anna,
    ):
        await cleo.join()
        begun = time.monotonic()
        with pytest.raises(Refused, match="full"):
            await ben.join()
        assert time.monotonic() - begun < ANSWER_SECS
        assert left(rooms, room) == {anna.participant_id: None, cleo.participant_id: None}


async def test_one_freed_seat_is_taken_once(rooms: Rooms) -> None:
    room = rooms.create(max_participants=3)
    token = rooms.token(room)
    browsers = [rooms.browser(room, token=token) for _ in range(6)]
    async with ghost_of(rooms.browser(room, token=token, answers_pings=False)) as ghost:
        try:
            for browser in browsers:
                await browser.__aenter__()
            for browser in browsers[:2]:
                await browser.join()

            async def join(browser: SignalingBrowser) -> bool:
                try:
                    await browser.join()
                except Refused:
                    return False
                return True

            assert sum(await asyncio.gather(*map(join, browsers[2:]))) == 1
            present = [one for one, reason in left(rooms, room).items() if reason is None]
            assert len(present) == 3 and ghost.participant_id not in present
        finally:
            for browser in browsers:
                await browser.leave()
