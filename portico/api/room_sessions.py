"""Endpoints of sessions and of the participants of one session."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from portico.api import bodies, lists, queries, render
from portico.api.bodies import Body
from portico.api.context import AccountId, Api, Caller, CallerOfOperation, Context
from portico.api.openapi import operation
from portico.api.paths import RoomSessionId
from portico.core import casting, targets
from portico.core.scopes import MODERATE, READ
from portico.core.targets import Targets
from portico.services import listing, moderation

router = APIRouter(prefix="/v2", tags=["Room Sessions"])
_FLAGS = ("include_participants",)


@router.get(
    "/room_sessions",
    **operation(
        "ListRoomSessions",
        "List sessions",
        200,
        "RoomSessions",
        filters=queries.SESSIONS,
        flags=_FLAGS,
        scopes=[READ, MODERATE],
    ),
)
async def list_sessions(request: Request, api: Api, account_id: AccountId) -> Response:
    """Sessions of all rooms of your account, newest first, also of deleted rooms."""
    query = queries.read_list(request, queries.SESSIONS, _FLAGS)
    fetch = partial(
        listing.list_sessions,
        account_id=account_id,
        page=query.page,
        conditions=query.conditions,
        with_participants="include_participants" in query.flags,
    )
    return await lists.list_answer(request, api, account_id, query.page, fetch, render.session)


@router.get(
    "/room_sessions/{room_session_id}",
    **operation("ViewRoomSession", "Retrieve a session", 200, "RoomSession", flags=_FLAGS, scopes=[READ, MODERATE]),
)
async def retrieve(request: Request, api: Api, account_id: AccountId, room_session_id: RoomSessionId) -> Response:
    """One session of your account."""
    flags = queries.read_flags(request, *_FLAGS)
    fetch = partial(listing.retrieve_session, account_id=account_id, session_id=room_session_id)
    if "include_participants" not in flags:
        return JSONResponse({"data": render.session(await api.db.read(fetch))})
    with_all = partial(fetch, with_participants=True)
    return await lists.item_answer(request, api, account_id, with_all, render.session)


@router.get(
    "/room_sessions/{room_session_id}/participants",
    **operation(
        "RetrieveListRoomParticipants",
        "List the participants of a session",
        200,
        "RoomParticipants",
        filters=queries.PARTICIPANTS_OF_SESSION,
        scopes=[READ, MODERATE],
    ),
)
async def list_participants(
    request: Request, api: Api, account_id: AccountId, room_session_id: RoomSessionId
) -> Response:
    """Participants of one session, latest join first. Whoever comes back is a new participant."""
    query = queries.read_list(request, queries.PARTICIPANTS_OF_SESSION)
    fetch = partial(
        listing.list_participants,
        account_id=account_id,
        page=query.page,
        conditions=query.conditions,
        session_id=room_session_id,
    )
    return await lists.list_answer(request, api, account_id, query.page, fetch, render.participant)


_DONE = {"data": {"result": "ok"}}


@router.post(
    "/room_sessions/{room_session_id}/actions/end",
    **operation("EndSession", "End a session", 200, "ActionResult", body=(), scopes=[MODERATE]),
)
async def end(api: Api, caller: Caller, room_session_id: RoomSessionId, body: Body) -> Response:
    """Everybody in it is disconnected. Whoever joins the room afterwards begins its next session."""
    casting.cast((), body)
    act = partial(moderation.end, account_id=caller.account_id, session_id=room_session_id, now=api.clock())
    await api.change(caller, act, room_session_id)
    return JSONResponse(_DONE)


@router.post(
    "/room_sessions/{room_session_id}/actions/kick",
    **operation(
        "KickParticipantInSession",
        "Remove participants",
        200,
        "ActionResult",
        targets=[bodies.REVOKE],
        scopes=[MODERATE],
    ),
)
async def kick(api: Api, caller: Caller, room_session_id: RoomSessionId, body: Body) -> Response:
    """Disconnect participants. They may join again with a valid token, unless it is revoked here."""
    whom, members = targets.parse(body, [bodies.REVOKE])
    revoke = members["revoke"] is True
    kicking = partial(moderation.kick, account_id=caller.account_id, session_id=room_session_id, targets=whom)
    await api.change(caller, partial(kicking, revoke=revoke, now=api.clock()), room_session_id, _named(whom, revoke))
    return JSONResponse(_DONE)


@router.post(
    "/room_sessions/{room_session_id}/actions/mute",
    **operation("MuteParticipantInSession", "Mute participants", 200, "ActionResult", targets=(), scopes=[MODERATE]),
)
async def mute(api: Api, caller: Caller, room_session_id: RoomSessionId, body: Body) -> Response:
    """Nobody hears them, whatever they publish, until they are unmuted or leave."""
    return await _set_muted(api, caller, room_session_id, body, muted=True)


@router.post(
    "/room_sessions/{room_session_id}/actions/unmute",
    **operation(
        "UnmuteParticipantInSession", "Unmute participants", 200, "ActionResult", targets=(), scopes=[MODERATE]
    ),
)
async def unmute(api: Api, caller: Caller, room_session_id: RoomSessionId, body: Body) -> Response:
    """They are heard again."""
    return await _set_muted(api, caller, room_session_id, body, muted=False)


async def _set_muted(
    api: Context, caller: CallerOfOperation, session_id: str, body: object, *, muted: bool
) -> Response:
    whom, _ = targets.parse(body)
    act = partial(moderation.set_muted, account_id=caller.account_id, session_id=session_id, targets=whom)
    await api.change(caller, partial(act, muted=muted, now=api.clock()), session_id, _named(whom))
    return JSONResponse(_DONE)


def _named(whom: Targets, revoke: bool = False) -> Callable[[object], str]:
    """For the audit log: who was meant, and whether their tokens were revoked."""
    named = "all" if whom.listed is None else ", ".join(sorted(whom.listed))
    but = f" but {', '.join(sorted(whom.excluded))}" if whom.excluded else ""
    return lambda _: f"participants: {named}{but}{'; tokens revoked' if revoke else ''}"
