"""Endpoints that issue and refresh the tokens with which browsers join a room."""

from functools import partial
from typing import Any

from starlette.responses import Response

from portico.api import bodies, render
from portico.api.answers import JSONResponse
from portico.api.call import Call
from portico.api.openapi import operation
from portico.api.routing import Router
from portico.core import casting
from portico.core.scopes import ROOMS
from portico.core.tokens import Permissions
from portico.services import tokens

router = Router("Rooms Client Tokens")


@router.post(
    "/rooms/{room_id}/actions/generate_join_client_token",
    operation(
        "CreateRoomClientToken",
        "Make a token to join a room",
        201,
        "CreatedClientToken",
        body=(*bodies.GENERATE, *bodies.PERMISSIONS),
        scopes=[ROOMS],
    ),
)
async def generate(call: Call) -> Response:
    """Give the client token to a browser: with it the browser may join this room until it expires. A running call goes
    on after that."""
    members: dict[str, Any] = casting.with_defaults((*bodies.GENERATE, *bodies.PERMISSIONS), call.body)
    allowed = Permissions(**{member.name: members.pop(member.name) for member in bodies.PERMISSIONS})
    make = partial(
        tokens.generate, keys=call.context.keys, account_id=call.account_id, room_id=call.object_id, now=call.now()
    )
    token = await call.read(partial(make, permissions=allowed, **members))
    return JSONResponse({"data": render.client_token(token)}, 201)


@router.post(
    "/rooms/{room_id}/actions/refresh_client_token",
    operation(
        "RefreshRoomClientToken",
        "Refresh a client token",
        201,
        "RefreshedClientToken",
        body=bodies.REFRESH,
        scopes=None,
    ),
)
async def refresh(call: Call) -> Response:
    """This operation needs no API key, so a browser may call it. The refresh token can be used again."""
    members: dict[str, Any] = casting.with_defaults(bodies.REFRESH, call.body)
    token = await call.read(
        partial(tokens.refresh, keys=call.context.keys, room_id=call.object_id, now=call.now(), **members)
    )
    return JSONResponse({"data": render.client_token(token)}, 201)
