"""Streams and subscriptions change during a call, and each participant receives exactly what is published for them."""

import asyncio

import pytest

from tests.e2e.conftest import Call
from tests.e2e.person import BLACK, BLUE, GREEN, RED, YELLOW, Person

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _publisher_and_viewer(call: Call) -> tuple[Person, Person]:
    """Anna shows red and sounds 440 Hz; Ben is subscribed to her."""
    anna, ben = await call.gather(2, messages=False)
    await anna.publish(tone=440, colour=RED)
    await ben.wait_for("stream_published", anna.id, "self")
    await ben.subscribe(anna)
    await ben.expect_sight(anna, RED)
    await ben.expect_tones(anna, 440)
    return anna, ben


async def test_camera_is_dropped_and_restored(call: Call) -> None:
    anna, ben = await _publisher_and_viewer(call)
    await anna.update(tone=440)
    await ben.wait_for("track_disabled", anna.id, "self", "video")
    assert not (await ben.stream(anna))["isVideoEnabled"]
    await ben.expect_sight(anna, BLACK)
    await ben.expect_tones(anna, 440)
    mark = len(ben.events)
    await anna.update(tone=440, colour=BLUE)
    await ben.wait_for("track_enabled", anna.id, "self", "video", since=mark)
    await ben.expect_sight(anna, BLUE)


async def test_microphone_is_muted_and_unmuted(call: Call) -> None:
    anna, ben = await _publisher_and_viewer(call)
    await anna.update(colour=RED)
    await ben.wait_for("track_disabled", anna.id, "self", "audio")
    await ben.expect_tones(anna)
    await ben.expect_mix()
    await ben.expect_sight(anna, RED)
    await anna.update(tone=1000, colour=RED)
    await ben.wait_for("track_enabled", anna.id, "self", "audio")
    await ben.expect_tones(anna, 1000)
    await ben.expect_mix(1000)


async def test_second_stream_comes_and_goes(call: Call) -> None:
    anna, ben = await _publisher_and_viewer(call)
    await anna.publish("screen", colour=YELLOW)
    await ben.wait_for("stream_published", anna.id, "screen")
    await ben.subscribe(anna, "screen")
    await ben.expect_sight(anna, YELLOW, "screen")
    await ben.expect_sight(anna, RED)
    await anna.remove_stream("screen")
    await ben.wait_for("stream_unpublished", anna.id, "screen")
    assert (await ben.roster())[anna.id]["streams"] == ["self"]
    await ben.expect_sight(anna, RED)
    await ben.expect_tones(anna, 440)


async def test_stream_is_removed_and_published_again(call: Call) -> None:
    anna, ben = await _publisher_and_viewer(call)
    await anna.remove_stream()
    await ben.wait_for("stream_unpublished", anna.id, "self")
    await ben.expect_mix()
    mark = len(ben.events)
    await anna.publish(tone=700, colour=GREEN)
    await ben.wait_for("stream_published", anna.id, "self", since=mark)
    await ben.subscribe(anna)
    await ben.expect_sight(anna, GREEN)
    await ben.expect_tones(anna, 700)
    await ben.expect_mix(700)


async def test_subscription_without_audio_gets_none(call: Call) -> None:
    anna, ben = await call.gather(2, messages=False)
    await anna.publish(tone=440, colour=RED)
    await ben.wait_for("stream_published", anna.id, "self")
    await ben.subscribe(anna, audio=False)
    await ben.expect_sight(anna, RED)
    await ben.expect_only("video", anna)
    assert (await ben.packets(anna)).audio == 0
    await ben.update_subscription(anna, audio=True, video=True)
    await ben.expect_tones(anna, 440)


async def test_subscription_without_video_gets_none(call: Call) -> None:
    anna, ben = await call.gather(2, messages=False)
    await anna.publish(tone=440, colour=RED)
    await ben.wait_for("stream_published", anna.id, "self")
    await ben.subscribe(anna, video=False)
    await ben.expect_tones(anna, 440)
    assert (await ben.packets(anna)).video == 0
    await ben.update_subscription(anna, audio=True, video=True)
    await ben.expect_sight(anna, RED)


async def test_updated_subscription_stops_and_resumes_the_packets(call: Call) -> None:
    anna, ben = await _publisher_and_viewer(call)
    await ben.update_subscription(anna, audio=False, video=True)
    await ben.expect_only("video", anna)
    await ben.update_subscription(anna, audio=True, video=False)
    await ben.expect_only("audio", anna)
    await ben.update_subscription(anna, audio=True, video=True)
    await ben.expect_sight(anna, RED)
    await ben.expect_tones(anna, 440)


async def test_subscription_is_removed_and_made_again(call: Call) -> None:
    anna, ben = await _publisher_and_viewer(call)
    await ben.unsubscribe(anna)
    await ben.subscribe(anna)
    await ben.expect_sight(anna, RED)
    await ben.expect_tones(anna, 440)


async def test_publisher_leaves_after_a_removed_subscription(call: Call) -> None:
    """The SDK then detaches the same handle twice, and waits for ever if the second is an error (signaling, 4.9)."""
    anna, ben = await _publisher_and_viewer(call)
    await ben.unsubscribe(anna)
    await anna.leave()
    await ben.wait_for("stream_unpublished", anna.id, "self")
    await ben.wait_for("participant_left", anna.id)


async def test_browsers_turn_their_pictures_themselves(call: Call) -> None:
    """A phone could leave the rotation to the receiver; recordings and compositions would then lie on their side."""
    anna = await call.join()
    await anna.publish(colour=RED)
    orientation = "urn:3gpp:video-orientation"
    videos = [(ours, theirs) for ours, theirs in await anna.descriptions() if "m=video" in ours]
    assert videos and all(orientation in ours and orientation not in theirs for ours, theirs in videos)


async def test_latecomer_finds_what_is_there(call: Call) -> None:
    anna, ben = await _publisher_and_viewer(call)
    await ben.publish(tone=1000)
    await anna.wait_for("stream_published", ben.id, "self")  # which is there for newcomers from then on
    cleo = await call.join(messages=False)
    roster = await cleo.roster()  # the SDK fires no event for what was there at its own arrival
    assert roster[anna.id]["streams"] == roster[ben.id]["streams"] == ["self"]
    await cleo.subscribe(anna)
    await cleo.expect_sight(anna, RED)
    await cleo.expect_mix(440, 1000)


async def test_subscribing_to_a_stream_that_has_just_gone_settles(call: Call) -> None:
    """Whatever the order of the two: the promise settles, Ben receives the end, and can go on using the room."""
    anna, ben = await call.gather(2, messages=False)

    async def remove_after(secs: float) -> None:
        await asyncio.sleep(secs)
        await anna.remove_stream()

    for pause in (0, 0, 0.02, 0.04, 0.06, 0.1):
        mark = len(ben.events)
        await anna.publish(colour=RED)
        await ben.wait_for("stream_published", anna.id, "self", since=mark)
        gone, subscribed = await asyncio.gather(remove_after(pause), ben.subscribe(anna), return_exceptions=True)
        assert gone is None, gone
        assert "had not settled" not in str(subscribed), ben.diary()
        await ben.wait_for("stream_unpublished", anna.id, "self", since=mark)
        started = len(ben.happened("subscription_started", anna.id, "self", since=mark))
        assert started == (subscribed is None), f"{subscribed}\n{ben.diary()}"
        assert len(ben.happened("subscription_ended", anna.id, "self", since=mark)) == started, ben.diary()
    assert not ben.happened("console_error") + ben.happened("page_error"), ben.diary()
    mark = len(ben.events)
    await anna.publish(tone=440, colour=GREEN)
    await ben.wait_for("stream_published", anna.id, "self", since=mark)
    await ben.subscribe(anna)
    await ben.expect_sight(anna, GREEN)
    await anna.leave()
    await ben.wait_for("participant_left", anna.id)
