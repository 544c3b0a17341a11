"""Endpoints of rooms and of the sessions of one room."""

from functools import partial
from typing import Any

from starlette.responses import Response

from portico.api import bodies, lists, queries, render
from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core import casting
from portico.core.model import RoomSettings
from portico.core.scopes import READ, ROOMS
from portico.services import listing, rooms

router = Router("Rooms")
_FLAGS = ("include_sessions", "include_participants")


@router.post("/rooms", operation("CreateRoom", "Create a room", 201, "Room", body=bodies.ROOM, scopes=[ROOMS]))
async def create(call: Call) -> Response:
    """Every member is optional. A new room has no active session."""
    members: dict[str, Any] = casting.with_defaults(bodies.ROOM, call.body)
    settings = RoomSettings(**members)
    room = await call.change(partial(rooms.create, account_id=call.account_id, settings=settings, now=call.now()))
    return JSONResponse({"data": render.room(room)}, 201)


@router.get(
    "/rooms",
    operation("ListRooms", "List rooms", 200, "Rooms", filters=queries.ROOMS, flags=_FLAGS, scopes=[READ, ROOMS]),
)
async def list_rooms(call: Call) -> Response:
    """Rooms of your account, newest first."""
    query = queries.read_list(call.request, queries.ROOMS, _FLAGS)
    fetch = partial(
        rooms.list_rooms,
        account_id=call.account_id,
        page=query.page,
        conditions=query.conditions,
        with_sessions="include_sessions" in query.flags,
        with_participants="include_participants" in query.flags,
    )
    return await lists.list_answer(call, query.page, fetch, render.room)


@router.get(
    "/rooms/{room_id}", operation("ViewRoom", "Retrieve a room", 200, "Room", flags=_FLAGS, scopes=[READ, ROOMS])
)
async def retrieve(call: Call) -> Response:
    """One room of your account."""
    flags = queries.read_flags(call.request, *_FLAGS)
    fetch = partial(rooms.retrieve, account_id=call.account_id, room_id=call.object_id)
    if "include_sessions" not in flags:
        return JSONResponse({"data": render.room(await call.read(fetch))})
    with_all = partial(fetch, with_sessions=True, with_participants="include_participants" in flags)
    return await lists.item_answer(call, with_all, render.room)


@router.patch(
    "/rooms/{room_id}", operation("UpdateRoom", "Change a room", 200, "Room", body=bodies.ROOM, scopes=[ROOMS])
)
async def update(call: Call) -> Response:
    """Absent members stay as they are; null sets the default. A lower limit removes no participant of a running
    session, recording changes with the next session, webhook settings with the next delivery."""
    changes = casting.cast(bodies.ROOM, call.body)
    change = partial(rooms.update, account_id=call.account_id, room_id=call.object_id, changes=changes, now=call.now())
    room = await call.change(change)
    return JSONResponse({"data": render.room(room)})


@router.delete("/rooms/{room_id}", operation("DeleteRoom", "Delete a room", 204, scopes=[ROOMS]))
async def delete(call: Call) -> Response:
    """The room's session ends with all participants, its tokens become void, and its name may be used again.
    Sessions and participants stay readable by their own operations."""
    delete_it = partial(rooms.delete, account_id=call.account_id, room_id=call.object_id, now=call.now())
    await call.change(delete_it)
    return Response(status_code=204)


@router.get(
    "/rooms/{room_id}/sessions",
    operation(
        "RetrieveListRoomSessions",
        "List the sessions of a room",
        200,
        "RoomSessions",
        filters=queries.SESSIONS_OF_ROOM,
        flags=("include_participants",),
        scopes=[READ, ROOMS],
    ),
)
async def list_sessions(call: Call) -> Response:
    """Sessions of one existing room, newest first."""
    query = queries.read_list(call.request, queries.SESSIONS_OF_ROOM, ("include_participants",))
    fetch = partial(
        listing.list_sessions,
        account_id=call.account_id,
        page=query.page,
        conditions=query.conditions,
        room_id=call.object_id,
        with_participants="include_participants" in query.flags,
    )
    return await lists.list_answer(call, query.page, fetch, render.session)
