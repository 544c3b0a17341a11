"""A call of three: each receives the video and audio of the others, in Chromium with real media."""

import asyncio

import pytest

from tests.e2e.conftest import Call
from tests.e2e.person import BLUE, GREEN, RED

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
