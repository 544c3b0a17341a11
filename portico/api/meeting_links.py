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
    """Whoever has the link can join the room in a browser, without an API key. The room's link before becomes void.
    Those in the call stay, and tokens that were made with the link before are good until they expire."""
    make = partial(
        meetings.new_link,
        keys=call.context.keys,
        room_id=call.object_id,
        base_url=call.context.base_url,
        account_id=call.account_id,
    )
    made = await call.change(make, lambda link: f"generation: {link.generation}")
    return JSONResponse({"data": {"meeting_link": made.url}}, 201)
