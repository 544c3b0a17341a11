"""A call of three: each receives the video and audio of the others, in Chromium with real media."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import av
import numpy as np
import pytest

from portico.client import Message, Picture, Rejoined, Room, Tone, VideoFrame
from tests.client.parts import cut, next_of, until_sound
from tests.e2e.conftest import Call
from tests.e2e.meeting import enter, expect_moving
from tests.e2e.person import BLUE, GREEN, RED, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_three_participants_receive_each_others_video_and_audio(call: Call) -> None:
    people = await call.gather(3)
    tones, colours = (440, 1000, 1700), (RED, GREEN, BLUE)
    for person, tone, colour in zip(people, tones, colours, strict=True):
        await person.publish(tone=tone, colour=colour)
    pairs = [(one, other) for one in people for other in people if one is not other]
    for one, other in pairs:
        await one.wait_for("stream_published", other.id, "self")
        await one.subscribe(other)
    for one, other in pairs:
        await one.expect_sight(other, colours[people.index(other)])
        await one.expect_tones(other, tones[people.index(other)])
    for one in people:
        await one.expect_mix(*(tone for person, tone in zip(people, tones, strict=True) if person is not one))
        assert not one.happened("page_error"), one.diary()


async def test_context_reaches_the_others_and_the_api(call: Call) -> None:
    await call.create_room()
    anna = await call.join(context='{"username": "Änna"}')
    ben = await call.join(context="plain text")
    await anna.wait_for("participant_joined", ben.id)
    assert (await ben.roster())[anna.id]["context"] == '{"username": "Änna"}'
    assert (await anna.roster())[ben.id]["context"] == "plain text"
    listed = await call.participants()
    assert {id: one.context for id, one in listed.items()} == {anna.id: '{"username": "Änna"}', ben.id: "plain text"}


async def test_four_loud_talkers_do_not_wrap_around(call: Call) -> None:
    people, tones = await call.gather(5, messages=False), (500, 700, 900, 1300)
    await asyncio.gather(*(person.publish(tone=tone, gain=1.0) for person, tone in zip(people, tones, strict=False)))
    await people[4].expect_mix(*tones)
    await people[0].expect_mix(*tones[1:])


async def test_simulcast_reaches_a_viewer(call: Call) -> None:
    anna, ben = await call.gather(2)
    await anna.publish(tone=440, colour=GREEN, simulcast=True)
    await ben.wait_for("stream_published", anna.id, "self")
    await ben.subscribe(anna)
    await ben.expect_sight(anna, GREEN)
    await ben.expect_tones(anna, 440)


async def test_without_messages_media_works_all_the_same(call: Call) -> None:
    await call.create_room()
    anna, ben = await call.join(messages=False), await call.join(messages=False)
    await anna.publish(tone=440, colour=RED)
    await ben.wait_for("stream_published", anna.id, "self")
    await ben.subscribe(anna)
    await ben.expect_sight(anna, RED)
    await ben.expect_mix(440)


def _picture(colour: tuple[int, int, int]) -> Picture:
    """A camera of one colour, with each picture's number in binary along its upper edge: white squares are ones."""

    def draw(number: int, time: float) -> av.VideoFrame:
        pixels = np.full((180, 320, 3), colour, dtype=np.uint8)
        for bit in range(8):
            pixels[:22, bit * 40 : bit * 40 + 40] = 255 if number & 128 >> bit else 0
        return av.VideoFrame.from_ndarray(pixels, format="rgb24")

    return Picture(320, 180, 10, draw)


async def _sees(frames: AsyncIterator[VideoFrame], colour: tuple[int, int, int]) -> VideoFrame:
    """The next picture that has this colour in its middle."""
    async with asyncio.timeout(40):
        async for frame in frames:
            pixels = frame.image.to_ndarray(format="rgb24")
            middle = pixels[frame.height // 2, frame.width // 2].astype(int)
            if np.abs(middle - colour).max() < 60:
                return frame
    raise AssertionError(f"no picture of {colour}")


async def test_a_client_from_code_the_sdk_and_the_meeting_page_are_in_one_room(call: Call) -> None:
    found = re.search(r"http://\S+/meet/([0-9a-f-]{36})#\S+", call.server.log)
    assert found, call.server.log
    call.room_id = found[1]
    page = await enter(call, found[0], "Anna")
    cleo = await call.join(context='{"username": "Cleo"}')
    await cleo.publish(tone=440, colour=GREEN, simulcast=True)
    token = await call.token()
    try:
        async with Room.join(call.server.base_url, call.room_id, token, context={"username": "Dora"}) as dora:
            await dora.publish(audio=Tone(1700), video=_picture(RED))
            seen = cast(Person, SimpleNamespace(id=dora.me.id, name="Dora"))
            await cleo.perceive(seen, colour=RED, tone=1700)
            numbers = await cleo.numbers(seen)
            steps = [(later - number) & 255 for number, later in itertools.pairwise(numbers)]
            assert len(steps) >= 5 and all(step < 128 for step in steps), numbers
            await expect_moving(page.locator(f'[data-testid=tile][data-participant-id="{dora.me.id}"]'))

            (person,) = [one for one in dora.participants if one.id == cleo.id]
            await until_sound(person.audio(), 440)
            await until_sound(dora.audio(), 440)
            whole = await _sees(person.video(), GREEN)
            async with asyncio.timeout(40):
                async for small in person.video(layer=1):
                    if small.width < whole.width:
                        break
            assert person.streams["self"].layers == 3
            assert {one.name for one in dora.participants} == {"Anna", "Cleo"}
            await dora.share_screen(_picture(BLUE))
            await cleo.perceive(seen, colour=BLUE, key="presentation")

            events = dora.events()
            await cleo.send("hello")
            assert (await next_of(events, Message)).participant is person
            await dora.send("and to you")
            assert "and to you" in str((await cleo.wait_for("message_received", dora.me.id)).args)
            before = dora.me.id
            cut(dora)
            await next_of(events, Rejoined)
            await cleo.wait_for("participant_left", before)
            seen.id = dora.me.id
            await cleo.perceive(seen, colour=RED, tone=1700)
        await cleo.wait_for("participant_left", dora.me.id)
        assert not cleo.happened("page_error"), cleo.diary()
    finally:
        await page.context.close()
