"""The meeting link of a room, an operation of ours: the hosted service has no meeting page."""

from functools import partial

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from portico.api.context import Api, Caller
from portico.api.openapi import operation
from portico.api.paths import RoomId
from portico.core.scopes import ROOMS
from portico.services import meetings

router = APIRouter(prefix="/v2", tags=["Rooms"])


@router.post(
    "/rooms/{room_id}/actions/generate_meeting_link",
    **operation("GenerateMeetingLink", "Make a new meeting link", 201, "MeetingLink", scopes=[ROOMS]),
)
async def generate(api: Api, caller: Caller, room_id: RoomId) -> Response:
    """Whoever has the link can join the room in a browser, without an API key. The room's link before becomes void.
    Those in the call stay, and tokens that were made with the link before are good until they expire."""
    make = partial(
        meetings.new_link, keys=api.keys, room_id=room_id, base_url=api.base_url, account_id=caller.account_id
    )
    made = await api.change(caller, make, room_id, lambda link: f"generation: {link.generation}")
    return JSONResponse({"data": {"meeting_link": made.url}}, 201)
