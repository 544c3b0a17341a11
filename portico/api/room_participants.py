"""Endpoints of participants."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from portico.api import lists, queries, render
from portico.api.context import AccountId, Api
from portico.api.openapi import operation
from portico.api.paths import RoomParticipantId
from portico.core.scopes import MODERATE, READ
from portico.services import listing

router = APIRouter(prefix="/v2", tags=["Room Participants"])


@router.get(
    "/room_participants",
    **operation(
        "ListRoomParticipants",
        "List participants",
        200,
        "RoomParticipants",
        filters=queries.PARTICIPANTS,
        scopes=[READ, MODERATE],
    ),
)
async def list_participants(request: Request, api: Api, account_id: AccountId) -> Response:
    """Participants of all sessions of your account, latest join first."""
    query = queries.read_list(request, queries.PARTICIPANTS)
    fetch = partial(listing.list_participants, account_id=account_id, page=query.page, conditions=query.conditions)
    return await lists.list_answer(request, api, account_id, query.page, fetch, render.participant)


@router.get(
    "/room_participants/{room_participant_id}",
    **operation("ViewRoomParticipant", "Retrieve a participant", 200, "RoomParticipant", scopes=[READ, MODERATE]),
)
async def retrieve(api: Api, account_id: AccountId, room_participant_id: RoomParticipantId) -> Response:
    """One participant of your account."""
    participant = await api.db.read(
        partial(listing.retrieve_participant, account_id=account_id, participant_id=room_participant_id)
    )
    return JSONResponse({"data": render.participant(participant)})
