"""The meeting link of a room, an operation of ours: the hosted service has no meeting page."""

from functools import partial

from starlette.responses import Response

from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core.scopes import ROOMS
from portico.services import meetings

router = Router("Rooms")


@router.post(
    "/rooms/{room_id}/actions/generate_meeting_link",
    operation("GenerateMeetingLink", "Make a new meeting link", 201, "MeetingLink", scopes=[ROOMS]),
)
async def generate(call: Call) -> Response:
    """The link lets a browser join the room without an API key. The former link of the room becomes void; participants
    stay in the call, and tokens that were made with the former link are valid until they expire."""
    make = partial(
        meetings.new_link,
        keys=call.context.keys,
        room_id=call.object_id,
        base_url=call.context.base_url,
        account_id=call.account_id,
    )
    made = await call.change(make, lambda link: f"generation: {link.generation}")
    return JSONResponse({"data": {"meeting_link": made.url}}, 201)
