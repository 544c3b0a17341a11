"""Erasing a participant over HTTP: what the answers show afterwards, who may, and what is noted."""

from portico.db.engine import Transaction
from portico.services import api_keys
from tests.api.test_room_recordings import a_participant, recorded
from tests.api.world import World

PATH = "/v2/room_participants"


async def test_a_participant_who_left_can_be_erased(world: World) -> None:
    person = await a_participant(world)
    recording = await recorded(world, person)
    act = f"{PATH}/{person.participant_id}/actions/erase"
    early = await world.k1.post(act)
    assert (early.status_code, early.json()["errors"][0]["code"]) == (422, "10027")
    await world.leave(person.participant_id)
    assert (await world.k2.post(act)).status_code == 404
    done = await world.k1.post(act)
    assert (done.status_code, done.json()) == (200, {"data": {"result": "ok"}})
    shown = (await world.k1.get(f"{PATH}/{person.participant_id}")).json()["data"]
    assert shown["context"] is None and shown["left_at"] is not None and "label" not in shown
    assert (await world.k1.get(f"/v2/room_recordings/{recording}")).status_code == 404
    (noted,) = (await world.k1.get("/v2/audit_events?filter[operation]=EraseRoomParticipant")).json()["data"]
    assert (noted["object_id"], noted["detail"]) == (person.participant_id, "recordings deleted")


async def test_recordings_stay_where_that_is_asked_for(world: World) -> None:
    person = await a_participant(world)
    recording = await recorded(world, person)
    await world.leave(person.participant_id)
    act = f"{PATH}/{person.participant_id}/actions/erase"
    wrong = await world.k1.post(act, json={"keep_recordings": "perhaps"})
    assert (wrong.status_code, wrong.json()["errors"][0]["source"]) == (422, {"pointer": "/keep_recordings"})
    assert (await world.k1.post(act, json={"keep_recordings": True})).status_code == 200
    assert (await world.k1.get(f"/v2/room_recordings/{recording}")).status_code == 200


async def test_it_needs_the_scope_of_recordings(world: World) -> None:
    def make(tx: Transaction) -> str:
        return api_keys.create(tx, "one", world.clock(), scopes=("read", "moderate"))

    person = await a_participant(world)
    await world.leave(person.participant_id)
    headers = {"Authorization": f"Bearer {await world.db.write(make)}"}
    refused = await world.anonymous.post(f"{PATH}/{person.participant_id}/actions/erase", headers=headers)
    assert refused.status_code == 403 and "recordings" in refused.json()["errors"][0]["detail"]
