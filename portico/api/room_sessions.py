"""Endpoints of sessions and of the participants of one session."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from portico.api import queries, render
from portico.api.context import AccountId, Api
from portico.api.openapi import operation
from portico.api.paths import RoomSessionId
from portico.services import listing

router = APIRouter(prefix="/v2", tags=["Room Sessions"])
_FLAGS = ("include_participants",)


@router.get(
    "/room_sessions",
    **operation("ListRoomSessions", "List sessions", 200, "RoomSessions", filters=queries.SESSIONS, flags=_FLAGS),
)
async def list_sessions(request: Request, api: Api, account_id: AccountId) -> Response:
    """Sessions of all rooms of your account, newest first, also of deleted rooms."""
    query = queries.read_list(request, queries.SESSIONS, _FLAGS)
    listed = await api.db.read(
        partial(
            listing.list_sessions,
            account_id=account_id,
            page=query.page,
            conditions=query.conditions,
            with_participants="include_participants" in query.flags,
        )
    )
    return queries.list_answer([render.session(each) for each in listed.items], query.page, listed.total_results)


@router.get(
    "/room_sessions/{room_session_id}",
    **operation("ViewRoomSession", "Retrieve a session", 200, "RoomSession", flags=_FLAGS),
)
async def retrieve(request: Request, api: Api, account_id: AccountId, room_session_id: RoomSessionId) -> Response:
    """One session of your account."""
    flags = queries.read_flags(request, *_FLAGS)
    session = await api.db.read(
        partial(
            listing.retrieve_session,
            account_id=account_id,
            session_id=room_session_id,
            with_participants="include_participants" in flags,
        )
    )
    return JSONResponse({"data": render.session(session)})


@router.get(
    "/room_sessions/{room_session_id}/participants",
    **operation(
        "RetrieveListRoomParticipants",
        "List the participants of a session",
        200,
        "RoomParticipants",
        filters=queries.PARTICIPANTS_OF_SESSION,
    ),
)
async def list_participants(
    request: Request, api: Api, account_id: AccountId, room_session_id: RoomSessionId
) -> Response:
    """Participants of one session, latest join first. Whoever comes back is a new participant."""
    query = queries.read_list(request, queries.PARTICIPANTS_OF_SESSION)
    listed = await api.db.read(
        partial(
            listing.list_participants,
            account_id=account_id,
            page=query.page,
            conditions=query.conditions,
            session_id=room_session_id,
        )
    )
    return queries.list_answer([render.participant(each) for each in listed.items], query.page, listed.total_results)
