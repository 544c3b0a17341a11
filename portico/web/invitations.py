"""Meeting links: whoever holds one gets join tokens for its room, without an API key."""

import asyncio
import codecs
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from starlette.requests import ClientDisconnect

from portico.core.addresses import network
from portico.core.errors import NotFound, TooManyRequests
from portico.core.rate import Buckets, Limit
from portico.db import schema
from portico.db.engine import Database, Transaction
from portico.services import tokens
from portico.services.tokens import ClientToken, TokenKeys

BODY_MAX = 1024
"""Bytes. Anybody may ask, so nobody gets to fill our memory."""
BODY_SECS = 5
UUID_LENGTH = 36
ASKING_MAX = 10_000
"""Pairs of room and address whose requests are remembered; those longest silent are forgotten."""


GRANT = "portico_grant"
GRANT_SECS = 24 * 3600
"""How long a browser keeps its grant: no longer than a revocation is remembered (tokens.LONGEST_LIFE)."""


def router(
    db: Database,
    keys: TokenKeys,
    clock: Callable[[], datetime],
    limit: Limit,
    base_url: str = "",
    monotonic: Callable[[], int] = time.monotonic_ns,
) -> APIRouter:
    """POST /meet/{room_id}/token, for the meeting page.

    `limit` says how many tokens each address gets for each room, and how often each may be wrong. `base_url` is
    where browsers reach this server.
    """
    reached = urlsplit(base_url)
    invitations = APIRouter(include_in_schema=False)
    given, wrong = Buckets(limit, ASKING_MAX), Buckets(limit, ASKING_MAX)

    @invitations.post("/meet/{room_id}/token", status_code=201)
    async def redeem(room_id: str, request: Request, response: Response) -> dict[str, Any]:
        """Tokens and what the lobby shows of the room; 404 for a wrong link and for a room that is gone.

        The browser gets a grant as a cookie. Shown again, it makes all its tokens for this room one family: who was
        removed with `revoke` gets 403.
        """
        shown = request.cookies.get(GRANT)
        if tokens.granted(keys, room_id, shown) is None:
            shown = tokens.grant(keys, room_id)
        source = network(request.client.host if request.client else "")
        for_room = f"{room_id[:UUID_LENGTH]} {source}"
        if wait := max(given.wait_secs(for_room, monotonic()), wrong.wait_secs(source, monotonic())):
            raise TooManyRequests(wait, "Tokens for meetings were asked for too often from this address")
        try:
            invitation = await _invitation(request)
            redeem = partial(_redeem, keys=keys, room_id=room_id, invitation=invitation, shown=shown, now=clock())
            token, room = await db.read(redeem)
        except NotFound:
            wrong.take(source, monotonic())
            raise
        given.take(for_room, monotonic())
        assert token.refresh_token_expires_at is not None and shown is not None
        response.set_cookie(
            GRANT,
            shown,
            max_age=GRANT_SECS,
            path=f"{reached.path}/meet/{room_id}",
            secure=reached.scheme == "https",
            httponly=True,
            samesite="strict",
        )
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
    tx: Transaction, keys: TokenKeys, room_id: str, invitation: str, shown: str | None, now: datetime
) -> tuple[ClientToken, dict[str, Any]]:
    token = tokens.redeem(tx, keys, room_id, invitation, shown=shown, now=now)
    columns = schema.rooms.c.unique_name, schema.rooms.c.max_participants
    room = tx.execute(select(*columns).where(schema.rooms.c.id == room_id)).one_or_none()
    if room is None:
        raise NotFound
    return token, dict(room._mapping)
