"""One browser's connection: its socket, its socket to Janus, and the dialect between them."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, repeat
from typing import Any

import aiohttp
import msgspec
import structlog

from portico.core import tokens
from portico.core.errors import Busy, GatewayLost, JoinRefused, RoomElsewhere, RoomFull, TokenRevoked
from portico.core.tokens import Claims
from portico.db.engine import Transaction
from portico.db.outage import faults_logged
from portico.gateway import seats
from portico.gateway.browser_socket import BrowserSocket, NothingReceived, Receive, Send, SocketClosed, TooSlow
from portico.gateway.context import GatewayContext
from portico.gateway.recorder import Recorder
from portico.janus.errors import JanusUnavailable
from portico.listener.connections import Connection as Socket
from portico.services import participants, rooms
from portico.services import tokens as client_tokens
from portico.services.participants import Joined
from portico.signaling.control import MediaRoom
from portico.signaling.dialect import Dialect
from portico.signaling.effects import (
    Admit,
    CheckToken,
    Close,
    CloseCode,
    Effect,
    ExpectJoin,
    ExpectMedia,
    Expel,
    LogWarning,
    Message,
    NotePublished,
    NoteUnpublished,
    ScheduleDue,
    ToClient,
    ToJanus,
)

log = structlog.get_logger()

SUBPROTOCOL = "janus-protocol"
FIRST_MESSAGE_SECS = 10
"""A socket that says nothing by then is closed."""
TOLD_FIRST_SECS = 0.1
"""How long the end of a call waits for its browser to take the news; one that takes nothing must not stay for that."""
JANUS_SECS = 5
ROW_FIRST_SECS = 2
ANSWERED_SECS = 2
"""How long the end of a connection waits for Janus to answer the requests of its browser; it takes milliseconds."""
VERDICT_SECS = 5
"""How long a connection that lost Janus waits to hear whether all of Janus is gone."""
JOIN_SECS = 30
"""Until a browser with a data channel has to join: unseen, it may listen there. The SDK gives up after as long."""
KICK_SECS = 0.6
"""What a kicked browser has to leave by itself."""
TOKEN_LEEWAY = timedelta(seconds=5)
TOKEN_CHECK_SECS = 45
"""How long a running call that shows another token waits for a database that does not answer. Nothing of the browser
reaches Janus meanwhile, whose sessions end after 60 s without a request."""
JANUS_MESSAGE_MAX = 4 * 1024 * 1024
_LEFT_REASONS = {
    CloseCode.TIMED_OUT: "timeout",
    CloseCode.FAILED: "timeout",
    CloseCode.SESSION_ENDED: "session_ended",
    CloseCode.RESTART: "server_stopped",
    CloseCode.REMOVED: "kicked",
    CloseCode.MEDIA_LOST: "timeout",
}
"""left_reason of the participant whose connection is closed with a code; "left" for the other codes."""


_REFUSALS: dict[type[JoinRefused], CloseCode] = {
    RoomFull: CloseCode.ROOM_FULL,
    TokenRevoked: CloseCode.TOKEN_REFUSED,
}
"""Close codes of refused joins; REFUSED for the others."""


@dataclass(frozen=True, slots=True)
class _End:
    """How a connection ended: the close code to send (None when there is nobody to send it to), and the left_reason."""

    code: CloseCode | None
    text: str
    left_reason: str
    at_once: bool = False  # Janus' side is closed first


class Connection:
    """Relays strictly in order. It ends once, for one reason, and then the participant has left."""

    def __init__(
        self, room_id: str, receive: Receive, send: Send, context: GatewayContext, socket: Socket | None = None
    ) -> None:
        self._room_id = room_id
        self._socket = socket
        self._joining_as: str | None = None  # the family of the token for which it counts until it joins
        self._browser = BrowserSocket(receive, send)
        self._context = context
        self.owner = secrets.token_hex(12)
        self._dialect = Dialect(self.owner)
        self._janus: aiohttp.ClientWebSocketResponse | None = None
        self._hearing_janus: asyncio.Task[None] | None = None
        self._end: asyncio.Future[_End] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._expiry: asyncio.TimerHandle | None = None
        self._expected: asyncio.TimerHandle | None = None  # ends it unless its participant joins
        self._due: dict[int, asyncio.TimerHandle] = {}  # by handle
        self._media_due: dict[int, asyncio.TimerHandle] = {}  # by handle
        self._media: MediaRoom | None = None
        self._joining: asyncio.Future[Joined] | None = None  # set from the moment at which the participant may be in
        self._claims: Claims | None = None  # of the newest token that was accepted
        self._kicked = False
        self._left = asyncio.Event()  # that its participant left, if it had one, is written
        self._recorder: Recorder | None = None  # of a participant in a session that is recorded
        self._log = log.bind(room_id=room_id)

    async def run(self) -> None:
        """From the open socket to the last change."""
        self._start(self._from_browser())
        try:
            end = await self._end
        except asyncio.CancelledError:
            end = _End(None, "the server stops", "server_stopped")
        finally:
            for task in self._tasks:
                task.cancel()
            for timer in (self._expiry, self._expected, *self._due.values(), *self._media_due.values()):
                if timer is not None:
                    timer.cancel()
        await self._wind_up(end)

    @property
    def participant_id(self) -> str | None:
        """The participant, once admitted."""
        return self._dialect.participant_id

    @property
    def is_ending(self) -> bool:
        """Whether it has come to its end, of which all may not be written yet."""
        return self._end.done()

    def close(self, code: CloseCode, reason: str) -> None:
        """End the connection from outside; returns at once."""
        self._finish(code, reason, _LEFT_REASONS.get(code, "left"))

    @property
    def dialect(self) -> Dialect:
        """The conversation, to be read only."""
        return self._dialect

    def text_joined(self, room: int, username: str) -> None:
        """A data channel of this connection joined a TextRoom."""
        self._start(self._perform_now(partial(self._dialect.text_joined, room, username)))

    def bridge_left(self, member: int) -> None:
        """The AudioBridge does not list this member any more."""
        self._start(self._perform_now(partial(self._dialect.bridge_left, member)))

    def path_lost(self) -> None:
        """No packet of the browser has come for too long, while none of its media arrives."""
        self._start(self._perform_now(self._dialect.path_lost))

    @property
    def family(self) -> str | None:
        """Of the token that was accepted last."""
        return self._claims.family if self._claims is not None else None

    @property
    def has_seat(self) -> bool:
        """Whether its participant is in the room."""
        joining = self._joining
        if joining is None or not joining.done() or joining.cancelled() or joining.exception() is not None:
            return False
        return not self._left.is_set()

    async def end_if_silent(self, within: float) -> bool:
        """End the connection unless its browser answers a ping in so many seconds; True when its seat is free then."""
        if self._socket is None or await self._socket.answers(within):
            return False
        self._finish(CloseCode.TIMED_OUT, "the browser does not answer", "timeout")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(VERDICT_SECS):
                await self._left.wait()
        return self._left.is_set()

    def kick(self) -> None:
        """Its participant was sent away: the SDK leaves when it hears of it, whoever does not is thrown out."""
        if not self._kicked:
            self._end_in(KICK_SECS, lambda: self._finish(CloseCode.REMOVED, "The participant was removed.", "kicked"))
            self._kicked = True
            self._start(self._perform_now(self._dialect.kick))

    def set_muted(self, muted: bool) -> None:
        """Whether the API has muted its participant."""
        if effects := self._dialect.mute(muted):
            self._start(self._perform(effects))

    def set_room_on_disk(self, enough: bool) -> None:
        """Whether there is room to record."""
        if self._recorder is not None:
            self._recorder.set_room_on_disk(enough)

    def _finish(self, code: CloseCode | None, text: str, left_reason: str, *, at_once: bool = False) -> None:
        if not self._end.done():
            self._end.set_result(_End(code, text, "kicked" if self._kicked else left_reason, at_once))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except Exception:  # noqa: BLE001  the end of one connection, not of the server
                self._log.exception("connection failed")
                self._finish(CloseCode.FAILED, "internal error", "timeout")

        task = asyncio.create_task(guarded())
        task.add_done_callback(lambda _: work.close())  # one that was cancelled before it began was never awaited
        self._tasks = [other for other in self._tasks if not other.done()] + [task]
        return task

    # From the browser.

    async def _from_browser(self) -> None:
        within: float | None = FIRST_MESSAGE_SECS
        try:
            while True:
                message = await self._browser.receive(within)
                within = None
                await self._perform(self._dialect.from_client(message))
        except NothingReceived:
            self._finish(CloseCode.TIMED_OUT, "no request came", "timeout")
        except SocketClosed as closed:
            by_choice = self._dialect.said_goodbye or closed.by_choice
            self._finish(None, str(closed), "left" if by_choice else "timeout")

    async def _perform(self, effects: list[Effect]) -> None:
        self._browser.queue(effect.message for effect in effects if isinstance(effect, ToClient))
        for effect in effects:
            match effect:
                case ToClient():
                    await self._send_to_browser()
                case ToJanus(message):
                    await self._to_janus(message)
                case CheckToken(token):
                    await self._perform(await self._check(token))
                case Admit():
                    await self._perform(await self._admit(effect))
                case _:
                    self._carry_out(effect)

    async def _perform_now(self, ask: Callable[[], list[Effect]]) -> None:
        """The dialect is asked only when what it says is performed at once: words to the browser keep their order."""
        await self._perform(ask())

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case ExpectJoin(secs):
                self._expect_join(JOIN_SECS if secs is None else secs)
            case Expel(room, username):
                self._context.registry.expel(room, username)
            case ScheduleDue(handle, secs):
                self._say_due(self._due, handle, secs, self._dialect.due)
            case ExpectMedia(handle, secs):
                self._say_due(self._media_due, handle, secs, self._dialect.media_due)
            case NotePublished() | NoteUnpublished():
                self._note(effect)
            case LogWarning(text):
                self._log.warning(text)
            case Close(code, reason, at_once):
                self._finish(code, reason, _LEFT_REASONS.get(code, "left"), at_once=at_once)

    def _note(self, change: NotePublished | NoteUnpublished) -> None:
        if self._recorder is None:
            return
        match change:
            case NotePublished(stream):
                self._recorder.published(stream)
            case NoteUnpublished(handle):
                self._recorder.unpublished(handle)

    async def _check(self, token: str) -> list[Effect]:
        now = self._context.clock()
        try:
            claims = tokens.verify(
                token, "access", self._context.keys.accepted, room_id=self._room_id, now=now, leeway=TOKEN_LEEWAY
            )
        except tokens.TokenRefused as refused:
            # Expiry gates joining: in a running call a token that is otherwise good changes nothing (contract 4.3).
            goes_on = refused.expired and self._context.expiry_ends == "join"
            if goes_on and self._media is not None and self._claims is not None:
                return self._dialect.token_accepted(token, self._media, self._claims.permissions)
            return self._refuse(401, str(refused))
        try:
            complaint, max_participants = await self._read_about(claims)
        except Busy as busy:
            return self._refuse(503, str(busy))
        if complaint:
            return self._refuse(403, complaint)
        if not await self._enter(claims, max_participants):
            return self._refuse(503, "Too many connections with this token have not joined; try again in a moment.")
        present = len(self._context.registry.members(self._room_id))
        if self._media is None and self._context.node.shortage(present) is not None:
            return self._refuse(503, "The media server is full: no port is left for another participant.")
        try:
            media = self._media or await self._open_media()
        except (JanusUnavailable, aiohttp.ClientError, OSError, TimeoutError) as error:
            self._log.warning("no media", error=str(error))
            return self._refuse(503, "The media server is not available; try again in a moment.")
        self._expire_at(claims.expires_at, now)
        return self._dialect.token_accepted(token, media, claims.permissions)

    async def _enter(self, claims: Claims, max_participants: int) -> bool:
        """Count the socket for its token instead of for its address; False when there are too many of them."""
        if self._joining_as is None and self._joining is None:
            if not await self._context.joining.enter(self._room_id, claims.family, max_participants):
                return False
            self._joining_as = claims.family
        if self._socket is not None:
            self._socket.admit()
        return True

    def _end_joining(self) -> None:
        """Its participant has joined, or the connection ends."""
        if self._joining_as is not None:
            self._context.joining.leave(self._room_id, self._joining_as)
            self._joining_as = None

    async def _read_about(self, claims: Claims) -> tuple[str | None, int]:
        """Why the database forbids the token, if it does, and how many participants its room takes.

        A token that it allows is remembered. A running call waits for a database that does not answer; Busy after
        TOKEN_CHECK_SECS, and at once otherwise.
        """
        give_up_at = time.monotonic() + (TOKEN_CHECK_SECS if self._joining is not None else 0)
        while True:
            try:
                complaint, max_participants = await self._context.db.read(partial(_read_about, claims=claims))
                if complaint is None:
                    await self._remember(claims)
                return complaint, max_participants
            except Busy:
                if time.monotonic() >= give_up_at:
                    raise
            await asyncio.sleep(1)

    async def _remember(self, claims: Claims) -> None:
        """Whoever shows another holder's token during a call has that one too, should it come to be revoked."""
        known = self._claims
        if self._joining is not None and (known is None or known.family != claims.family):
            joined = await asyncio.shield(self._joining)
            show = partial(participants.show_token, participant_id=joined.participant_id, token=claims)
            await self._context.db.write(partial(show, now=self._context.clock()))
        self._claims = claims

    def _refuse(self, status: int, reason: str) -> list[Effect]:
        """The browser is told on its next request; one that sends none does not stay."""
        code = CloseCode.UNAVAILABLE if status == 503 else CloseCode.TOKEN_REFUSED
        self._end_in(FIRST_MESSAGE_SECS, lambda: self._finish(code, reason, "left"))
        return self._dialect.token_refused(status, reason)

    async def _open_media(self) -> MediaRoom:
        """The room's numbers, after the rooms exist in Janus and our socket to it is open."""
        if self._context.descriptors_are_short():
            raise JanusUnavailable("no descriptor is free for a socket to Janus")
        async with asyncio.timeout(JANUS_SECS):
            media = await self._context.registry.enter(self._room_id, self)
            self._janus = await self._context.janus.ws_connect(
                self._context.node.url, protocols=(SUBPROTOCOL,), max_msg_size=JANUS_MESSAGE_MAX, compress=0
            )
        self._media = media
        self._hearing_janus = self._start(self._from_janus(self._janus))
        return media

    def _end_in(self, secs: float, end: Callable[[], None]) -> None:
        """The one timer of this connection; a later one takes the place of an earlier one, but not of a kick."""
        if self._kicked:
            return  # a browser may show a fresh token in its last moment
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_later(secs, end)

    def _expect_join(self, secs: float) -> None:
        """Start the deadline of joining. One that runs already is only made earlier, whatever the browser does."""

        def end() -> None:
            if self._joining is None:
                self._finish(CloseCode.TIMED_OUT, "no participant joined", "timeout")

        loop = asyncio.get_running_loop()
        if self._expected is not None:
            if self._expected.when() <= loop.time() + secs:
                return
            self._expected.cancel()
        self._expected = loop.call_later(secs, end)

    def _say_due(
        self, timers: dict[int, asyncio.TimerHandle], handle: int, secs: float, say: Callable[[int], list[Effect]]
    ) -> None:
        """Start a timer of a handle in the place of an earlier one of the same kind."""

        def due() -> None:
            del timers[handle]
            self._start(self._perform_now(partial(say, handle)))

        if (earlier := timers.get(handle)) is not None:
            earlier.cancel()
        timers[handle] = asyncio.get_running_loop().call_later(secs, due)

    def _expire_at(self, instant: datetime, now: datetime) -> None:
        """What the token's end ends: joining, which is over for whoever has not joined, or the running call too."""

        def expire() -> None:
            if self._context.expiry_ends == "session" or self._joining is None:
                self._start(self._perform(self._dialect.token_expired()))

        self._end_in((instant - now + TOKEN_LEEWAY).total_seconds(), expire)

    async def _admit(self, wanted: Admit) -> list[Effect]:
        assert self._claims is not None, "before a token was accepted nobody is admitted"
        source = self._room_id, self._claims.family, "" if self._socket is None else self._socket.address
        if wait := self._context.join_limit.take(*source):
            reason = f"Too many joins with this token, or from this address: try again in {wait} s."
            self._log.info("join refused", participant_id=wanted.participant_id, reason=reason)
            return self._dialect.refused(429, reason, CloseCode.UNAVAILABLE)
        try:
            joined = await self._join_or_free_a_seat(wanted)
        except (JoinRefused, Busy) as trouble:
            self._context.join_limit.give_back(*source)
            return self._not_admitted(wanted, trouble)
        self._end_joining()
        self._context.registry.admitted(joined.participant_id, self)
        if joined.recorded:
            self._record(joined.participant_id)
        effects = self._dialect.admitted(joined.max_participants)
        self._log = self._log.bind(session_id=joined.session_id, participant_id=joined.participant_id)
        self._log.info("participant joined")
        return effects

    def _not_admitted(self, wanted: Admit, trouble: JoinRefused | Busy) -> list[Effect]:
        if isinstance(trouble, GatewayLost | RoomElsewhere | Busy):
            return self._dialect.refused(503, str(trouble), CloseCode.UNAVAILABLE)
        self._log.info("join refused", participant_id=wanted.participant_id, reason=str(trouble))
        return self._dialect.refused(403, str(trouble), _REFUSALS.get(type(trouble), CloseCode.REFUSED))

    async def _join_or_free_a_seat(self, wanted: Admit) -> Joined:
        try:
            return await self._join(wanted)
        except RoomFull:
            if not await seats.free(self._context.registry.members(self._room_id), self.family):
                raise
            return await self._join(wanted)

    async def _join(self, wanted: Admit) -> Joined:
        join = partial(
            participants.join,
            room_id=self._room_id,
            participant_id=wanted.participant_id,
            context=wanted.context,
            gateway_id=self._context.gateway_id,
            now=self._context.clock(),
            grace=self._context.grace,
            token=self._claims,
        )
        # The write goes on when this connection ends meanwhile: whoever winds it up must know what came of it.
        self._joining = asyncio.ensure_future(self._context.db.write(join))
        return await asyncio.shield(self._joining)

    def _record(self, participant_id: str) -> None:
        async def tell_janus(handle: int, mjr_name: str | None) -> None:
            await self._perform(self._dialect.record(handle, mjr_name))

        context = self._context
        self._recorder = Recorder(
            context.db,
            participant_id,
            tell_janus,
            context.clock,
            node_id=context.registry.mjr_folder.node_id,
            room_on_disk=context.registry.room_on_disk,
        )
        self._start(self._recorder.run())

    async def _send_to_browser(self) -> None:
        try:
            await self._browser.send()
        except TooSlow:
            self._finish(None, "the browser is too slow", "timeout")

    # From Janus.

    async def _from_janus(self, janus: aiohttp.ClientWebSocketResponse) -> None:
        async for message in janus:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            await self._perform(self._dialect.from_janus(msgspec.json.decode(message.data)))
        # When all of Janus is gone, the supervisor ends the session and closes this socket with the code that says so.
        await asyncio.sleep(VERDICT_SECS)
        self._finish(CloseCode.MEDIA_LOST, "the media server closed the connection", "timeout")

    async def _to_janus(self, message: Message) -> None:
        assert self._janus is not None
        if self._context.node.api_secret is not None:
            message = {**message, "apisecret": self._context.node.api_secret}
        try:
            async with asyncio.timeout(JANUS_SECS):
                await self._janus.send_frame(msgspec.json.encode(message), aiohttp.WSMsgType.TEXT)
        except (OSError, aiohttp.ClientError, TimeoutError):
            self._log.warning("Janus does not take a message")  # its supervisor will find out and say

    # The end.

    async def _wind_up(self, end: _End) -> None:
        """Close both sockets and write that the participant left. Runs to its end whatever happens to the task."""
        await asyncio.shield(asyncio.create_task(self._leave(end)))

    async def _leave(self, end: _End) -> None:
        self._end_joining()
        if self._recorder is not None:
            self._recorder.leave()
        written = asyncio.create_task(self._write_left(end, self._context.clock()))
        told = asyncio.create_task(self._close_browser(end))
        closing = asyncio.create_task(self._let_janus_answer())
        if end.at_once:
            await closing
            await self._close_janus()
        await asyncio.wait({told}, timeout=TOLD_FIRST_SECS)
        # The others hear of it from Janus, which frees everything of this browser as soon as its socket goes: so the
        # row comes first, unless the database takes too long for people to be heard who are not there.
        await asyncio.wait({written}, timeout=ROW_FIRST_SECS)
        await closing
        await self._close_janus()
        self._context.registry.leave(self._room_id, self, self._dialect.participant_id)
        await asyncio.gather(written, told)

    async def _let_janus_answer(self) -> None:
        """Wait until Janus takes in no request of this browser: one whose session ends meanwhile can crash Janus."""
        if self._janus is None:
            return
        if self._hearing_janus is not None:
            await asyncio.wait({self._hearing_janus}, timeout=ANSWERED_SECS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWERED_SECS):
                while self._dialect.awaits_plugin:
                    message = await self._janus.receive()
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        return
                    self._dialect.note_answer(msgspec.json.decode(message.data))

    async def _close_janus(self) -> None:
        if self._janus is not None:
            await self._janus.close()

    async def _write_left(self, end: _End, at: datetime) -> None:
        """Write that the participant left, however long the database does not take it."""
        if self._joining is None:
            return
        await asyncio.wait({self._joining})
        if self._joining.cancelled() or self._joining.exception() is not None:
            return  # refused: nobody is in
        joined = self._joining.result()
        await self._write_recordings()
        leave = partial(participants.leave, participant_id=joined.participant_id, reason=end.left_reason, now=at)
        for pause in chain((0.1, 0.5), repeat(2.0)):
            written = False
            with faults_logged("leave not written", participant_id=joined.participant_id, tried_again_in_secs=pause):
                await self._context.db.write(leave)
                written = True
            if written:
                break
            await asyncio.sleep(pause)
        self._left.set()
        self._log.info("participant left", reason=end.left_reason, how=end.text)

    async def _write_recordings(self) -> None:
        """What is not written of the timelines yet."""
        if self._recorder is None:
            return
        with faults_logged("timelines not written"):  # the leave says the rest
            async with asyncio.timeout(ROW_FIRST_SECS):
                await self._recorder.write()

    async def _close_browser(self, end: _End) -> None:
        if end.code is not None:
            await self._browser.close(end.code, end.text)


def _read_about(tx: Transaction, claims: Claims) -> tuple[str | None, int]:
    """What is wrong with a token that verifies, if anything, and how many its room admits."""
    return client_tokens.complaint_about(tx, claims), rooms.max_participants(tx, claims.room_id)
