"""What the API does to people in a call, and what their tokens allow, as official SDKs in Chromium live through it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Route

from tests.e2e.conftest import Call
from tests.e2e.person import GREEN, RED, Person
from tests.gateway.browser import SignalingBrowser

pytestmark = pytest.mark.asyncio(loop_scope="session")

OUT_WITHIN_SECS = 1.0
"""From the answer of `kick` until the server sends the others the leave, without the time of their pages."""


async def act(call: Call, action: str, participants: Any = "all", **members: Any) -> float:
    """Perform an action on the session that goes on; the instant of its answer."""
    (session,) = [session for session in await call.sessions() if session.active]
    perform = getattr(call.rest.rooms.sessions.actions, action)
    answer = await perform(session.id or "", participants=participants, extra_body=members)
    assert answer.data is not None
    assert answer.data.result == "ok"
    return time.monotonic()


def unharmed(*people: Person) -> None:
    """No exception went unhandled in any page."""
    for person in people:
        assert not person.happened("page_error"), person.diary()


async def subscribed(viewer: Person, to: Person, key: str = "self") -> None:
    """The viewer sees the other's stream from now on; the SDK fires no event for one that was there before."""
    if key not in (await viewer.roster())[to.id]["streams"]:
        await viewer.wait_for("stream_published", to.id, key)
    await viewer.subscribe(to, key)


@contextlib.asynccontextmanager
async def witness(call: Call) -> AsyncIterator[SignalingBrowser]:
    """A participant without a page, who receives the server's messages at once, however busy the browser is."""
    async with SignalingBrowser(call.server, call.room_id, await call.token()) as browser:
        await browser.join()
        yield browser


async def kicked_out(call: Call, victim: Person, observer: SignalingBrowser) -> None:
    """Kick a participant with one stream; the server reports the end of the stream in time."""

    async def unpublished_at() -> float:
        await observer.receives("unpublished")
        return time.monotonic()

    async with asyncio.TaskGroup() as group:
        unpublished = group.create_task(unpublished_at())
        answered = await act(call, "kick", [victim.id])
    assert unpublished.result() - answered < OUT_WITHIN_SECS


@contextlib.asynccontextmanager
async def stuck(person: Person) -> AsyncIterator[None]:
    """Meanwhile the page's own thread waits for an answer, however long that takes, and does nothing else."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def keep_waiting(route: Route) -> None:
        asked.set()
        await answer.wait()
        await route.fulfill(body="")

    await person.page.route("**/stuck", keep_waiting)
    wait = """() => {
        const request = new XMLHttpRequest();
        request.open("GET", "/stuck", false);
        request.send();
    }"""
    waiting = asyncio.ensure_future(person.page.evaluate(wait))
    try:
        async with asyncio.timeout(10):
            await asked.wait()
        yield
        assert not waiting.done(), "the page did not wait"
    finally:
        answer.set()
        await waiting


# Kicking.


async def test_all_browsers_receive_a_kick_and_the_call_of_the_others_goes_on(call: Call) -> None:
    anna, ben, cleo = await call.gather(3, messages=False)
    await asyncio.gather(anna.publish(tone=440, colour=RED), ben.publish(tone=1000, colour=GREEN))
    await asyncio.gather(subscribed(cleo, anna), subscribed(cleo, ben))
    await cleo.expect_mix(440, 1000)
    async with witness(call) as observer:
        await kicked_out(call, anna, observer)
    for one in (anna, ben, cleo):
        await one.wait_for("participant_leaving", anna.id, "kicked")
    for other in (ben, cleo):
        await other.wait_for("participant_left", anna.id)
        await other.wait_for("stream_unpublished", anna.id, "self")
    await anna.wait_for("disconnected")
    await cleo.expect_mix(1000)
    await cleo.expect_sight(ben, GREEN)
    await ben.wait_for("participant_left", observer.participant_id)
    assert set(await ben.roster()) == {ben.id, cleo.id}
    assert not ben.happened("disconnected")
    unharmed(anna, ben, cleo)
    assert await call.has_left(anna)
    again = await call.join(messages=False)
    await ben.wait_for("participant_joined", again.id)


async def test_a_page_that_hangs_is_out_within_a_second_all_the_same(call: Call) -> None:
    """Its media goes on by itself: Chromium sends what the audio thread plays while the page's own thread is stuck."""
    anna, ben = await call.gather(2, messages=False)
    await anna.publish(tone=440, colour=RED)
    await ben.expect_mix(440)
    async with witness(call) as observer, stuck(anna):
        await ben.expect_mix(440)
        await kicked_out(call, anna, observer)
        await ben.wait_for("participant_left", anna.id)
        await ben.wait_for("stream_unpublished", anna.id, "self")
        await ben.expect_mix()
        assert not anna.happened("participant_leaving"), "the page was not stuck"


# Muting.


async def test_a_mute_silences_both_paths_until_it_is_taken_back(call: Call) -> None:
    anna, ben, cleo = await call.gather(3, messages=False)
    await asyncio.gather(anna.publish(tone=440, colour=RED), ben.publish(tone=1000))
    await subscribed(cleo, anna)
    await cleo.expect_tones(anna, 440)
    await cleo.expect_mix(440, 1000)
    await act(call, "mute", [anna.id])
    for one in (anna, ben, cleo):
        await one.wait_for("track_censored", anna.id, "self", "audio")
        assert (await one.stream(anna))["isAudioCensored"]
    await cleo.expect_mix(1000)
    await cleo.expect_tones(anna)
    await ben.expect_mix()
    await cleo.expect_sight(anna, RED)
    assert not cleo.happened("track_censored", ben.id)
    await act(call, "unmute", [anna.id])
    for one in (anna, ben, cleo):
        await one.wait_for("track_uncensored", anna.id, "self", "audio")
        assert not (await one.stream(anna))["isAudioCensored"]
    await cleo.expect_mix(440, 1000)
    await cleo.expect_tones(anna, 440)
    unharmed(anna, ben, cleo)


async def test_a_mute_holds_for_streams_that_are_published_later(call: Call) -> None:
    anna, ben = await call.gather(2, messages=False)
    await act(call, "mute", [anna.id])
    await anna.publish(tone=440, colour=RED)
    await subscribed(ben, anna)
    await ben.expect_sight(anna, RED)
    await ben.expect_tones(anna)
    await anna.publish("second", tone=1000, colour=GREEN)
    await subscribed(ben, anna, "second")
    await ben.expect_sight(anna, GREEN, "second")
    await ben.expect_tones(anna, key="second")
    await ben.expect_mix()
    for key in ("self", "second"):
        for one in (anna, ben):
            assert (await one.stream(anna, key))["isAudioCensored"], f"{key} at {one.diary()}"
    await act(call, "unmute")
    for one in (anna, ben):
        await one.wait_for("track_uncensored", anna.id, "self", "audio")
        await one.wait_for("track_uncensored", anna.id, "second", "audio")
    await ben.expect_tones(anna, 440)
    await ben.expect_tones(anna, 1000, key="second")
    await ben.expect_mix(440, 1000)
    unharmed(anna, ben)


# Ending.


async def test_the_sdk_reports_the_end_of_a_session_and_nothing_else(call: Call) -> None:
    people = await call.gather(3)
    await asyncio.gather(people[0].publish(tone=440, colour=RED), people[1].publish(tone=1000))
    await subscribed(people[2], people[0])
    await people[2].expect_sight(people[0], RED)
    (session,) = await call.sessions()
    await call.rest.rooms.sessions.actions.end(session.id or "")
    for one in people:
        await one.wait_for("disconnected", "session_terminated")
    for one in people:
        assert not one.happened("participant_left"), one.diary()
        assert not one.happened("console_error"), one.diary()
    unharmed(*people)
    over = (await call.rest.rooms.sessions.retrieve(session.id or "", include_participants=True)).data
    assert over is not None
    assert not over.active
    assert [each.left_at is not None for each in over.participants or []] == [True] * 3
    again = await call.join()
    assert list(await again.roster()) == [again.id]


# What tokens allow.


async def join_with(call: Call, *, messages: bool = False, **permissions: bool) -> Person:
    """A person whose token permits less; the room exists already."""
    token = await call.token(extra_body=permissions)
    return await (await call.newcomer()).join(call.room_id, token, messages=messages)


async def test_without_can_publish_a_participant_receives_and_does_not_send(call: Call) -> None:
    await call.create_room()
    anna = await join_with(call, can_publish=False)
    ben, cleo = await call.join(messages=False), await call.join(messages=False)
    await ben.publish(tone=1000, colour=GREEN)
    await subscribed(anna, ben)
    await anna.expect_sight(ben, GREEN)
    await anna.expect_tones(ben, 1000)
    await anna.expect_mix(1000)
    await anna.smuggle(440)
    sent, _ = await anna.traffic()
    await cleo.expect_mix(1000)
    await ben.expect_mix()
    assert (await anna.traffic())[0] > sent, "nothing was sent"
    unharmed(anna, ben, cleo)
    anna.start("publish", "self", {"tone": 440})
    await anna.wait_for("disconnected", "unknown")
    await ben.wait_for("participant_left", anna.id)
    assert not ben.happened("stream_published", anna.id)


async def test_without_can_subscribe_a_participant_sends_and_does_not_receive(call: Call) -> None:
    await call.create_room()
    anna = await join_with(call, can_subscribe=False)
    ben = await call.join(messages=False)
    await anna.publish(tone=440, colour=RED)
    await ben.publish(tone=1000, colour=GREEN)
    await subscribed(ben, anna)
    await ben.expect_sight(anna, RED)
    await ben.expect_tones(anna, 440)
    await ben.expect_mix(440)
    cleo = await call.join(messages=False)
    await cleo.expect_mix(440, 1000)
    await anna.expect_mix()
    assert (await anna.traffic())[1] == 0
    unharmed(anna, ben, cleo)
    anna.start("subscribe", ben.id, "self", {"audio": True, "video": True})
    await anna.wait_for("disconnected", "unknown")
    await ben.wait_for("participant_left", anna.id)


async def test_without_can_send_messages_a_participant_neither_sends_nor_receives_messages(call: Call) -> None:
    await call.create_room()
    ben, cleo = await call.join(), await call.join()
    anna = await join_with(call, messages=True, can_send_messages=False)
    await ben.wait_for("participant_joined", anna.id)
    roster = await ben.roster()
    assert not roster[anna.id]["canReceiveMessages"]
    assert roster[cleo.id]["canReceiveMessages"]
    anna.start("send", {"type": "text", "payload": "let me in"}, None)
    await ben.publish(tone=1000)
    await anna.expect_mix(1000)
    await ben.send("Are you there?")
    await cleo.wait_for("message_received", ben.id, {"type": "text", "payload": "Are you there?"})
    for one in (ben, cleo):
        assert not one.happened("message_received", anna.id), one.diary()
    assert not anna.happened("message_received"), anna.diary()
    unharmed(anna, ben, cleo)
