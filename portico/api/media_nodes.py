"""Endpoints of media nodes, operations of ours for the operator: they belong to the installation, not to an account."""

from functools import partial

from starlette.responses import Response

from portico.api import bodies, lists, queries, render
from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core import casting
from portico.core.scopes import NODES, READ
from portico.services import nodes
from portico.services.nodes import ACTIVE, DRAINING, REMOVED

router = Router("Media nodes")


@router.get(
    "/media_nodes",
    operation("ListMediaNodes", "List media nodes", 200, "MediaNodes", filters=(), scopes=[READ, NODES]),
)
async def list_nodes(call: Call) -> Response:
    """The media nodes of the installation with their load, also those that are removed. Empty on SQLite, where the
    server has one Janus of its own."""
    query = queries.read_list(call.request, ())
    fetch = partial(nodes.list_nodes, account_id=call.account_id, page=query.page)
    return await lists.list_answer(call, query.page, fetch, render.media_node)


@router.post(
    "/media_nodes/actions/drain",
    operation("DrainMediaNode", "Drain a media node", 200, "MediaNode", body=bodies.MEDIA_NODE, scopes=[NODES]),
)
async def drain(call: Call) -> Response:
    """The node takes no new room. Those that are on it stay until their last participant has left."""
    return await _set_state(call, DRAINING)


@router.post(
    "/media_nodes/actions/resume",
    operation("ResumeMediaNode", "Resume a media node", 200, "MediaNode", body=bodies.MEDIA_NODE, scopes=[NODES]),
)
async def resume(call: Call) -> Response:
    """A drained node takes rooms again."""
    return await _set_state(call, ACTIVE)


@router.post(
    "/media_nodes/actions/remove",
    operation("RemoveMediaNode", "Remove a media node", 200, "MediaNode", body=bodies.MEDIA_NODE, scopes=[NODES]),
)
async def remove(call: Call) -> Response:
    """The node is given up, and the calls on it end. One that is started again is active."""
    return await _set_state(call, REMOVED)


async def _set_state(call: Call, state: str) -> Response:
    node_id = str(casting.cast(bodies.MEDIA_NODE, call.body)["node_id"])
    change = partial(nodes.change_state, account_id=call.account_id, node_id=node_id, state=state, now=call.now())
    return JSONResponse({"data": render.media_node(await call.change(change))})
