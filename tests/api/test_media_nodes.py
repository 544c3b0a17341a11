"""Media nodes over REST: for keys of the account default alone, with the rights of their scopes."""

from functools import partial
from typing import Any

import httpx

from portico.db.engine import Transaction
from portico.services import api_keys, nodes
from portico.services.api_keys import DEFAULT_ACCOUNT
from portico.services.nodes import NodeAddress, NodeLoad
from tests.api.world import CheckedTransport, World
from tests.factories import NOW

PATH = "/v2/media_nodes"


def two_nodes(tx: Transaction) -> None:
    for node_id in ("aaaaaaaa", "bbbbbbbb"):
        address = NodeAddress(f"ws://{node_id}:8188", "secret", "admin key", None, "/mjr", "1.4.1")
        nodes.register(tx, node_id, address, now=NOW)
    nodes.beat(tx, "bbbbbbbb", 1, NodeLoad(cpu=0.5, packets=1000, shortage="The disk is full."), now=NOW)


async def operator(world: World, *scopes: str) -> httpx.AsyncClient:
    """A caller with a new key of the account default."""
    create = partial(api_keys.create, account_name=DEFAULT_ACCOUNT, now=world.clock(), scopes=scopes or None)
    headers = {"Authorization": f"Bearer {await world.db.write(create)}"}
    return httpx.AsyncClient(transport=CheckedTransport(world.app), base_url="http://portico", headers=headers)


async def test_nodes_are_listed_drained_resumed_and_removed(world: World) -> None:
    await world.db.write(two_nodes)
    async with await operator(world) as caller:
        answer = await caller.get(PATH)
        assert "secret" not in answer.text and "admin key" not in answer.text
        listed = answer.json()
        assert listed["meta"]["total_results"] == 2
        found = {node["id"]: node for node in listed["data"]}
        assert found["bbbbbbbb"]["shortage"] == "The disk is full." and found["bbbbbbbb"]["cpu"] == 0.5
        for action, state in (("drain", "draining"), ("resume", "active"), ("remove", "removed")):
            answer = await caller.post(f"{PATH}/actions/{action}", json={"node_id": "aaaaaaaa"})
            node: dict[str, Any] = answer.json()["data"]
            assert (node["id"], node["state"], node["is_up"]) == ("aaaaaaaa", state, state != "removed")
        audit = (await caller.get("/v2/audit_events?filter[object_id]=aaaaaaaa")).json()["data"]
        assert {each["operation"] for each in audit} == {"DrainMediaNode", "ResumeMediaNode", "RemoveMediaNode"}
        assert (await caller.post(f"{PATH}/actions/drain", json={"node_id": "cccccccc"})).status_code == 404
        assert (await caller.post(f"{PATH}/actions/drain", json={})).status_code == 422


async def test_other_accounts_and_other_scopes_may_not(world: World) -> None:
    await world.db.write(two_nodes)
    body = {"node_id": "aaaaaaaa"}
    for caller in (world.k1, world.k2):
        for answer in (await caller.get(PATH), await caller.post(f"{PATH}/actions/remove", json=body)):
            assert answer.status_code == 403 and "only keys of the account default" in answer.text
    async with await operator(world, "read") as reader, await operator(world, "nodes") as keeper:
        assert (await reader.get(PATH)).status_code == 200
        assert (await reader.post(f"{PATH}/actions/drain", json=body)).status_code == 403
        assert (await keeper.get(PATH)).status_code == 200
        assert (await keeper.post(f"{PATH}/actions/drain", json=body)).status_code == 200
    rows = await world.db.read(nodes.all_nodes)
    assert {row.state for row in rows} == {"active", "draining"}
