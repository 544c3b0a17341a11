"""A room whose participants are on two servers, each with its own Janus: one session, on one node, exact limits."""

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from portico.gateway.seats import ANSWER_SECS
from portico.signaling.effects import CloseCode
from tests.cluster.cluster import Cluster
from tests.gateway.browser import Refused, SignalingBrowser
from tests.gateway.test_seats import SLACK_SECS, ghost_of
from tests.gateway.test_session_actions import mixer, muted_in_the_mix
from tests.signaling.conversation import VIDEOROOM, stream_display
from tests.waiting import until_in_thread

pytestmark = pytest.mark.one_janus

CONTROL_SECS = 0.5
"""Within which a change reaches every socket; a machine that is busy with other tests may take longer."""


def act(cluster: Cluster, server: int, room: str, verb: str) -> None:
    """What the API does to the room, or to all participants of its session, through this server."""
    rooms = cluster.rooms[server]
    if verb == "delete":
        rooms.rest.rooms.delete(room)
        return
    (session,) = [one for one in rooms.sessions(room) if one["active"]]
    actions = rooms.rest.rooms.sessions.actions
    if verb == "end":
        actions.end(session["id"])
    elif verb == "revoke":
        actions.kick(session["id"], participants="all", extra_body={"revoke": True})
    else:
        getattr(actions, verb)(session["id"], participants="all")


async def test_participants_of_two_servers_are_in_one_session_on_one_node(cluster: Cluster, room: str) -> None:
    one, other = cluster.rooms
    async with one.browser(room) as anna, other.browser(room) as ben:
        assert (await anna.join())["participants"] == []
        assert len((await ben.join())["participants"]) == 1
        await anna.receives("participants")  # Janus announces Ben to her
        (session,) = one.sessions(room)
        people = other.participants(room)
        assert {each["id"] for each in people} == {anna.participant_id, ben.participant_id}
        assert {each["session_id"] for each in people} == {session["id"]}
        holders = "SELECT count(*) FROM media_room_holders JOIN media_rooms ON id = media_room_id WHERE room_id = %s"
        assert cluster.query(holders, room) == [(2,)]
        await ben.leave()
        await anna.receives("leaving")
        assert (await anna.ask("keepalive"))["janus"] == "ack"
        await until_in_thread(lambda: cluster.query(holders, room) == [(1,)])


async def test_a_stream_id_has_one_owner_whatever_server_its_publisher_uses(cluster: Cluster, room: str) -> None:
    one, other = cluster.rooms
    async with one.browser(room) as anna, other.browser(room) as ben:
        await anna.join()
        await ben.join()

        async def publish(browser: SignalingBrowser, display: str) -> dict[str, Any]:
            handle = await browser.attach(VIDEOROOM)
            return await browser.request(
                handle, {"request": "join", "room": room, "ptype": "publisher", "display": display}
            )

        display = stream_display("self", anna.participant_id)
        assert (await publish(anna, display))["videoroom"] == "joined"
        with pytest.raises(Refused, match="stream id is another participant's"):
            await publish(ben, display_of(display, ben.participant_id))


def display_of(display: str, participant_id: str) -> str:
    """The display with another participant, and the stream id as it is."""
    import base64
    import json

    content = json.loads(base64.b64decode(display))
    return base64.b64encode(json.dumps({**content, "participantId": participant_id}).encode()).decode()


async def test_a_half_open_socket_of_one_server_gives_its_seat_to_its_holder_on_the_other(cluster: Cluster) -> None:
    room = cluster.rooms[0].create(max_participants=2)
    token = cluster.rooms[0].token(room)
    lost = cluster.rooms[0].browser(room, token=token, answers_pings=False)
    async with (
        ghost_of(lost) as ghost,
        cluster.rooms[0].browser(room, token=token) as ben,
        cluster.rooms[1].browser(room) as cleo,
        cluster.rooms[1].browser(room, token=token) as back,
        cluster.rooms[1].browser(room, token=token) as late,
    ):
        await ben.join()
        with pytest.raises(Refused, match="full"):
            await cleo.join()  # another holder's token
        assert not ghost.closed.is_set()
        begun = time.monotonic()
        await back.join()
        assert time.monotonic() - begun < ANSWER_SECS + SLACK_SECS
        await ben.receives("leaving")
        begun = time.monotonic()
        with pytest.raises(Refused, match="full"):
            await late.join()  # all of this token answer their pings
        assert time.monotonic() - begun < ANSWER_SECS
        left = dict(cluster.query("SELECT id::text, left_reason FROM room_participants WHERE room_id = %s", room))
        assert left == {ghost.participant_id: "timeout", ben.participant_id: None, back.participant_id: None}
        assert not ben.closed.is_set() and not back.closed.is_set()
    await cluster.settles(room)


async def test_many_joins_race_for_few_seats_through_two_servers(cluster: Cluster) -> None:
    seats, racers = 10, 200
    room = cluster.rooms[0].create(max_participants=seats)
    tokens = [cluster.rooms[0].token(room) for _ in range(20)]
    joined: list[str] = []
    refused: list[tuple[int, str]] = []
    over = asyncio.Event()

    async def race(number: int) -> None:
        async with cluster.rooms[number % 2].browser(room, token=tokens[number % 20]) as browser:
            try:
                await browser.join()
                joined.append(browser.participant_id)
            except Refused as refusal:
                refused.append((refusal.status, str(refusal)))
            if len(joined) + len(refused) == racers:
                over.set()
            await over.wait()

    async with asyncio.timeout(120), asyncio.TaskGroup() as race_of_all:
        for number in range(racers):
            race_of_all.create_task(race(number))
    assert len(joined) == seats
    assert {status for status, _ in refused} == {403}, set(refused)
    await cluster.settles(room)


@pytest.mark.parametrize(
    ("verb", "code", "secs_of_its_own"),
    [
        ("end", CloseCode.SESSION_ENDED, 0.0),
        ("delete", CloseCode.SESSION_ENDED, 0.0),
        ("kick", CloseCode.REMOVED, 0.6),
        ("revoke", CloseCode.REMOVED, 0.6),
    ],
)
async def test_a_change_through_one_server_reaches_sockets_of_the_other(
    cluster: Cluster, room: str, verb: str, code: CloseCode, secs_of_its_own: float
) -> None:
    async with cluster.rooms[0].browser(room) as anna, cluster.rooms[1].browser(room) as ben:
        await anna.join()
        await ben.join()
        await asyncio.to_thread(act, cluster, 0, room, verb)
        answered = time.monotonic()
        async with asyncio.timeout(20):
            await asyncio.gather(anna.closed.wait(), ben.closed.wait())
        assert {anna.close_code, ben.close_code} == {code}
        assert ben.closed_at - answered < secs_of_its_own + CONTROL_SECS
        print(f"{verb}: closed on the other server after {ben.closed_at - answered:.3f} s")
        if verb == "revoke":
            async with cluster.rooms[1].browser(room, token=ben.token) as back:
                with pytest.raises(Refused, match="revoked"):
                    await back.join()


async def test_a_mute_through_one_server_reaches_the_mix_through_the_other(cluster: Cluster, room: str) -> None:
    async with cluster.rooms[0].browser(room) as anna, cluster.rooms[1].browser(room) as ben:
        await anna.join()
        await ben.join()
        await mixer(ben)
        for verb, wanted in (("mute", True), ("unmute", False)):
            await asyncio.to_thread(act, cluster, 0, room, verb)
            answered = time.monotonic()
            async with asyncio.timeout(20):
                while await muted_in_the_mix(anna, ben) is not wanted:
                    await asyncio.sleep(0.02)
            took = time.monotonic() - answered
            print(f"{verb}: in the mix after {took:.3f} s")
            assert took < CONTROL_SECS


async def test_a_janus_that_is_killed_ends_the_calls_of_both_servers_and_they_are_joined_again(
    cluster: Cluster, room: str
) -> None:
    async with cluster.rooms[0].browser(room) as anna, cluster.rooms[1].browser(room) as ben:
        await anna.join()
        await ben.join()
        lost = cluster.server_of(room)
        (janus,) = lost.descendants("janus")
        os.kill(janus, signal.SIGKILL)
        begun = time.monotonic()
        async with asyncio.timeout(20):
            await asyncio.gather(anna.closed.wait(), ben.closed.wait())
        assert {anna.close_code, ben.close_code} == {CloseCode.MEDIA_LOST}
    async with cluster.rooms[0].browser(room) as anna, cluster.rooms[1].browser(room) as ben:
        await anna.join()
        assert len((await ben.join())["participants"]) == 1
        assert time.monotonic() - begun < 15
    kinds = [(kind, payload.get("left_reason")) for kind, payload in cluster.events(room)]
    assert kinds.count(("participant.left", "media_lost")) == 2
    # It is up again before the next test.
    await until_in_thread(lambda: cluster.query("SELECT count(*) FROM media_nodes WHERE is_up") == [(2,)], 30)
