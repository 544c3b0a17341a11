"""One browser's connection: its socket, its socket to Janus, and the dialect between them."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any

import aiohttp
import structlog

from portico.core.errors import Busy, JoinRefused
from portico.core.ice import RENEWED_AFTER
from portico.gateway import seats
from portico.gateway.admission import TOKEN_LEEWAY, Admission, NotAdmitted
from portico.gateway.browser_socket import BrowserSocket, NothingReceived, Receive, Send, SocketClosed, TooSlow
from portico.gateway.context import GatewayContext
from portico.gateway.deadlines import Deadlines
from portico.gateway.janus_socket import JanusSocket
from portico.gateway.leaving import LEFT_REASONS, End, Leaving
from portico.gateway.recorder import Recorder
from portico.gateway.registry import Entered
from portico.janus.errors import JanusUnavailable
from portico.listener.connections import ClientConnection
from portico.services import room_streams
from portico.signaling.control import MediaRoom
from portico.signaling.dialect import Dialect
from portico.signaling.effects import (
    Admit,
    CheckToken,
    ClaimStream,
    Close,
    CloseCode,
    Effect,
    ExpectJoin,
    ExpectMedia,
    Expel,
    LogWarning,
    NotePublished,
    NoteUnpublished,
    ScheduleDue,
    ToClient,
    ToJanus,
)
from portico.signaling.stream_ids import StreamIds

log = structlog.get_logger()

FIRST_MESSAGE_SECS = 10
"""How long a new socket may take to send its first message, and a refused browser to send the request whose answer has
the reason."""
JANUS_SECS = 5
"""How long Janus may take to make the room and to accept a socket."""
VERDICT_SECS = 5
"""How long a connection that lost its Janus socket stays open, so that `Gateway.janus_lost` can close it first when all
of Janus is lost."""
LEAVE_SECS = 5
"""How long the freeing of a seat waits for the leave of its participant to be written."""
JOIN_SECS = 30
"""The longest time from the setup of the data channel to the join: until then the browser may receive messages while no
list of participants shows it. The SDK gives up after 30 s, too."""
CLAIM_AGAIN_SECS = 1.0
"""Pause before a stream id is claimed again that the database did not take. The call goes on, without the stream."""
KICK_SECS = 0.6
"""How long a kicked browser may take to close its socket."""


class Connection:
    """Relays messages strictly in order, and performs the effects of its dialect.

    It ends once, for one reason (an End). After that the participant, if there is one, has left.
    """

    def __init__(
        self,
        room_id: str,
        receive: Receive,
        send: Send,
        context: GatewayContext,
        client: ClientConnection | None = None,
    ) -> None:
        self.room_id = room_id
        self._client = client
        self._browser = BrowserSocket(receive, send)
        self._context = context
        self.owner = secrets.token_hex(12)
        self._dialect = Dialect(self.owner)
        self._admission = Admission(context, room_id, self, client)
        self._deadlines = Deadlines()
        self._janus: JanusSocket | None = None
        self._end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._kicked = False
        self._ping_requested_at: datetime | None = None
        self._recorder: Recorder | None = None  # of a participant in a recorded session
        self._log = log.bind(room_id=room_id)

    async def run(self) -> None:
        """Serve the open socket until its end, and until the leave of its participant is written."""
        self._start(self._from_browser())
        try:
            end = await self._end
        except asyncio.CancelledError:
            end = End(None, "the server stops", "server_stopped")
        finally:
            for task in self._tasks:
                task.cancel()
            self._deadlines.cancel()
        parts = self._browser, self._dialect, self._admission, self._janus, self._recorder
        leaving = Leaving(self._context, self._log, *parts, end)
        # Cancelling this task, as a stop of the server does, must not leave the participant in the room.
        await asyncio.shield(asyncio.create_task(leaving.run()))

    # What the registry and the gateway use.

    @property
    def dialect(self) -> Dialect:
        """The state of the conversation, for reading only."""
        return self._dialect

    @property
    def participant_id(self) -> str | None:
        """The id of the participant, once admitted."""
        return self._dialect.participant_id

    @property
    def is_ending(self) -> bool:
        """Whether the connection has an End. Its sockets may be open and its leave unwritten for a moment."""
        return self._end.done()

    @property
    def grant_id(self) -> str | None:
        """The grant id of the token that was accepted last; None before the first."""
        return self._admission.claims.grant_id if self._admission.claims is not None else None

    @property
    def has_seat(self) -> bool:
        """Whether the participant is in the room."""
        return self._admission.has_seat

    def close(self, code: CloseCode, reason: str) -> None:
        """End the connection with this close code and reason; returns at once."""
        self._end_with(code, reason, LEFT_REASONS.get(code, "left"))

    async def end_if_silent(self, within: float) -> bool:
        """End the connection unless its browser answers a ping in `within` seconds; True if its seat is free then."""
        if self._client is None or await self._client.answers(within):
            return False
        self._end_with(CloseCode.TIMED_OUT, "the browser does not answer", "timeout")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECS):
                await self._admission.left.wait()
        return self._admission.left.is_set()

    def request_ping(self, requested_at: datetime) -> None:
        """Ping the browser for another gateway, once for each request: its seat may be free."""
        if requested_at != self._ping_requested_at:
            self._ping_requested_at = requested_at
            assert self.participant_id is not None
            self._start(seats.answer(self, self._context.db, self.participant_id, requested_at))

    def text_joined(self, room: int, username: str) -> None:
        """Act on Janus' report that a data channel of this connection joined a TextRoom."""
        self._start(self._perform_of(partial(self._dialect.text_joined, room, username)))

    def bridge_left(self, member: int) -> None:
        """Act on Janus' report that the AudioBridge does not list this member any more."""
        self._start(self._perform_of(partial(self._dialect.bridge_left, member)))

    def path_lost(self) -> None:
        """Act on the finding that no packet of the browser has arrived for too long."""
        self._start(self._perform_of(self._dialect.path_lost))

    def kick(self) -> None:
        """Have Janus report the kick, at which the SDK leaves; end the connection after KICK_SECS otherwise."""
        if not self._kicked:
            end = partial(self._end_with, CloseCode.REMOVED, "The participant was removed.", "kicked")
            self._deadlines.fix_end_in(KICK_SECS, end)
            self._kicked = True
            self._start(self._perform_of(self._dialect.kick))

    def set_muted(self, muted: bool) -> None:
        """Mute or unmute the participant, as the API has written."""
        if effects := self._dialect.mute(muted):
            self._start(self._perform(effects))

    def set_room_on_disk(self, enough: bool) -> None:
        """Pause recording while the disk has no room; resume it when it has."""
        if self._recorder is not None:
            self._recorder.set_room_on_disk(enough)

    # Tasks and their end.

    def _end_with(self, code: CloseCode | None, text: str, left_reason: str, *, at_once: bool = False) -> None:
        if not self._end.done():
            self._end.set_result(End(code, text, "kicked" if self._kicked else left_reason, at_once))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except Exception:  # noqa: BLE001  it ends this connection, not the server
                self._log.exception("connection failed")
                self._end_with(CloseCode.FAILED, "internal error", "timeout")

        task = asyncio.create_task(guarded())
        # A task that is cancelled before it begins does not await `work`, which would warn if it were not closed.
        task.add_done_callback(lambda _: work.close())
        self._tasks = [other for other in self._tasks if not other.done()] + [task]
        return task

    async def _from_browser(self) -> None:
        within: float | None = FIRST_MESSAGE_SECS
        try:
            while True:
                message = await self._browser.receive(within)
                within = None
                await self._perform(self._dialect.from_client(message))
        except NothingReceived:
            self._end_with(CloseCode.TIMED_OUT, "no request arrived", "timeout")
        except SocketClosed as closed:
            by_choice = self._dialect.left_by_request or closed.by_choice
            self._end_with(None, str(closed), "left" if by_choice else "timeout")

    async def _from_janus(self, janus: JanusSocket) -> None:
        async for message in janus.messages():
            await self._perform(self._dialect.from_janus(message))
        # When all of Janus is lost, Gateway.janus_lost closes this connection with the code that says so.
        await asyncio.sleep(VERDICT_SECS)
        self._end_with(CloseCode.MEDIA_LOST, "the media server closed the connection", "timeout")

    # Effects of the dialect.

    async def _perform_of(self, call: Callable[[], list[Effect]]) -> None:
        """Perform the effects that `call`, a method of the dialect, returns.

        The dialect is called by the task that performs, not when the task is made: between the two another task could
        perform later effects first, and messages to the browser would change their order.
        """
        await self._perform(call())

    async def _perform(self, effects: list[Effect]) -> None:
        # All are queued before the first await: another task's messages go after them, or before, but not between.
        self._browser.queue(effect.message for effect in effects if isinstance(effect, ToClient))
        for effect in effects:
            match effect:
                case ToClient():
                    await self._send_to_browser()
                case ToJanus(message):
                    assert self._janus is not None
                    if not await self._janus.send(message):
                        self._log.warning("Janus does not take a message")  # its supervisor restarts it
                case CheckToken(token):
                    await self._perform(await self._check_token(token))
                case Admit():
                    await self._perform(await self._admit(effect))
                case ClaimStream(stream_id, participant_id):
                    is_ours = await self._claim_stream(stream_id, participant_id)
                    await self._perform(self._dialect.stream_claimed(stream_id, is_ours))
                case _:
                    self._perform_at_once(effect)

    def _perform_at_once(self, effect: Effect) -> None:
        """Perform an effect that waits for nothing."""
        match effect:
            case ExpectJoin(secs):
                self._deadlines.join_within(JOIN_SECS if secs is None else secs, self._end_unless_joining)
            case Expel(room, username):
                self._context.registry.expel(room, username)
            case ScheduleDue():
                self._call_in(effect, self._dialect.due)
            case ExpectMedia():
                self._call_in(effect, self._dialect.media_due)
            case NotePublished(stream) if self._recorder is not None:
                self._recorder.published(stream)
            case NoteUnpublished(handle) if self._recorder is not None:
                self._recorder.unpublished(handle)
            case LogWarning(text):
                self._log.warning(text)
            case Close(code, reason, at_once):
                self._end_with(code, reason, LEFT_REASONS.get(code, "left"), at_once=at_once)

    async def _send_to_browser(self) -> None:
        try:
            await self._browser.send()
        except TooSlow:
            self._end_with(None, "the browser is too slow", "timeout")

    def _call_in(self, effect: ScheduleDue | ExpectMedia, method: Callable[[int], list[Effect]]) -> None:
        def call(handle: int) -> None:
            self._start(self._perform_of(partial(method, handle)))

        self._deadlines.call_in(effect, call)

    def _end_unless_joining(self) -> None:
        if not self._admission.has_begun:
            self._end_with(CloseCode.TIMED_OUT, "no participant joined", "timeout")

    # Token and join.

    async def _check_token(self, token: str) -> list[Effect]:
        now = self._context.clock()
        try:
            claims = await self._admission.check_token(token, now)
            if claims is None:
                assert self._admission.entered is not None and self._admission.claims is not None
                entered, permissions = self._admission.entered, self._admission.claims.permissions
                return self._dialect.token_accepted(token, *_media_of(entered), permissions)
            is_first = self._admission.entered is None
            entered = self._admission.entered or await self._open_media()
        except NotAdmitted as refused:
            return self._refuse_token(refused.status, str(refused), refused.code)
        except (JoinRefused, Busy) as refused:
            self._log.warning("no room in Janus", error=str(refused))
            return self._refuse_token(503, str(refused), CloseCode.UNAVAILABLE)
        except (JanusUnavailable, aiohttp.ClientError, OSError, TimeoutError) as error:
            self._log.warning("no media", error=str(error))
            reason = "The media server is not available; try again in a moment."
            return self._refuse_token(503, reason, CloseCode.UNAVAILABLE)
        self._expire_at(claims.expires_at, now)
        ice_servers = self._context.ice.issue(claims.grant_id, now)
        if ice_servers and is_first:
            self._start(self._renew_ice(claims.grant_id))
        return self._dialect.token_accepted(token, *_media_of(entered), claims.permissions, ice_servers)

    async def _renew_ice(self, holder: str) -> None:
        while True:
            await asyncio.sleep(RENEWED_AFTER.total_seconds())
            servers = self._context.ice.issue(holder, self._context.clock())
            await self._perform_of(partial(self._dialect.renew_ice, servers))

    async def _open_media(self) -> Entered:
        """Enter the room inside Janus and open the socket to Janus."""
        if self._context.descriptors_are_short():
            raise JanusUnavailable("no descriptor is free for a socket to Janus")
        async with asyncio.timeout(JANUS_SECS):
            entered = await self._admission.enter_room()
            self._janus = await JanusSocket.open(self._context, entered.occupation.node.janus)
        self._admission.entered = entered
        self._janus.reader = self._start(self._from_janus(self._janus))
        return entered

    def _refuse_token(self, status: int, reason: str, code: CloseCode) -> list[Effect]:
        """Refuse the token. The dialect may keep the reason for the browser's next request, which has a deadline."""
        self._deadlines.end_in(FIRST_MESSAGE_SECS, partial(self._end_with, code, reason, "left"))
        return self._dialect.token_refused(status, reason)

    def _expire_at(self, instant: datetime, now: datetime) -> None:
        """At the token's expiry end the connection, unless a join was tried and expiry ends no running call."""

        def expire() -> None:
            if self._context.expiry_ends == "session" or not self._admission.has_begun:
                self._start(self._perform(self._dialect.token_expired()))

        self._deadlines.end_in((instant - now + TOKEN_LEEWAY).total_seconds(), expire)

    async def _admit(self, wanted: Admit) -> list[Effect]:
        try:
            joined = await self._admission.join(wanted)
        except NotAdmitted as refused:
            if refused.status != 503:
                self._log.info("join refused", participant_id=wanted.participant_id, reason=str(refused))
            return self._dialect.refused(refused.status, str(refused), refused.code)
        if joined.recorded:
            self._record(joined.participant_id)
        effects = self._dialect.admitted(joined.max_participants)
        self._log = self._log.bind(session_id=joined.session_id, participant_id=joined.participant_id)
        self._log.info("participant joined")
        return effects

    async def _claim_stream(self, stream_id: str, participant_id: str) -> bool:
        """Whether the participant owns this stream id from now on; waits while the database does not answer."""
        claim = partial(room_streams.claim, participant_id=participant_id, stream_id=stream_id)
        while True:
            with contextlib.suppress(Busy):
                return await self._context.db.write(partial(claim, now=self._context.clock()))
            await asyncio.sleep(CLAIM_AGAIN_SECS)

    def _record(self, participant_id: str) -> None:
        async def record(handle: int, mjr_name: str | None) -> None:
            await self._perform(self._dialect.record(handle, mjr_name))

        assert self._admission.entered is not None
        node_id = self._admission.entered.occupation.node.id
        self._recorder = Recorder(
            self._context.db,
            participant_id,
            record,
            self._context.clock,
            node_id=node_id,
            room_on_disk=self._context.registry.has_room_on_disk(node_id),
        )
        self._start(self._recorder.run())


def _media_of(entered: Entered) -> tuple[MediaRoom, StreamIds]:
    return entered.occupation.media, entered.streams
