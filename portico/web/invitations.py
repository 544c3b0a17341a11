"""Meeting links: whoever holds one gets join tokens for its room, without an API key."""

import asyncio
import codecs
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.requests import ClientDisconnect

from portico.core.errors import NotFound
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import tokens
from portico.services.tokens import ClientToken, TokenKeys

BODY_MAX = 1024
"""Bytes. Anybody may ask, so nobody gets to fill our memory."""
BODY_SECS = 5


def router(db: Database, keys: TokenKeys, clock: Callable[[], datetime]) -> APIRouter:
    """POST /meet/{room_id}/token, for the meeting page."""
    invitations = APIRouter(include_in_schema=False)

    @invitations.post("/meet/{room_id}/token", status_code=201)
    async def redeem(room_id: str, request: Request) -> dict[str, Any]:
        """Tokens and what the lobby shows of the room; 404 for a wrong link and for a room that is gone."""
        invitation = await _invitation(request)
        redeem = partial(_redeem, keys=keys, room_id=room_id, invitation=invitation, now=clock())
        token, room = await db.read(redeem)
        assert token.refresh_token_expires_at is not None
        return {
            "data": {
                "token": token.token,
                "token_expires_at": token.token_expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "refresh_token": token.refresh_token,
                "refresh_token_expires_at": token.refresh_token_expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "room": room,
            }
        }

    return invitations


async def _invitation(request: Request) -> str:
    """The invitation in a body of {"invite": "..."}; NotFound for any other, as for a wrong one."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_MAX:
                    raise NotFound("This meeting link is not valid.")
        members = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (TimeoutError, ClientDisconnect, msgspec.MsgspecError, RecursionError, ValueError):
        raise NotFound("This meeting link is not valid.") from None
    match members:
        case {"invite": str(invitation)}:
            return invitation
    raise NotFound("This meeting link is not valid.")


def _redeem(
    tx: Transaction, keys: TokenKeys, room_id: str, invitation: str, now: datetime
) -> tuple[ClientToken, dict[str, Any]]:
    token = tokens.redeem(tx, keys, room_id, invitation, now=now)
    columns = schema.rooms.c.unique_name, schema.rooms.c.max_participants
    room = tx.execute(select(*columns).where(schema.rooms.c.id == room_id)).one_or_none()
    if room is None:
        raise NotFound
    return token, dict(room._mapping)
