"""New meeting links over REST: the link before is void, other rooms and accounts are left alone, each is audited."""

import asyncio
from urllib.parse import urlsplit
from uuid import uuid4

from portico.core.rate import Limit
from portico.services import tokens
from portico.web import invitations
from tests.api.world import World

MANY = Limit(1000, 60)


def action(room_id: str) -> str:
    return f"/v2/rooms/{room_id}/actions/generate_meeting_link"


async def new_link(world: World, room_id: str) -> str:
    """The invitation in a new link of a room of K1."""
    answer = await world.k1.post(action(room_id))
    assert answer.status_code == 201, answer.text
    assert set(answer.json()["data"]) == {"meeting_link"}
    url: str = answer.json()["data"]["meeting_link"]
    link = urlsplit(url)
    assert link.path == f"/meet/{room_id}"
    return link.fragment


async def redeemed(world: World, room_id: str, invitation: str) -> int:
    """The status of the answer to a request with this invitation."""
    answer = await world.anonymous.post(f"/meet/{room_id}/token", json={"invite": invitation})
    shown = await world.anonymous.post(f"/meet/{room_id}/room", json={"invite": invitation})
    assert (answer.status_code, shown.status_code) in ((201, 200), (404, 404))
    return answer.status_code


async def test_a_new_link_makes_the_one_before_void(world: World) -> None:
    world.app.routes.extend(invitations.routes(world.db, world.keys, world.clock, MANY))
    room, other = await world.room(), await world.room()
    links = [tokens.invite(world.keys, room["id"])]  # as links were made before rooms had generations
    untouched = tokens.invite(world.keys, other["id"])
    for _ in range(3):
        assert await redeemed(world, room["id"], links[-1]) == 201
        links.append(await new_link(world, room["id"]))
        assert [await redeemed(world, room["id"], each) for each in links] == [404] * (len(links) - 1) + [201]
    assert len(set(links)) == 4
    assert await redeemed(world, other["id"], untouched) == 201
    assert await redeemed(world, other["id"], links[-1]) == 404
    assert (await world.k1.get(f"/v2/rooms/{room['id']}")).json()["data"] == room, "the API shows the room as before"


async def test_of_links_made_at_once_one_is_valid(world: World) -> None:
    world.app.routes.extend(invitations.routes(world.db, world.keys, world.clock, MANY))
    room = await world.room()
    links = await asyncio.gather(*(new_link(world, room["id"]) for _ in range(5)))
    assert len(set(links)) == 5
    assert sorted([await redeemed(world, room["id"], each) for each in links]) == [201, 404, 404, 404, 404]


async def test_no_link_is_made_of_a_foreign_or_deleted_room(world: World) -> None:
    room, gone = await world.room(), await world.room()
    assert (await world.k1.delete(f"/v2/rooms/{gone['id']}")).status_code == 204
    assert (await world.anonymous.post(action(room["id"]))).status_code == 401
    assert (await world.k2.post(action(room["id"]))).status_code == 404
    for unknown in (gone["id"], str(uuid4()), "x"):
        assert (await world.k1.post(action(unknown))).status_code == 404
    assert await world.db.read(lambda tx: tokens.link_generation(tx, room["id"])) == 0


async def test_each_new_link_is_in_the_audit_log_and_none_of_them_is_shown_there(world: World) -> None:
    room = await world.room()
    links = [await new_link(world, room["id"]) for _ in range(2)]
    filters = f"filter[operation]=GenerateMeetingLink&filter[object_id]={room['id']}"
    answer = await world.k1.get(f"/v2/audit_events?{filters}")
    entries = answer.json()["data"]
    assert [each["detail"] for each in entries] == ["generation: 2", "generation: 1"]
    assert all(each["key_id"] for each in entries)
    assert not any(link in answer.text for link in links)
