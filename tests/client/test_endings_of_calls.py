"""How calls of clients end and go on: actions of the API, lost connections and media servers, refused joins."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portico.client import (
    AudioFrame,
    EncodedFrame,
    Ended,
    Left,
    Lost,
    Muted,
    Published,
    Rejoined,
    Room,
    RoomEnded,
    RoomFull,
    TokenRefused,
    Tone,
    Unreachable,
)
from portico.simulator.card import Card, read_note
from portico.simulator.network import Network
from tests.client.parts import WITHIN_SECS, client, cut, next_of, until_sound
from tests.gateway.conftest import Rooms
from tests.servers import free_port
from tests.waiting import until


async def act(rooms: Rooms, room_id: str, action: str, **body: Any) -> None:
    """Perform an action on the session of the room."""
    (session,) = [one for one in rooms.sessions(room_id) if one["active"]]
    await asyncio.to_thread(getattr(rooms.rest.rooms.sessions.actions, action), session["id"], **body)


async def test_a_mute_a_kick_and_the_end_are_events_with_their_reasons(rooms: Rooms) -> None:
    room_id = rooms.create()
    async with client(rooms, room_id, "Anna") as anna, client(rooms, room_id, "Ben") as ben:
        await anna.publish(audio=Tone(440))
        events, own = ben.events(), anna.events()
        person = (await next_of(events, Published)).participant
        voice, mix = person.audio(), ben.audio()
        await until_sound(voice, 440)
        await act(rooms, room_id, "mute", participants=[anna.me.id])
        assert (await next_of(events, Muted)).participant is person
        assert (await next_of(own, Muted)).participant is anna.me
        assert person.muted
        await until_sound(mix, 440, there=False)
        await act(rooms, room_id, "unmute", participants=[anna.me.id])
        assert (await next_of(own, Muted)).muted is False
        await until_sound(mix, 440)

        await act(rooms, room_id, "kick", participants=[anna.me.id])
        assert (await next_of(events, Left)).reason == "kicked"
        ended = await next_of(own, Ended)
        assert ended.reason == "kicked"
        with pytest.raises(RoomEnded):
            await anna.send("still here?")
        await act(rooms, room_id, "end")
        ended = await next_of(events, Ended)
        assert (ended.reason, ended.code, ben.ended) == ("ended", 4000, ended)
        with pytest.raises(StopAsyncIteration):
            await anext(events)


RUN = b"one test"


async def contiguous(frames: AsyncIterator[EncodedFrame], *, there: bool = True) -> None:
    """Wait until five pictures have numbers that follow each other, or until one is missing."""
    numbers: list[int] = []
    async with asyncio.timeout(WITHIN_SECS):
        async for frame in frames:
            note = read_note(frame, RUN)
            assert note is not None, "a picture of another origin"
            if numbers and note.number != numbers[-1] + 1:
                if not there:
                    return
                numbers.clear()
            numbers.append(note.number)
            if there and len(numbers) == 5:
                return


async def a_gap(frames: AsyncIterator[AudioFrame]) -> None:
    """Wait for sound whose clock says that some is missing."""
    async with asyncio.timeout(WITHIN_SECS):
        last = await anext(frames)
        async for frame in frames:
            if frame.time - last.time > 0.03:
                return
            last = frame


async def test_a_client_whose_network_loses_packets_and_is_cut_rejoins_and_its_readers_go_on(rooms: Rooms) -> None:
    """Each picture has its number, so that one that is lost is missed; the clock of the sound shows the same."""
    room_id = rooms.create()
    async with client(rooms, room_id, "Anna") as anna, client(rooms, room_id, "Ben") as ben:
        await anna.publish(audio=Tone(440), video=Card("Anna", RUN, 0))
        await ben.publish(audio=Tone(1000))
        events, others = ben.events(), anna.events()
        person = (await next_of(events, Published)).participant
        before = (await next_of(others, Published)).participant
        voice, mix = person.audio(), anna.audio()
        pictures = person.encoded("video")
        await until_sound(voice, 440)
        await contiguous(pictures)
        network = Network(ben, seed=1)
        network.lose(0.3)
        await a_gap(voice)
        await contiguous(pictures, there=False)
        network.recover()
        await contiguous(pictures)
        cut(ben)
        await next_of(events, Lost, reason="lost")
        rejoined = await next_of(events, Rejoined)
        assert rejoined.participant is ben.me
        assert ben.me.id != before.id
        assert ben.participants == [person]
        assert (await next_of(others, Left)).participant is before
        assert (await next_of(others, Published)).participant.name == "Ben"
        await until_sound(voice, 440)
        await until_sound(mix, 1000)
        await contiguous(pictures)


async def test_clients_rejoin_after_their_media_server_was_killed(rooms: Rooms) -> None:
    room_id = rooms.create()
    async with client(rooms, room_id, "Anna") as anna, client(rooms, room_id, "Ben", messages=False) as ben:
        await anna.publish(audio=Tone(440))
        events, mix = ben.events(), ben.audio()
        await until_sound(mix, 440)
        (janus,) = rooms.server.descendants("janus")
        os.kill(janus, signal.SIGKILL)
        lost = await next_of(events, Lost)
        assert lost.code == 4003
        await next_of(events, Rejoined)
        await until_sound(mix, 440)


async def test_a_join_that_is_refused_says_why_by_its_error(rooms: Rooms) -> None:
    room_id = rooms.create(max_participants=2)
    other = rooms.create()
    base_url = rooms.server.base_url
    with pytest.raises(TokenRefused) as refused:
        async with Room.join(base_url, room_id, rooms.token(other)):
            pass
    assert refused.value.code == 4005
    async with client(rooms, room_id, "Anna", messages=False) as anna, client(rooms, room_id, "Ben", messages=False):
        with pytest.raises(RoomFull) as full:
            async with client(rooms, room_id, "Carl", messages=False):
                pass
        assert full.value.code == 4004
        await anna.use_token(rooms.token(room_id))
        with pytest.raises(RoomEnded):
            await anna.use_token("not a token")
        await until(lambda: anna.ended is not None)
        assert anna.ended is not None
        assert (anna.ended.reason, anna.ended.code) == ("token", 4005)
    with pytest.raises(Unreachable):
        async with Room.join(f"http://127.0.0.1:{free_port()}", room_id, "any"):
            pass
