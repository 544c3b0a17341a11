"""Endpoints of participants."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from portico.api import bodies, lists, queries, render
from portico.api.bodies import Body
from portico.api.context import AccountId, Api, Caller
from portico.api.openapi import operation
from portico.api.paths import RoomParticipantId
from portico.core import casting
from portico.core.scopes import MODERATE, READ, RECORDINGS
from portico.services import erasure, listing

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


@router.post(
    "/room_participants/{room_participant_id}/actions/erase",
    **operation(
        "EraseRoomParticipant",
        "Erase a participant's data",
        200,
        "ActionResult",
        body=[bodies.KEEP_RECORDINGS],
        scopes=[RECORDINGS],
    ),
)
async def erase(api: Api, caller: Caller, room_participant_id: RoomParticipantId, body: Body) -> Response:
    """Once the participant has left: context and label are null from then on, in the log of webhooks too. The
    participant's recordings go, and all compositions of the session. That somebody was there remains."""
    keep = casting.with_defaults([bodies.KEEP_RECORDINGS], body)["keep_recordings"] is True
    erase_it = partial(erasure.erase, account_id=caller.account_id, participant_id=room_participant_id)
    told = "recordings kept" if keep else "recordings deleted"
    changing = partial(erase_it, keep_recordings=keep, now=api.clock())
    await api.change(caller, changing, room_participant_id, lambda _: told)
    return JSONResponse({"data": {"result": "ok"}})
