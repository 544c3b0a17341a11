"""Endpoints of rooms and of the sessions of one room."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from portico.api import bodies, lists, queries, render
from portico.api.bodies import Body
from portico.api.context import AccountId, Api, Caller
from portico.api.openapi import operation
from portico.api.paths import RoomId
from portico.core import casting
from portico.core.model import RoomSettings
from portico.core.scopes import READ, ROOMS
from portico.services import listing, rooms

router = APIRouter(prefix="/v2", tags=["Rooms"])
_FLAGS = ("include_sessions", "include_participants")


@router.post("/rooms", **operation("CreateRoom", "Create a room", 201, "Room", body=bodies.ROOM, scopes=[ROOMS]))
async def create(api: Api, caller: Caller, body: Body) -> Response:
    """Every member is optional. Nobody is in a new room, and no session is active."""
    members: dict[str, Any] = casting.with_defaults(bodies.ROOM, body)
    settings = RoomSettings(**members)
    room = await api.change(
        caller, partial(rooms.create, account_id=caller.account_id, settings=settings, now=api.clock())
    )
    return JSONResponse({"data": render.room(room)}, 201)


@router.get(
    "/rooms",
    **operation("ListRooms", "List rooms", 200, "Rooms", filters=queries.ROOMS, flags=_FLAGS, scopes=[READ, ROOMS]),
)
async def list_rooms(request: Request, api: Api, account_id: AccountId) -> Response:
    """Rooms of your account, newest first."""
    query = queries.read_list(request, queries.ROOMS, _FLAGS)
    fetch = partial(
        rooms.list_rooms,
        account_id=account_id,
        page=query.page,
        conditions=query.conditions,
        with_sessions="include_sessions" in query.flags,
        with_participants="include_participants" in query.flags,
    )
    return await lists.list_answer(request, api, account_id, query.page, fetch, render.room)


@router.get(
    "/rooms/{room_id}", **operation("ViewRoom", "Retrieve a room", 200, "Room", flags=_FLAGS, scopes=[READ, ROOMS])
)
async def retrieve(request: Request, api: Api, account_id: AccountId, room_id: RoomId) -> Response:
    """One room of your account."""
    flags = queries.read_flags(request, *_FLAGS)
    fetch = partial(rooms.retrieve, account_id=account_id, room_id=room_id)
    if "include_sessions" not in flags:
        return JSONResponse({"data": render.room(await api.db.read(fetch))})
    with_all = partial(fetch, with_sessions=True, with_participants="include_participants" in flags)
    return await lists.item_answer(request, api, account_id, with_all, render.room)


@router.patch(
    "/rooms/{room_id}", **operation("UpdateRoom", "Change a room", 200, "Room", body=bodies.ROOM, scopes=[ROOMS])
)
async def update(api: Api, caller: Caller, room_id: RoomId, body: Body) -> Response:
    """Absent members stay as they are; null sets the default. A lower limit sends nobody out of a running call,
    recording changes with the next session, webhook settings with the next delivery."""
    changes = casting.cast(bodies.ROOM, body)
    change = partial(rooms.update, account_id=caller.account_id, room_id=room_id, changes=changes, now=api.clock())
    room = await api.change(caller, change, room_id)
    return JSONResponse({"data": render.room(room)})


@router.delete("/rooms/{room_id}", **operation("DeleteRoom", "Delete a room", 204, scopes=[ROOMS]))
async def delete(api: Api, caller: Caller, room_id: RoomId) -> Response:
    """Everybody leaves, the session ends, tokens of the room admit nobody any more and its name is free.
    Sessions and participants stay readable by their own operations."""
    delete_it = partial(rooms.delete, account_id=caller.account_id, room_id=room_id, now=api.clock())
    await api.change(caller, delete_it, room_id)
    return Response(status_code=204)


@router.get(
    "/rooms/{room_id}/sessions",
    **operation(
        "RetrieveListRoomSessions",
        "List the sessions of a room",
        200,
        "RoomSessions",
        filters=queries.SESSIONS_OF_ROOM,
        flags=("include_participants",),
        scopes=[READ, ROOMS],
    ),
)
async def list_sessions(request: Request, api: Api, account_id: AccountId, room_id: RoomId) -> Response:
    """Sessions of one existing room, newest first."""
    query = queries.read_list(request, queries.SESSIONS_OF_ROOM, ("include_participants",))
    fetch = partial(
        listing.list_sessions,
        account_id=account_id,
        page=query.page,
        conditions=query.conditions,
        room_id=room_id,
        with_participants="include_participants" in query.flags,
    )
    return await lists.list_answer(request, api, account_id, query.page, fetch, render.session)
