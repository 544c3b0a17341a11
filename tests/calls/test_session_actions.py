"""Actions on a session, as participants of portico.client receive them. What the official SDK shows is in tests/e2e."""

import asyncio

import pytest

from portico.client import JoinError, Left, Muted
from tests.calls.colours import GREEN, RED
from tests.calls.conftest import Call
from tests.calls.person import Person


async def republish(publisher: Person, viewer: Person, tone: int) -> None:
    """Unpublish the stream and publish it again with another tone; wait until the viewer receives that."""
    before = await viewer.stream(publisher)
    await publisher.remove_stream()
    await viewer.expect_unpublished(publisher, before)
    await publisher.publish(tone=tone, colour=GREEN)


async def test_a_kick_with_revocation_keeps_the_victim_out(call: Call) -> None:
    await call.create_room()
    token = await call.token()
    anna, ben = await call.join(token), await call.join()
    await call.act("kick", [anna.id], revoke=True)
    assert (await anna.expect_end()).reason == "kicked"
    with pytest.raises(JoinError):
        await call.join(token)
    await ben.expect_left(anna)
    assert [event.reason for event in ben.happened(Left, anna) if isinstance(event, Left)] == ["kicked"]
    assert ben.room.participants == []
    assert len(await call.participants()) == 2


async def test_no_muted_participant_escapes_by_publishing_again(call: Call) -> None:
    anna, ben = await call.gather(2)
    await anna.publish(tone=440, colour=RED)
    await ben.expect_tones(anna, 440)
    await call.act("mute")
    await ben.expect_muted(anna, True)
    await republish(anna, ben, 700)
    await ben.expect_sight(anna, GREEN)
    await ben.expect_tones(anna)
    await ben.expect_mix()
    await ben.expect_muted(anna, True)
    await anna.expect_muted(anna, True)
    await anna.update(tone=1000, colour=GREEN)
    await ben.expect_sight(anna, GREEN)
    await ben.expect_tones(anna)
    await ben.expect_mix()
    await call.act("unmute")
    await ben.expect_tones(anna, 1000)
    await ben.expect_mix(1000)


async def test_who_joins_later_finds_the_mute(call: Call) -> None:
    anna, ben = await call.gather(2)
    await asyncio.gather(anna.publish(tone=440, colour=RED), ben.publish(tone=1000))
    await anna.stream(ben)  # which is there for newcomers from then on
    await call.act("mute", [anna.id])
    await ben.expect_muted(anna, True)
    cleo = await call.join()
    assert (await cleo.stream(anna)).muted
    assert not (await cleo.stream(ben)).muted
    await cleo.expect_sight(anna, RED)
    await cleo.expect_tones(anna)
    await cleo.expect_mix(1000)
    await call.act("unmute", [anna.id])
    await cleo.expect_muted(anna, False)
    await cleo.expect_tones(anna, 440)
    await cleo.expect_mix(440, 1000)


async def test_a_mute_of_all_but_one_leaves_that_one(call: Call) -> None:
    anna, ben, cleo = await call.gather(3)
    await asyncio.gather(anna.publish(tone=440), ben.publish(tone=1000))
    await cleo.expect_mix(440, 1000)
    await call.act("mute", exclude=[ben.id])
    await cleo.expect_mix(1000)
    assert not ben.happened(Muted, ben)


async def test_a_muted_participant_who_sends_anyway_is_silent_for_the_others(call: Call) -> None:
    """The official SDK takes a censored microphone out of the mix by itself; portico.client goes on sending."""
    anna, ben = await call.gather(2)
    await anna.publish(tone=440, colour=RED)
    await ben.expect_mix(440)  # both ways of hers are open
    await ben.expect_tones(anna, 440)
    await call.act("mute", [anna.id])
    await anna.expect_muted(anna, True)
    await ben.expect_mix()
    await ben.expect_tones(anna)
    sent = await anna.sent()
    await anna.update(tone=1000, colour=RED)
    await ben.expect_sight(anna, RED)
    await ben.expect_mix()
    await ben.expect_tones(anna)
    assert await anna.sent() > sent, "nothing was sent"
    await call.act("unmute", [anna.id])
    await anna.expect_muted(anna, False)
    await ben.expect_mix(1000)
    await ben.expect_tones(anna, 1000)


async def test_deleting_the_room_ends_the_session_and_no_participant_leaves_before(call: Call) -> None:
    people = await call.gather(3)
    await asyncio.gather(people[0].publish(tone=440, colour=RED), people[1].publish(tone=1000))
    await people[2].expect_sight(people[0], RED)
    (session,) = await call.sessions()
    await call.rest.rooms.delete(call.room_id)
    for one in people:
        ended = await one.expect_end()
        assert (ended.reason, ended.code) == ("ended", 4000)
    for one in people:
        assert not [event for event in one.events if isinstance(event, Left)]
    over = (await call.rest.rooms.sessions.retrieve(session.id or "", include_participants=True)).data
    assert over is not None
    assert not over.active
    assert [each.left_at is not None for each in over.participants or []] == [True] * 3
