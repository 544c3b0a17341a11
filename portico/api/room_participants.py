"""Endpoints of participants."""

from functools import partial

from starlette.responses import Response

from portico.api import bodies, lists, queries, render
from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core import casting
from portico.core.scopes import MODERATE, READ, RECORDINGS
from portico.services import erasure, listing

router = Router("Room Participants")


@router.get(
    "/room_participants",
    operation(
        "ListRoomParticipants",
        "List participants",
        200,
        "RoomParticipants",
        filters=queries.PARTICIPANTS,
        scopes=[READ, MODERATE],
    ),
)
async def list_participants(call: Call) -> Response:
    """Participants of all sessions of your account, latest join first."""
    query = queries.read_list(call.request, queries.PARTICIPANTS)
    fetch = partial(listing.list_participants, account_id=call.account_id, page=query.page, conditions=query.conditions)
    return await lists.list_answer(call, query.page, fetch, render.participant)


@router.get(
    "/room_participants/{room_participant_id}",
    operation("ViewRoomParticipant", "Retrieve a participant", 200, "RoomParticipant", scopes=[READ, MODERATE]),
)
async def retrieve(call: Call) -> Response:
    """One participant of your account."""
    participant = await call.read(
        partial(listing.retrieve_participant, account_id=call.account_id, participant_id=call.object_id)
    )
    return JSONResponse({"data": render.participant(participant)})


@router.post(
    "/room_participants/{room_participant_id}/actions/erase",
    operation(
        "EraseRoomParticipant",
        "Erase a participant's data",
        200,
        "ActionResult",
        body=[bodies.KEEP_RECORDINGS],
        scopes=[RECORDINGS],
    ),
)
async def erase(call: Call) -> Response:
    """Once the participant has left: context and label are null from then on, in the log of webhooks too. The
    participant's recordings are deleted, and all compositions of the session. The participant itself remains."""
    keep = casting.with_defaults([bodies.KEEP_RECORDINGS], call.body)["keep_recordings"] is True
    erase_it = partial(erasure.erase, account_id=call.account_id, participant_id=call.object_id)
    detail = "recordings kept" if keep else "recordings deleted"
    changing = partial(erase_it, keep_recordings=keep, now=call.now())
    await call.change(changing, lambda _: detail)
    return JSONResponse({"data": {"result": "ok"}})
