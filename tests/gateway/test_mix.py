"""How loud people are in the mix of a real Janus, measured with tones."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.gateway.browser import SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.gateway.media_peer import Mixer, Source, level, noise
from tests.servers import PorticoServer
from tests.signaling.conversation import AUDIOBRIDGE, stream_display

TONES = (501, 701, 899, 1301)
QUIETER_DB_MAX = 3.0
CLEAN_DB = -30.0
"""Of everything beside the tones. A sum that wraps around is noise at -10 dB and more."""
AUDIBLE_DB = -40.0
WINDOW_SECS = 0.2
SETTLED_SECS = 1.0
"""After which Janus has reported who talks, and the volumes are those for it."""
SETTLES_WITHIN_SECS = 30.0


@pytest.fixture(scope="module")
def server(
    janus_binary: Path, tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer], loopback: str | None
) -> Iterator[PorticoServer]:
    folder: Path = tmp_path_factory.mktemp("mix") / "data"
    with portico(folder, media_interface=loopback, janus_bin=str(janus_binary)) as server:
        yield server


class Room:
    """People with a mixer in one room."""

    def __init__(self, rooms: Rooms, stack: contextlib.AsyncExitStack) -> None:
        self._rooms = rooms
        self._stack = stack
        self._id = rooms.create()
        self._token = rooms.token(self._id)

    async def enter(self, hertz: int = 440, amplitude: float = 0.0) -> Mixer:
        return await self._stack.enter_async_context(Mixer(await self._join(), Source(hertz, amplitude)))

    async def attend(self) -> None:
        """Be in the mix, not muted, without sending a packet: ten who send need more than two cores."""
        browser = await self._join()
        shown = stream_display("audiobridge", browser.participant_id)
        handle = await browser.attach(AUDIOBRIDGE)
        await browser.request(handle, {"request": "join", "muted": False, "display": shown})

    async def _join(self) -> SignalingBrowser:
        browser = self._rooms.browser(self._id, token=self._token)
        joined: SignalingBrowser = await self._stack.enter_async_context(browser)
        await joined.join()
        return joined


@pytest.fixture
async def room(rooms: Rooms) -> AsyncIterator[Room]:
    async with contextlib.AsyncExitStack() as stack:
        yield Room(rooms, stack)


async def loudness(listener: Mixer, hertz: int) -> float:
    """The level of a tone in the loudest of several windows: what a busy machine loses of a sound lowers some."""
    await listener.listen(SETTLED_SECS)
    return max([level(await listener.listen(WINDOW_SECS), hertz) for _ in range(10)])


async def wait_clean(listener: Mixer, *tones: int) -> list[float]:
    """Wait for a window with these tones and nothing else, which no sum that wraps around has; their levels."""
    async with asyncio.timeout(SETTLES_WITHIN_SECS):
        while True:
            samples = await listener.listen(WINDOW_SECS)
            levels = [level(samples, hertz) for hertz in tones]
            if min(levels) > AUDIBLE_DB and noise(samples, *tones) < CLEAN_DB:
                return levels


async def test_one_talker_is_as_loud_among_nine_silent_people_as_with_one(room: Room) -> None:
    """The silent ones are not muted."""
    listener = await room.enter()
    await room.enter(TONES[0], 0.5)
    alone = await loudness(listener, TONES[0])
    await room.enter()
    for _ in range(7):
        await room.attend()
    assert await loudness(listener, TONES[0]) >= alone - QUIETER_DB_MAX


async def test_four_loud_ones_do_not_wrap_around(room: Room) -> None:
    listener = await room.enter()
    talkers = [await room.enter(hertz) for hertz in TONES]
    for count, talker in enumerate(talkers, 1):
        talker.source.amplitude = 1.0
        await listener.listen(SETTLED_SECS)
        levels = await wait_clean(listener, *TONES[:count])
    assert max(levels) - min(levels) < 3
