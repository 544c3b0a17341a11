"""Meeting links: their holders see the room and get join tokens for it, without an API key."""

import asyncio
import codecs
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from portico.core.addresses import network
from portico.core.errors import Forbidden, NotFound, TooManyRequests
from portico.core.rate import Buckets, Limit
from portico.core.tokens import TOKEN_LENGTH_MAX
from portico.db.engine import Database, Transaction
from portico.services import meetings, tokens
from portico.services.meetings import GuestView
from portico.services.shared_buckets import SharedBuckets
from portico.services.tokens import ClientToken, TokenKeys

BODY_MAX = 1024
"""Largest body of a request with an invitation, in bytes: such requests need no key, so their size is bounded."""
BODY_SECS = 5
UUID_LENGTH = 36
ASKING_MAX = 10_000
"""Pairs of room and address whose requests are counted; the one whose last request is oldest is forgotten."""
_NOT_VALID = "This meeting link is not valid."
_TOO_OFTEN = "Meetings were asked for too often from this address"
GRANT = "portico_grant"
GRANT_SECS = 24 * 3600
"""How long a browser keeps its grant: no longer than a revocation is remembered (tokens.LONGEST_LIFE)."""


def routes(
    db: Database,
    keys: TokenKeys,
    clock: Callable[[], datetime],
    limit: Limit,
    base_url: str = "",
    monotonic: Callable[[], int] = time.monotonic_ns,
) -> list[Route]:
    """POST /meet/{room_id}/room and POST /meet/{room_id}/token, for the meeting page.

    `limit` says how many tokens each address gets for each room, and how often each may be wrong. `base_url` is
    where browsers reach this server.
    """
    invitations = _Invitations(db, keys, clock, limit, base_url, monotonic)
    return [
        Route("/meet/{room_id}/room", invitations.look, methods=["POST"]),
        Route("/meet/{room_id}/token", invitations.redeem, methods=["POST"]),
    ]


class _Invitations:
    """The endpoints for holders of meeting links, with the counts of their requests."""

    def __init__(
        self,
        db: Database,
        keys: TokenKeys,
        clock: Callable[[], datetime],
        limit: Limit,
        base_url: str,
        monotonic: Callable[[], int],
    ) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock
        self._monotonic = monotonic
        self._reached = urlsplit(base_url)
        self._given = SharedBuckets(limit, ASKING_MAX, "link", db, monotonic)
        self._wrong = Buckets(limit, ASKING_MAX)

    async def look(self, request: Request) -> Response:
        """What the lobby shows of the room, for an invitation (404 if it is wrong) or access token (403 if wrong)."""
        room_id = request.path_params["room_id"]
        async with _counting_wrong(self._wrong, _source(request), self._monotonic):
            proof = await _body(request, BODY_MAX + TOKEN_LENGTH_MAX)
            look = partial(_look, keys=self._keys, room_id=room_id, proof=proof, now=self._clock())
            view = await self._db.read(look)
        return JSONResponse({"data": asdict(view)})

    async def redeem(self, request: Request) -> Response:
        """Tokens, and the members of the room that the lobby shows; 404 for a wrong link and for a deleted room.

        The browser gets a cookie that names its grant. While the browser shows it, all its tokens for this room are of
        that grant, so a participant who was kicked with `revoke` gets 403.
        """
        room_id, shown = request.path_params["room_id"], request.cookies.get(GRANT)
        if shown is None or tokens.granted(self._keys, room_id, shown) is None:
            shown = tokens.grant(self._keys, room_id)
        source = _source(request)
        for_room = f"{room_id[:UUID_LENGTH]} {source}"
        async with _counting(self._given, for_room), _counting_wrong(self._wrong, source, self._monotonic):
            invitation = _invitation(await _body(request, BODY_MAX))
            redeem = partial(_redeem, keys=self._keys, room_id=room_id, invitation=invitation, shown=shown)
            token, view = await self._db.read(partial(redeem, now=self._clock()))
        response = JSONResponse({"data": _tokens(token) | {"room": asdict(view)}}, 201)
        response.set_cookie(
            GRANT,
            shown,
            max_age=GRANT_SECS,
            path=f"{self._reached.path}/meet/{room_id}",
            secure=self._reached.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response


def _tokens(token: ClientToken) -> dict[str, object]:
    assert token.refresh_token_expires_at is not None
    return {
        "token": token.token,
        "token_expires_at": token.token_expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "refresh_token": token.refresh_token,
        "refresh_token_expires_at": token.refresh_token_expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


@contextlib.asynccontextmanager
async def _counting(buckets: SharedBuckets, caller: str) -> AsyncIterator[None]:
    """Count a request before the block tries it, for many may be tried at once. One that fails does not count."""
    if wait := (await buckets.take(caller)).wait_secs:
        raise TooManyRequests(wait, _TOO_OFTEN)
    try:
        yield
    except BaseException:
        buckets.give_back(caller)
        raise


@contextlib.asynccontextmanager
async def _counting_wrong(buckets: Buckets, caller: str, now: Callable[[], int]) -> AsyncIterator[None]:
    """Count a request that the block tries: only one that is refused as Forbidden or NotFound counts."""
    if wait := buckets.take(caller, now()).wait_secs:
        raise TooManyRequests(wait, _TOO_OFTEN)
    is_wrong = False
    try:
        yield
    except (Forbidden, NotFound):
        is_wrong = True
        raise
    finally:
        if not is_wrong:
            buckets.give_back(caller)


def _source(request: Request) -> str:
    return network(request.client.host if request.client else "")


async def _body(request: Request, bytes_max: int) -> object:
    """The parsed body; NotFound for what is no JSON, too large or too slow, as for a wrong link."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise NotFound(_NOT_VALID)
        return msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (TimeoutError, ClientDisconnect, msgspec.MsgspecError, RecursionError, ValueError):
        raise NotFound(_NOT_VALID) from None


def _invitation(body: object) -> str:
    """The invitation in {"invite": "..."}; NotFound for any other body."""
    match body:
        case {"invite": str(invitation)}:
            return invitation
    raise NotFound(_NOT_VALID)


def _look(tx: Transaction, keys: TokenKeys, room_id: str, proof: object, now: datetime) -> GuestView:
    match proof:
        case {"token": str(token)}:
            tokens.check_access(tx, keys, room_id, token, now=now)
        case _:
            tokens.check_invitation(tx, keys, room_id, _invitation(proof))
    return meetings.guest_view(tx, room_id)


def _redeem(
    tx: Transaction, keys: TokenKeys, room_id: str, invitation: str, shown: str | None, now: datetime
) -> tuple[ClientToken, GuestView]:
    token = tokens.redeem(tx, keys, room_id, invitation, shown=shown, now=now)
    return token, meetings.guest_view(tx, room_id)
