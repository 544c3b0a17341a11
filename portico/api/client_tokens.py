"""Endpoints that make and refresh the tokens with which browsers join a room."""

from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from portico.api import bodies, render
from portico.api.bodies import Body
from portico.api.context import AccountId, Api
from portico.api.openapi import operation
from portico.api.paths import RoomId
from portico.core import casting
from portico.core.scopes import ROOMS
from portico.core.tokens import Permissions
from portico.services import tokens

router = APIRouter(prefix="/v2", tags=["Rooms Client Tokens"])


@router.post(
    "/rooms/{room_id}/actions/generate_join_client_token",
    **operation(
        "CreateRoomClientToken",
        "Make a token to join a room",
        201,
        "CreatedClientToken",
        body=(*bodies.GENERATE, *bodies.PERMISSIONS),
        scopes=[ROOMS],
    ),
)
async def generate(api: Api, account_id: AccountId, room_id: RoomId, body: Body) -> Response:
    """Give the client token to a browser: it admits to this room until it expires. A running call outlives it."""
    members: dict[str, Any] = casting.with_defaults((*bodies.GENERATE, *bodies.PERMISSIONS), body)
    allowed = Permissions(**{member.name: members.pop(member.name) for member in bodies.PERMISSIONS})
    make = partial(tokens.generate, keys=api.keys, account_id=account_id, room_id=room_id, now=api.clock())
    token = await api.db.read(partial(make, permissions=allowed, **members))
    return JSONResponse({"data": render.client_token(token)}, 201)


@router.post(
    "/rooms/{room_id}/actions/refresh_client_token",
    **operation(
        "RefreshRoomClientToken",
        "Refresh a client token",
        201,
        "RefreshedClientToken",
        body=bodies.REFRESH,
        scopes=None,
    ),
)
async def refresh(api: Api, room_id: RoomId, body: Body) -> Response:
    """Needs no API key, so a browser may call it. The refresh token is not used up."""
    members: dict[str, Any] = casting.with_defaults(bodies.REFRESH, body)
    token = await api.db.read(partial(tokens.refresh, keys=api.keys, room_id=room_id, now=api.clock(), **members))
    return JSONResponse({"data": render.client_token(token)}, 201)
