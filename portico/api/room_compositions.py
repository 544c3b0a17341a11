"""Endpoints of compositions."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from portico.api import lists, queries, recording_schemas, render
from portico.api.bodies import Body
from portico.api.context import AccountId, Api, Caller
from portico.api.openapi import operation
from portico.api.paths import RoomCompositionId
from portico.core.scopes import READ, RECORDINGS
from portico.services import compositions

router = APIRouter(prefix="/v2", tags=["Room Compositions"])


@router.post(
    "/room_compositions",
    **operation(
        "CreateRoomComposition",
        "Create a composition",
        202,
        "RoomComposition",
        body_schema=recording_schemas.COMPOSITION_REQUEST,
        scopes=[RECORDINGS],
    ),
)
async def create(api: Api, caller: Caller, body: Body) -> Response:
    """It is made once the session is over and its recordings are completed; ask at any time.
    `progress` tells how far it is, its webhook and `status` when it is there."""
    composition = await api.change(
        caller,
        partial(
            compositions.create,
            account_id=caller.account_id,
            body=body,
            regions_max=api.composition_regions_max,
            sound_by_default=api.composition_audio == "all",
            now=api.clock(),
        ),
    )
    return JSONResponse({"data": render.composition(composition, api.link)}, 202)


@router.get(
    "/room_compositions",
    **operation(
        "ListRoomCompositions",
        "List compositions",
        200,
        "RoomCompositions",
        filters=queries.COMPOSITIONS,
        scopes=[READ, RECORDINGS],
    ),
)
async def list_compositions(request: Request, api: Api, account_id: AccountId) -> Response:
    """Compositions of your account, newest first."""
    query = queries.read_list(request, queries.COMPOSITIONS)
    fetch = partial(compositions.list_compositions, account_id=account_id, page=query.page, conditions=query.conditions)
    show = partial(render.composition, link=api.link)  # in a thread: a store may ask for credentials before it signs
    return await lists.list_answer(request, api, account_id, query.page, fetch, show)


@router.get(
    "/room_compositions/{room_composition_id}",
    **operation("ViewRoomComposition", "Retrieve a composition", 200, "RoomComposition", scopes=[READ, RECORDINGS]),
)
async def retrieve(api: Api, account_id: AccountId, room_composition_id: RoomCompositionId) -> Response:
    """One composition of your account, with a fresh download link once its file is there."""
    read = partial(compositions.retrieve, account_id=account_id, composition_id=room_composition_id)
    (shown,) = await render.with_links(render.composition, [await api.db.read(read)], api.link)
    return JSONResponse({"data": shown})


@router.delete(
    "/room_compositions/{room_composition_id}",
    **operation("DeleteRoomComposition", "Delete a composition", 204, scopes=[RECORDINGS]),
)
async def delete(api: Api, caller: Caller, room_composition_id: RoomCompositionId) -> Response:
    """The composition and its file go for good. One that is being made is stopped, and no webhook tells of it."""
    forget = partial(compositions.delete, account_id=caller.account_id, composition_id=room_composition_id)
    await api.change(caller, partial(forget, now=api.clock()), room_composition_id)
    return Response(status_code=204)
