"""Endpoints of sessions and of the participants of one session."""

from collections.abc import Callable
from functools import partial

from starlette.responses import Response

from portico.api import bodies, lists, queries, render
from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core import casting, targets
from portico.core.scopes import MODERATE, READ
from portico.core.targets import Targets
from portico.services import listing, moderation

router = Router("Room Sessions")
_FLAGS = ("include_participants",)


@router.get(
    "/room_sessions",
    operation(
        "ListRoomSessions",
        "List sessions",
        200,
        "RoomSessions",
        filters=queries.SESSIONS,
        flags=_FLAGS,
        scopes=[READ, MODERATE],
    ),
)
async def list_sessions(call: Call) -> Response:
    """Sessions of all rooms of your account, newest first, also of deleted rooms."""
    query = queries.read_list(call.request, queries.SESSIONS, _FLAGS)
    fetch = partial(
        listing.list_sessions,
        account_id=call.account_id,
        page=query.page,
        conditions=query.conditions,
        with_participants="include_participants" in query.flags,
    )
    return await lists.list_answer(call, query.page, fetch, render.session)


@router.get(
    "/room_sessions/{room_session_id}",
    operation("ViewRoomSession", "Retrieve a session", 200, "RoomSession", flags=_FLAGS, scopes=[READ, MODERATE]),
)
async def retrieve(call: Call) -> Response:
    """One session of your account."""
    flags = queries.read_flags(call.request, *_FLAGS)
    fetch = partial(listing.retrieve_session, account_id=call.account_id, session_id=call.object_id)
    if "include_participants" not in flags:
        return JSONResponse({"data": render.session(await call.read(fetch))})
    with_all = partial(fetch, with_participants=True)
    return await lists.item_answer(call, with_all, render.session)


@router.get(
    "/room_sessions/{room_session_id}/participants",
    operation(
        "RetrieveListRoomParticipants",
        "List the participants of a session",
        200,
        "RoomParticipants",
        filters=queries.PARTICIPANTS_OF_SESSION,
        scopes=[READ, MODERATE],
    ),
)
async def list_participants(call: Call) -> Response:
    """Participants of one session, latest join first. Each join is a new participant."""
    query = queries.read_list(call.request, queries.PARTICIPANTS_OF_SESSION)
    fetch = partial(
        listing.list_participants,
        account_id=call.account_id,
        page=query.page,
        conditions=query.conditions,
        session_id=call.object_id,
    )
    return await lists.list_answer(call, query.page, fetch, render.participant)


_DONE = {"data": {"result": "ok"}}


@router.post(
    "/room_sessions/{room_session_id}/actions/end",
    operation("EndSession", "End a session", 200, "ActionResult", body=(), scopes=[MODERATE]),
)
async def end(call: Call) -> Response:
    """All participants of the session are disconnected. The next join of the room begins its next session."""
    casting.cast((), call.body)
    act = partial(moderation.end, account_id=call.account_id, session_id=call.object_id, now=call.now())
    await call.change(act)
    return JSONResponse(_DONE)


@router.post(
    "/room_sessions/{room_session_id}/actions/kick",
    operation(
        "KickParticipantInSession",
        "Remove participants",
        200,
        "ActionResult",
        targets=[bodies.REVOKE],
        scopes=[MODERATE],
    ),
)
async def kick(call: Call) -> Response:
    """Disconnect participants. They may join again with a valid token, unless it is revoked here."""
    chosen, members = targets.parse(call.body, [bodies.REVOKE])
    revoke = members["revoke"] is True
    kicking = partial(moderation.kick, account_id=call.account_id, session_id=call.object_id, targets=chosen)
    await call.change(partial(kicking, revoke=revoke, now=call.now()), _named(chosen, revoke))
    return JSONResponse(_DONE)


@router.post(
    "/room_sessions/{room_session_id}/actions/mute",
    operation("MuteParticipantInSession", "Mute participants", 200, "ActionResult", targets=(), scopes=[MODERATE]),
)
async def mute(call: Call) -> Response:
    """The participants' audio is not played to others, whatever they publish, until they are unmuted or leave."""
    return await _set_muted(call, muted=True)


@router.post(
    "/room_sessions/{room_session_id}/actions/unmute",
    operation("UnmuteParticipantInSession", "Unmute participants", 200, "ActionResult", targets=(), scopes=[MODERATE]),
)
async def unmute(call: Call) -> Response:
    """The participants' audio is played to others again."""
    return await _set_muted(call, muted=False)


async def _set_muted(call: Call, *, muted: bool) -> Response:
    chosen, _ = targets.parse(call.body)
    act = partial(moderation.set_muted, account_id=call.account_id, session_id=call.object_id, targets=chosen)
    await call.change(partial(act, muted=muted, now=call.now()), _named(chosen))
    return JSONResponse(_DONE)


def _named(chosen: Targets, revoke: bool = False) -> Callable[[object], str]:
    """Make the text for the audit log: the participants of the action, and whether their tokens were revoked."""
    named = "all" if chosen.listed is None else ", ".join(sorted(chosen.listed))
    but = f" but {', '.join(sorted(chosen.excluded))}" if chosen.excluded else ""
    return lambda _: f"participants: {named}{but}{'; tokens revoked' if revoke else ''}"
