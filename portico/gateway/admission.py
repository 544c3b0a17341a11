"""Admission of one connection: the check of its tokens, its entry into Janus' room, and the join of its participant."""

import asyncio
import time
from datetime import datetime, timedelta
from functools import partial

from portico.core import tokens
from portico.core.errors import Busy, GatewayLost, JoinRefused, MediaBusy, RoomFull, TokenRevoked
from portico.core.tokens import Claims
from portico.db.engine import Transaction
from portico.gateway import seats
from portico.gateway.context import GatewayContext
from portico.gateway.registry import Entered, RoomConnection
from portico.listener.connections import ClientConnection
from portico.services import participants, rooms
from portico.services import tokens as client_tokens
from portico.services.participants import Joined
from portico.signaling.effects import Admit, CloseCode

TOKEN_LEEWAY = timedelta(seconds=5)
"""How long after its expiry a token is still accepted: the clocks of its maker and of this host may differ."""
TOKEN_CHECK_SECS = 45
"""How long a running call that shows another token waits for a database that does not answer. The browser's messages
wait meanwhile, and Janus ends a session after 60 s without one."""

_REFUSALS: dict[type[JoinRefused], CloseCode] = {
    RoomFull: CloseCode.ROOM_FULL,
    TokenRevoked: CloseCode.TOKEN_REFUSED,
}
"""The close codes of refused joins by their errors; REFUSED for the others."""


class NotAdmitted(Exception):
    """The token or the join is refused. str() is the reason for the browser, without secrets."""

    def __init__(self, status: int, reason: str, code: CloseCode) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code


class Admission:
    """Admits one connection: first its token, then its participant."""

    def __init__(
        self, context: GatewayContext, room_id: str, connection: RoomConnection, client: ClientConnection | None
    ) -> None:
        self._context = context
        self._room_id = room_id
        self._connection = connection
        self._client = client
        self._joining_grant: str | None = None  # the grant id that this socket is counted for until it joins
        self._join: asyncio.Future[Joined] | None = None  # from the moment at which the row may be written
        self.claims: Claims | None = None
        """The claims of the newest token that was accepted; None before the first."""
        self.entered: Entered | None = None
        """The room inside Janus, once this connection has entered it and has a socket to Janus."""
        self.left = asyncio.Event()
        """Set when the leave of the participant is written."""

    @property
    def has_begun(self) -> bool:
        """Whether a join was tried: the participant may be in the room."""
        return self._join is not None

    @property
    def has_seat(self) -> bool:
        """Whether the participant is in the room: its join is written, and its leave is not."""
        join = self._join
        if join is None or not join.done() or join.cancelled() or join.exception() is not None:
            return False
        return not self.left.is_set()

    async def joined(self) -> Joined | None:
        """The result of the join, once it is written; None where no join was tried or it was refused."""
        if self._join is None:
            return None
        await asyncio.wait({self._join})
        if self._join.cancelled() or self._join.exception() is not None:
            return None
        return self._join.result()

    async def check_token(self, token: str, now: datetime) -> Claims | None:
        """The claims of a token that admits to the room. Raises NotAdmitted.

        None for a token that has expired and is valid otherwise, shown during a call: by default expiry ends no running
        call, and nothing changes (contract 4.3).
        """
        accepted = self._context.keys.accepted
        try:
            claims = tokens.verify(token, "access", accepted, room_id=self._room_id, now=now, leeway=TOKEN_LEEWAY)
        except tokens.TokenRefused as refused:
            expiry_ends_nothing = self._context.expiry_ends == "join" and self.entered is not None
            if refused.expired and expiry_ends_nothing and self.claims is not None:
                return None
            raise NotAdmitted(401, str(refused), CloseCode.TOKEN_REFUSED) from None
        try:
            complaint, max_participants = await self._read_about(claims)
        except Busy as busy:
            raise NotAdmitted(503, str(busy), CloseCode.UNAVAILABLE) from None
        if complaint:
            raise NotAdmitted(403, complaint, CloseCode.TOKEN_REFUSED)
        if not await self._count_joining(claims, max_participants):
            reason = "Too many connections with this token have not joined; try again in a moment."
            raise NotAdmitted(503, reason, CloseCode.UNAVAILABLE)
        if self.entered is None and self._media_is_full():
            reason = "The media server is full: no port is left for another participant."
            raise NotAdmitted(503, reason, CloseCode.UNAVAILABLE)
        return claims

    async def enter_room(self) -> Entered:
        """Enter the room inside Janus, which is made for its first connection. Raises as Registry.enter does."""
        return await self._context.registry.enter(self._room_id, self._connection)

    async def join(self, wanted: Admit) -> Joined:
        """Write that the participant joins, and register its connection. Raises NotAdmitted."""
        assert self.claims is not None, "a token is accepted before a participant is admitted"
        source = self._room_id, self.claims.grant_id, "" if self._client is None else self._client.address
        if wait := await self._context.join_limit.take(*source):
            reason = f"Too many joins with this token, or from this address: try again in {wait} s."
            raise NotAdmitted(429, reason, CloseCode.UNAVAILABLE)
        try:
            joined = await self._join_or_free_a_seat(wanted)
        except (JoinRefused, Busy) as error:
            self._context.join_limit.give_back(*source)
            if isinstance(error, GatewayLost | MediaBusy | Busy):
                raise NotAdmitted(503, str(error), CloseCode.UNAVAILABLE) from None
            raise NotAdmitted(403, str(error), _REFUSALS.get(type(error), CloseCode.REFUSED)) from None
        self.stop_joining()
        self._context.registry.admitted(joined.participant_id, self._connection)
        return joined

    def stop_joining(self) -> None:
        """Stop counting the socket among those that have not joined: its participant has, or the connection ends."""
        if self._joining_grant is not None:
            self._context.joining.leave(self._room_id, self._joining_grant)
            self._joining_grant = None

    def leave_room(self) -> None:
        """Forget the connection in the registry, which destroys Janus' room after its last connection."""
        self._context.registry.leave(self._room_id, self._connection, self._connection.dialect.participant_id)

    def _media_is_full(self) -> bool:
        """Whether the node of the room, or our own for a room that is on none, has no room for one more participant."""
        registry = self._context.registry
        occupation, own = registry.occupation_of(self._room_id), self._context.own_node
        node = occupation.node if occupation is not None else own
        present = len(registry.connections_of(self._room_id))
        return node is not None and node.janus.shortage(present) is not None

    async def _count_joining(self, claims: Claims, max_participants: int) -> bool:
        """Count the socket for its token instead of for its address; False when too many sockets have not joined."""
        if self._joining_grant is None and self._join is None:
            if not await self._context.joining.enter(self._room_id, claims.grant_id, max_participants):
                return False
            self._joining_grant = claims.grant_id
        if self._client is not None:
            self._client.admit()
        return True

    async def _read_about(self, claims: Claims) -> tuple[str | None, int]:
        """Read from the database (why the token is forbidden, None if it is not; max_participants of the room).

        The claims of a token that it allows are kept. Raises Busy when the database does not answer: in a running call
        after TOKEN_CHECK_SECS, and at once otherwise.
        """
        give_up_at = time.monotonic() + (TOKEN_CHECK_SECS if self._join is not None else 0)
        while True:
            try:
                complaint, max_participants = await self._context.db.read(partial(_read_about, claims=claims))
                if complaint is None:
                    await self._keep(claims)
                return complaint, max_participants
            except Busy:
                if time.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(1)

    async def _keep(self, claims: Claims) -> None:
        """Keep the claims. A token of another grant that a participant shows is written as one of the participant's
        tokens, so that a kick that revokes these revokes it as well."""
        known = self.claims
        if self._join is not None and (known is None or known.grant_id != claims.grant_id):
            joined = await asyncio.shield(self._join)
            show = partial(participants.show_token, participant_id=joined.participant_id, token=claims)
            await self._context.db.write(partial(show, now=self._context.clock()))
        self.claims = claims

    async def _join_or_free_a_seat(self, wanted: Admit) -> Joined:
        try:
            return await self._write_join(wanted)
        except RoomFull:
            grant_id = self.claims.grant_id if self.claims is not None else None
            here = self._context.registry.connections_of(self._room_id)
            if not await seats.free(here, grant_id) and not await self._free_elsewhere(grant_id):
                raise
            return await self._write_join(wanted)

    async def _free_elsewhere(self, grant_id: str | None) -> bool:
        elsewhere = self._context.seats_elsewhere
        if grant_id is None or elsewhere is None:
            return False
        return await elsewhere.free(self._room_id, grant_id, self._context.gateway_id)

    async def _write_join(self, wanted: Admit) -> Joined:
        join = partial(
            participants.join,
            room_id=self._room_id,
            participant_id=wanted.participant_id,
            context=wanted.context,
            gateway_id=self._context.gateway_id,
            now=self._context.clock(),
            grace=self._context.grace,
            token=self.claims,
            media_room_id=None if self.entered is None else self.entered.occupation.id,
        )
        # The write goes on when the connection ends meanwhile: the end has to know whether a leave must follow.
        self._join = asyncio.ensure_future(self._context.db.write(join))
        return await asyncio.shield(self._join)


def _read_about(tx: Transaction, claims: Claims) -> tuple[str | None, int]:
    """Read (why a token with a valid signature is refused, None if it is not; max_participants of its room)."""
    return client_tokens.complaint_about(tx, claims), rooms.max_participants(tx, claims.room_id)
