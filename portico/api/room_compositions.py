"""Endpoints of compositions."""

from functools import partial

from starlette.responses import Response

from portico.api import lists, queries, recording_schemas, render
from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core.scopes import READ, RECORDINGS
from portico.services import compositions

router = Router("Room Compositions")


@router.post(
    "/room_compositions",
    operation(
        "CreateRoomComposition",
        "Create a composition",
        202,
        "RoomComposition",
        body_schema=recording_schemas.COMPOSITION_REQUEST,
        scopes=[RECORDINGS],
    ),
)
async def create(call: Call) -> Response:
    """The composition is made once the session is over and its recordings are completed; request it at any time.
    `progress` and `status` show how far it is; a webhook is sent when it is completed or has failed."""
    composition = await call.change(
        partial(
            compositions.create,
            account_id=call.account_id,
            body=call.body,
            regions_max=call.context.composition_regions_max,
            sound_by_default=call.context.composition_audio == "all",
            now=call.now(),
        ),
    )
    return JSONResponse({"data": render.composition(composition, call.context.link)}, 202)


@router.get(
    "/room_compositions",
    operation(
        "ListRoomCompositions",
        "List compositions",
        200,
        "RoomCompositions",
        filters=queries.COMPOSITIONS,
        scopes=[READ, RECORDINGS],
    ),
)
async def list_compositions(call: Call) -> Response:
    """Compositions of your account, newest first."""
    query = queries.read_list(call.request, queries.COMPOSITIONS)
    fetch = partial(
        compositions.list_compositions, account_id=call.account_id, page=query.page, conditions=query.conditions
    )
    show = partial(
        render.composition, link=call.context.link
    )  # in a thread: a store may ask for credentials before it signs
    return await lists.list_answer(call, query.page, fetch, show)


@router.get(
    "/room_compositions/{room_composition_id}",
    operation("ViewRoomComposition", "Retrieve a composition", 200, "RoomComposition", scopes=[READ, RECORDINGS]),
)
async def retrieve(call: Call) -> Response:
    """One composition of your account, with a fresh download link once its file is there."""
    read = partial(compositions.retrieve, account_id=call.account_id, composition_id=call.object_id)
    (shown,) = await render.with_links(render.composition, [await call.read(read)], call.context.link)
    return JSONResponse({"data": shown})


@router.delete(
    "/room_compositions/{room_composition_id}",
    operation("DeleteRoomComposition", "Delete a composition", 204, scopes=[RECORDINGS]),
)
async def delete(call: Call) -> Response:
    """Delete the composition and its file. One that is being made is stopped, and no webhook is sent for it."""
    forget = partial(compositions.delete, account_id=call.account_id, composition_id=call.object_id)
    await call.change(partial(forget, now=call.now()))
    return Response(status_code=204)
