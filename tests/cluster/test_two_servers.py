"""A room whose participants are on two servers, each with its own Janus: one session, on one node, exact limits."""

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from portico.signaling.effects import CloseCode
from tests.cluster.conftest import Cluster
from tests.gateway.browser import Refused, SignalingBrowser
from tests.signaling.conversation import VIDEOROOM, stream_display
from tests.waiting import until_in_thread

pytestmark = pytest.mark.one_janus

CONTROL_SECS = 0.5
"""Within which a change reaches every socket; a machine that is busy with other tests may take longer."""


def act(cluster: Cluster, server: int, room: str, verb: str) -> None:
    """What the API does to all participants of the room's session, through this server."""
    rooms = cluster.rooms[server]
    (session,) = [one for one in rooms.sessions(room) if one["active"]]
    actions = rooms.rest.rooms.sessions.actions
    if verb == "end":
        actions.end(session["id"])
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


async def test_many_joins_race_for_few_seats_through_two_servers(cluster: Cluster) -> None:
    seats, racers = 10, 200
    room = cluster.rooms[0].create(max_participants=seats)
    tokens = [cluster.rooms[0].token(room) for _ in range(20)]
    joined: list[str] = []
    refused: list[int] = []
    over = asyncio.Event()

    async def race(number: int) -> None:
        async with cluster.rooms[number % 2].browser(room, token=tokens[number % 20]) as browser:
            try:
                await browser.join()
                joined.append(browser.participant_id)
            except Refused as refusal:
                refused.append(refusal.status)
            if len(joined) + len(refused) == racers:
                over.set()
            await over.wait()

    async with asyncio.timeout(120), asyncio.TaskGroup() as race_of_all:
        for number in range(racers):
            race_of_all.create_task(race(number))
    assert len(joined) == seats
    assert set(refused) == {403}
    await cluster.settles(room)


@pytest.mark.parametrize(
    ("verb", "code", "secs_of_its_own"),
    [("end", CloseCode.SESSION_ENDED, 0.0), ("kick", CloseCode.REMOVED, 0.6)],
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


async def test_deleting_the_room_through_one_server_reaches_sockets_of_the_other(cluster: Cluster, room: str) -> None:
    async with cluster.rooms[1].browser(room) as ben:
        await ben.join()
        await asyncio.to_thread(cluster.rooms[0].rest.rooms.delete, room)
        answered = time.monotonic()
        async with asyncio.timeout(20):
            await ben.closed.wait()
        assert ben.close_code == CloseCode.SESSION_ENDED
        assert ben.closed_at - answered < CONTROL_SECS


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
