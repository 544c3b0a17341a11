"""The bots of examples/, as their users start them, in calls with participants of portico.client."""

import asyncio
import contextlib
import signal
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from portico.client import Room, Tone
from tests.client.ear import Ear
from tests.gateway.conftest import Rooms
from tests.gateway.media_peer import RATE, level
from tests.servers import PorticoServer
from tests.waiting import until

EXAMPLES = Path(__file__).parents[2] / "examples"
ENDS_WITHIN_SECS = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    """A server with one version of Janus: bots do not depend on it."""
    with portico(tmp_path_factory.mktemp("examples") / "data") as server:
        yield server


def person(rooms: Rooms, room_id: str, name: str) -> Room:
    return Room.join(rooms.server.base_url, room_id, rooms.token(room_id), context={"name": name})


@contextlib.asynccontextmanager
async def example(name: str, rooms: Rooms, room_id: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the program while the block runs; Ctrl-C ends it, if it runs still. It must end without an error."""
    command = (str(EXAMPLES / name), rooms.server.base_url, room_id, rooms.token(room_id), *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=pipe, stderr=pipe)
    try:
        yield process
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(ENDS_WITHIN_SECS):
            _, errors = await process.communicate()
        assert (process.returncode, errors.decode()) == (0, "")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_echo_bot_repeats_what_it_receives(rooms: Rooms) -> None:
    """Anna's mix is without her own voice: what she receives of it is the echo."""
    room_id, voice = rooms.create(), Tone(440)
    async with person(rooms, room_id, "Anna") as anna, Ear(anna.audio(), 440) as ear:
        await anna.publish(audio=voice)
        async with example("echo_bot.py", rooms, room_id):
            await ear.expect(440)
            voice.amplitude = 0.0
            silent = asyncio.get_running_loop().time()
            assert await ear.expect_end(440) - silent > 0.9
        await until(lambda: not anna.participants, what="the bot leaves at Ctrl-C")


async def test_the_recorder_writes_what_each_participant_says_to_an_own_file(rooms: Rooms, tmp_path: Path) -> None:
    room_id = rooms.create()
    async with person(rooms, room_id, "../Anna") as anna, person(rooms, room_id, "Ben") as ben:
        await anna.publish(audio=Tone(440))
        await ben.publish(audio=Tone(1000))
        async with example("record_speakers.py", rooms, room_id, str(tmp_path)) as recorder:
            files = [tmp_path / "___Anna-1.wav", tmp_path / "Ben-1.wav"]
            await until(lambda: all(file.exists() and file.stat().st_size > 3 * RATE for file in files))
            (session,) = rooms.sessions(room_id)
            rooms.rest.rooms.sessions.actions.end(session["id"])
            async with asyncio.timeout(ENDS_WITHIN_SECS):
                await recorder.wait()
    assert sorted(tmp_path.iterdir()) == sorted(files)
    for file, own, other in zip(files, (440, 1000), (1000, 440), strict=True):
        with wave.open(str(file)) as wav:
            assert (wav.getframerate(), wav.getnchannels()) == (RATE, 1)
            assert wav.getnframes() > RATE
            samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2") / 32768
        assert level(samples[RATE // 2 :], own) > -20
        assert level(samples[RATE // 2 :], other) < -50


async def test_the_player_plays_a_file_and_leaves(rooms: Rooms, tmp_path: Path) -> None:
    room_id, file = rooms.create(), tmp_path / "tone.wav"
    sound = np.sin(2 * np.pi * 700 * np.arange(2 * RATE) / RATE) * 0.3 * 32767
    with wave.open(str(file), "wb") as wav:
        wav.setparams((1, 2, RATE, 0, "NONE", ""))
        wav.writeframes(sound.astype("<i2").tobytes())
    async with person(rooms, room_id, "Anna") as anna, Ear(anna.audio(), 700) as ear:
        async with example("play_file.py", rooms, room_id, str(file)) as player:
            began = await ear.expect(700)
            async with asyncio.timeout(ENDS_WITHIN_SECS):
                await player.wait()
        assert 1.5 < await ear.expect_end(700) - began < 2.5
        await until(lambda: not anna.participants, what="the player leaves")
