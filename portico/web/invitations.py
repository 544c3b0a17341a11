"""Meeting links: whoever holds one gets join tokens for its room, without an API key."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select

from portico.core.errors import NotFound
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import tokens
from portico.services.tokens import ClientToken, TokenKeys


class Invitation(BaseModel):
    """What the page knows: the fragment of its own address."""

    invite: str = Field(max_length=64)


def router(db: Database, keys: TokenKeys, clock: Callable[[], datetime]) -> APIRouter:
    """POST /meet/{room_id}/token, for the meeting page."""
    invitations = APIRouter(include_in_schema=False)

    @invitations.post("/meet/{room_id}/token", status_code=201)
    async def redeem(room_id: str, invitation: Invitation) -> dict[str, Any]:
        """Tokens and what the lobby shows of the room; 404 for a wrong link and for a room that is gone."""
        redeem = partial(_redeem, keys=keys, room_id=room_id, invitation=invitation.invite, now=clock())
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


def _redeem(
    tx: Transaction, keys: TokenKeys, room_id: str, invitation: str, now: datetime
) -> tuple[ClientToken, dict[str, Any]]:
    token = tokens.redeem(tx, keys, room_id, invitation, now=now)
    columns = schema.rooms.c.unique_name, schema.rooms.c.max_participants
    room = tx.execute(select(*columns).where(schema.rooms.c.id == room_id)).one_or_none()
    if room is None:
        raise NotFound
    return token, dict(room._mapping)
