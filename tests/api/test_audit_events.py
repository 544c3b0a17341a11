"""The audit log: each change with its key, in the transaction of the change, for the account alone."""

from functools import partial
from typing import Any
from uuid import uuid4

from portico.services import api_keys, audit
from tests.api.test_room_recordings import a_participant, recorded
from tests.api.world import World
from tests.factories import NOW, rows

PATH = "/v2/audit_events"


async def entries(world: World, query: str = "") -> list[dict[str, Any]]:
    """Those of K1, oldest first."""
    answer = await world.k1.get(PATH + query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found[::-1]


async def test_every_change_names_its_key_its_object_and_its_request(world: World) -> None:
    key = await world.db.read(partial(api_keys.find, key=world.key, now=NOW))
    assert key is not None
    made = await world.k1.post("/v2/rooms", headers={"x-request-id": "my-own-id"})
    room_id = made.json()["data"]["id"]
    assert (await world.k1.get(f"/v2/rooms/{room_id}")).status_code == 200
    (entry,) = await entries(world)
    assert entry == {
        "id": entry["id"],
        "key_id": key.id,
        "operation": "CreateRoom",
        "object_id": room_id,
        "detail": None,
        "request_id": "my-own-id",
        "created_at": entry["created_at"],
        "record_type": "audit_event",
    }
    assert (await world.k2.get(PATH)).json()["data"] == [], "another account's"


async def test_what_changes_is_noted_and_what_does_not_is_not(world: World) -> None:
    person = await a_participant(world)
    video, other = await recorded(world, person), await recorded(world, person)
    session, room = f"/v2/room_sessions/{person.session_id}", f"/v2/rooms/{person.room_id}"
    all_but_one = {"participants": "all", "exclude": [str(uuid4())]}
    created = await world.k1.post("/v2/room_compositions", json={"session_id": person.session_id})
    composition_id = created.json()["data"]["id"]
    await world.k1.patch(room, json={"max_participants": 5})
    await world.k1.patch(room, json={"max_participants": 500})  # refused
    await world.k1.post(f"{room}/actions/generate_join_client_token")
    for action in ("mute", "unmute", "kick", "end", "end"):  # the second end is refused
        await world.k1.post(f"{session}/actions/{action}", json={**all_but_one, "revoke": True})
    await world.k1.delete(f"/v2/room_compositions/{composition_id}")
    await world.k1.delete(f"/v2/room_recordings/{video}")
    await world.k1.delete("/v2/room_recordings")
    await world.k1.post("/v2/webhook_deliveries/actions/replay")
    await world.k1.delete(room)
    noted = [(each["operation"], each["object_id"]) for each in (await entries(world, "?page[size]=50"))[1:]]
    assert noted == [
        ("CreateRoomComposition", composition_id),
        ("UpdateRoom", person.room_id),
        ("MuteParticipantInSession", person.session_id),
        ("UnmuteParticipantInSession", person.session_id),
        ("KickParticipantInSession", person.session_id),
        ("EndSession", person.session_id),
        ("DeleteRoomComposition", composition_id),
        ("DeleteRoomRecording", video),
        ("DeleteRoomRecordings", None),
        ("ReplayWebhookDeliveries", None),
        ("DeleteRoom", person.room_id),
    ]
    (kick,) = await entries(world, "?filter[operation]=KickParticipantInSession")
    assert kick["detail"] == f"participants: all but {all_but_one['exclude'][0]}; tokens revoked"
    (deleted,) = await entries(world, "?filter[operation]=DeleteRoomRecordings")
    assert deleted["detail"] == "deleted: 1" and other
    assert await entries(world, f"?filter[object_id]={person.room_id}&filter[key_id]={uuid4()}") == []


async def test_a_change_that_is_undone_leaves_no_entry(world: World) -> None:
    """Both are one transaction."""
    await world.k1.post("/v2/rooms", json={"unique_name": "taken"})
    refused = await world.k1.post("/v2/rooms", json={"unique_name": "taken"})
    assert refused.status_code == 422
    assert len(await world.db.read(partial(rows, table=audit.AUDIT))) == 1
