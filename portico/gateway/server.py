"""The gateway of one process: accepts signaling sockets, keeps its lease, and applies changed rows to connections."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal
from uuid import UUID

import aiohttp
import structlog

from portico.core.errors import DatabaseUnavailable
from portico.core.ice import IceServers
from portico.core.rate import Limit
from portico.db.engine import Database
from portico.db.outage import faults_logged
from portico.gateway import hand_over
from portico.gateway.browser_socket import Receive, Send
from portico.gateway.connection import Connection
from portico.gateway.context import GatewayContext
from portico.gateway.janus_socket import SUBPROTOCOL
from portico.gateway.join_limit import JOINS, JoinLimit
from portico.gateway.joining import JoiningSockets
from portico.gateway.known_rooms import KnownRooms
from portico.gateway.lease import BEAT_SECS, ObservedLeases
from portico.gateway.nodes import MediaNode, OnlyNode, RoomPlacement, SharedNodes
from portico.gateway.path_watch import PathWatch
from portico.gateway.registry import Registry
from portico.gateway.room_watch import ROUND_SECS, RoomWatch
from portico.gateway.seats import SeatsElsewhere
from portico.listener.connections import connection_of
from portico.runtime.periodic import Periodic
from portico.runtime.side_loop import SideLoop
from portico.services import gateways, media_rooms, nodes, participants, sessions
from portico.services.tokens import TokenKeys
from portico.signaling import janus_events
from portico.signaling.effects import CloseCode
from portico.signaling.liveness import COMPARE_SECS

log = structlog.get_logger()
SWEEP_SECS = 1.0
"""Seconds between two searches for empty sessions and dead gateways."""
ROOM_SECS = 5.0
"""How long the database may take to say whether a room exists."""
FOLLOW_SECS = 2.0
"""Seconds between two reads of the changed rows of connected participants; a hint of a commit starts one at once."""
FOLLOW_WITHOUT_HINTS_SECS = 0.3
"""FOLLOW_SECS where hints of other processes do not arrive: on SQLite (of the command line), and behind PgBouncer. With
KICK_SECS it is below 1 s, within which a participant kicked through another process is out."""
FOLLOW_GAP_SECS = 0.05
"""The least time between two reads, however many hints arrive."""
FOLLOW_BACK = timedelta(seconds=60)
"""How far back changed rows are read: more than clocks of hosts differ, and longer than a write or a read may wait."""

Scope = MutableMapping[str, Any]


class Gateway:
    """An ASGI application for WebSockets at /{room_id}/janus, and the periodic tasks for their connections."""

    def __init__(
        self,
        db: Database,
        keys: TokenKeys,
        node: MediaNode | None,
        *,
        node_id: str,
        is_alone: bool,
        clock: Callable[[], datetime],
        grace: timedelta,
        token_expiry: Literal["join", "session"],
        descriptors_are_short: Callable[[], bool],
        side: SideLoop,
        join_limit: Limit = JOINS,
        ice: IceServers = IceServers(),  # noqa: B008  it is immutable
    ) -> None:
        """`node` is the media node of this process, if it has one; `node_id` is the id of its DATA_DIR.

        A gateway that is alone puts every room on it. One that is not shares rooms with others, as rows say.
        """
        self._db = db
        self._rooms = KnownRooms(db)
        self.joining = JoiningSockets()
        self._join_limit = JoinLimit(join_limit, db=db)
        self._ice = ice
        self._descriptors_are_short = descriptors_are_short
        self._side = side
        self._beside = db.beside()
        self._observed = ObservedLeases()
        self._beating: Future[None] | None = None
        self.has_others = False
        """Whether the database has other gateways that are not dead."""
        self._is_reaped = False  # other gateways took this one for dead
        self._renew_at_once = asyncio.Event()
        self.is_draining = False
        """Whether new sockets are refused because the server stops."""
        self._loop = asyncio.get_running_loop()
        self._followed_at = clock()
        self._clock = clock
        self._grace = grace
        self._keys = keys
        self._node = node
        self._node_id = node_id
        self._expiry_ends = token_expiry
        self._observed_nodes = ObservedLeases(nodes.LEASE.total_seconds())
        self._shared = None if is_alone else SharedNodes(db, self._id, node, clock)
        placement: RoomPlacement | None = self._shared
        if placement is None:
            assert node is not None, "a gateway that is alone has a media node"
            placement = OnlyNode(node)
        self.registry = Registry(placement, is_alone=is_alone)
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._loops: list[Periodic] = []
        self._context: GatewayContext | None = None
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Register the gateway, end what dead gateways left behind, and start the periodic tasks."""
        gateway_id = await self._db.write(partial(gateways.register, now=self._clock(), node_id=self._node_id))
        self._context = GatewayContext(
            self._db,
            self._keys,
            self._node if self._shared is None else None,
            self.registry,
            # One socket to Janus for each browser: no limit of connections, which aiohttp would otherwise set at 100.
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False),
            gateway_id,
            self._expiry_ends,
            self._clock,
            self._grace,
            None if self._shared is None else SeatsElsewhere(self._db, self._clock),
            self.joining,
            self._join_limit,
            self._ice,
            self._descriptors_are_short,
        )
        await self._sweep()  # before the first join, so that it does not continue a session that was empty for too long
        self._db.commits.listen("participants", self._wake)
        self._loops = self._make_loops()
        for loop in self._loops:
            loop.start()
        # On the side loop: a main loop that stalls must not look like a dead gateway to others.
        beat = Periodic(self._beat, BEAT_SECS, partial(faults_logged, "heartbeat failed"), pauses_first=True)
        self._beating = self._side.submit(beat.run())

    def _make_loops(self) -> list[Periodic]:
        elsewhere = None if self._shared is None else self._participants_of
        rooms, paths = RoomWatch(self.registry, elsewhere), PathWatch(self.registry)
        following = partial(faults_logged, "following failed", tried_again_in_secs=SWEEP_SECS)
        renewing, sweeping = partial(faults_logged, "beginning anew failed"), partial(faults_logged, "sweep failed")
        comparing, looking = partial(faults_logged, "rooms not compared"), partial(faults_logged, "paths not looked at")
        return [
            Periodic(self._sweep, SWEEP_SECS, sweeping),
            Periodic(self._renew_if_reaped, SWEEP_SECS, renewing, wake=self._renew_at_once),
            Periodic(self._follow, SWEEP_SECS, following, wake=self._wake),
            Periodic(rooms.look, ROUND_SECS, comparing, pauses_first=True),
            Periodic(paths.look, COMPARE_SECS, looking, pauses_first=True),
        ]

    async def stop(self) -> None:
        """Close every socket, write that their participants left, and delete the gateway's row."""
        if self._beating is not None:
            self._beating.cancel()
        await asyncio.gather(*(loop.stop() for loop in self._loops))
        await self.close_all(CloseCode.RESTART, "The server stops.")
        await self.registry.close()
        if self._context is not None:
            await self._context.janus.close()
            if self._shared is not None:
                await self._shared.close()
            await self._db.write(partial(gateways.retire, gateway_id=self._context.gateway_id, now=self._clock()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one signaling socket, from the handshake to its end."""
        room_id = _uuid(scope["path_params"]["room_id"])
        await receive()  # websocket.connect
        if room_id is None or self._context is None or SUBPROTOCOL not in scope.get("subprotocols", ()):
            await send({"type": "websocket.close"})  # before it is accepted, this answers the handshake with 403
            return
        if (refusal := await self._refusal(room_id)) is not None:
            await refuse(send, *refusal)
            return
        connection = Connection(room_id, receive, send, self._context, connection_of(scope))
        task = asyncio.current_task()
        assert task is not None
        self._open[connection] = task  # before it is accepted, so that a stop that begins meanwhile closes it
        try:
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            await connection.run()
        finally:
            del self._open[connection]

    def janus_event(self, frame: object) -> None:
        """Act on a decoded frame of Janus' event handler; returns at once."""
        for event in janus_events.parse(frame):
            self.registry.receive(event)

    async def drain(self, secs: float, at_once: asyncio.Event) -> None:
        """Refuse new sockets, and wait until the last one is closed, for `secs`, or until `at_once` is set."""
        self.is_draining = True
        log.info("draining", sockets=len(self._open), at_most_secs=secs)
        ended = asyncio.create_task(self._wait_until_empty())
        stopped = asyncio.create_task(at_once.wait())
        await asyncio.wait((ended, stopped), timeout=secs, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, stopped):
            task.cancel()

    async def hand_over(self, after_secs: float, at_once: asyncio.Event) -> None:
        """Close the connections in small groups, so that their participants join other servers of the database.

        New sockets are refused from now on; a proxy has `after_secs` to notice it. Returns at once without another
        server, and soon after `at_once` is set.
        """
        with faults_logged("other servers not looked for"):
            await self._look()
        if not self.has_others:
            return
        was_draining, self.is_draining = self.is_draining, True
        log.info("handing over", sockets=len(self._open))
        if not was_draining:
            await _pause(after_secs, at_once)
        groups = hand_over.groups(Counter(connection.room_id for connection in self._open))
        for group in groups:
            if at_once.is_set():
                return
            if self._node is not None:
                with faults_logged("rooms of a node that stops not closed"):
                    over = partial(participants.hand_over, room_ids=group, node_id=self._node.id, but_of=self._id())
                    await self._db.write(partial(over, now=self._clock()))
            for connection in [one for one in self._open if one.room_id in group]:
                connection.close(CloseCode.RESTART, "The server stops; another one goes on.")
            await _pause(hand_over.pause(len(groups)), at_once)

    async def _wait_until_empty(self) -> None:
        while self._open:
            await asyncio.wait(list(self._open.values()))

    async def _refusal(self, room_id: str) -> tuple[int, str] | None:
        """(status, sentence) that refuses a socket before it is accepted; None for a socket to accept."""
        try:
            async with asyncio.timeout(ROOM_SECS):
                exists = await self._rooms.exists(room_id)
        except DatabaseUnavailable as unavailable:
            return 503, str(unavailable)
        except Exception as error:  # noqa: BLE001  every error here is ours, not the client's
            log.warning("rooms cannot be looked up", error=str(error))
            return 503, "The server is busy; try again in a moment."
        if self.is_draining:  # looked at last: a stop may have begun meanwhile
            return 503, "The server stops; join again in a moment."
        return None if exists else (404, "There is no such room.")

    async def janus_lost(self, reason: str) -> None:
        """End every call of this process's Janus: first the rows are written, then the sockets are closed."""
        assert self._node is not None
        rooms = self.registry.occupied
        log.error("media server lost", reason=reason, rooms=len(rooms))
        try:
            with faults_logged("sessions of a lost media server not ended"):
                if self._shared is None:
                    end = partial(sessions.end_all_in, room_ids=rooms, ended_reason="stale", now=self._clock())
                    await self._db.write(end)
                else:  # the node's agent has marked it as lost
                    await self._end_lost_rooms()
        finally:
            self.registry.forget_node(self._node.id, "The media server was lost.")

    async def close_all(self, code: CloseCode, reason: str) -> None:
        """Refuse new sockets, end every connection, and wait up to 5 s until their participants have left."""
        self.is_draining = True
        for connection in self._open:
            connection.close(code, reason)
        if self._open:
            await asyncio.wait(self._open.values(), timeout=5)

    async def _beat(self) -> None:
        """Renew the lease."""
        assert self._context is not None
        beat = partial(gateways.beat, gateway_id=self._context.gateway_id, now=self._clock())
        if not await self._beside.write(beat):
            self._loop.call_soon_threadsafe(self._was_reaped)

    def _was_reaped(self) -> None:
        self._is_reaped = True
        self._renew_at_once.set()

    async def _renew_if_reaped(self) -> None:
        if self._is_reaped:
            await self._renew()
            self._is_reaped = False

    async def _renew(self) -> None:
        """Register anew after other gateways took this one for dead, and take back its participants where possible."""
        assert self._context is not None
        log.error("gateway was reaped", gateway_id=self._context.gateway_id)
        old, now = self._context.gateway_id, self._clock()
        gateway_id = await self._db.write(partial(gateways.register, now=now, node_id=self._node_id))
        self._context = replace(self._context, gateway_id=gateway_id)
        if self._shared is not None:
            ids = [one.id for one in self.registry.occupations() if one.id is not None]
            await self._db.write(partial(media_rooms.hold_again, gateway_id=gateway_id, occupation_ids=ids))
        connected = self.registry.participant_ids
        take_back = partial(gateways.take_back, gateway_id=gateway_id, participant_ids=connected, now=now)
        back = set(await self._db.write(partial(take_back, grace=self._grace)))
        for participant_id in back.difference(self.registry.participant_ids):  # its connection ended meanwhile
            leave = partial(participants.leave, participant_id=participant_id, reason="timeout", now=self._clock())
            await self._db.write(leave)
        log.warning("participants taken back", number=len(back), of=len(connected))
        for connection in self._open:
            # A connection that is still joining uses the old row, which is deleted next.
            if connection.participant_id not in back:
                connection.close(CloseCode.RESTART, "The server was away for too long.")
        await self._db.write(partial(gateways.retire, gateway_id=old, now=now))

    async def _follow(self) -> float:
        """Apply to connections what the API, in any process, has written about their participants.

        Returns the seconds until the next time. After an error the loop waits for longer.
        """
        assert self._context is not None
        now = self._clock()
        # No change is missed that was made while the database did not answer, or before the clock was set forward.
        since = min(now, self._followed_at) - FOLLOW_BACK
        if self.registry.connection_count:
            changed = partial(gateways.changes, gateway_id=self._context.gateway_id, since=since)
            rows = await self._db.read(changed)
            # Only a gateway that took this one for dead writes "timeout" for a participant who is still connected.
            if any(row.left_reason == "timeout" and self.registry.has(row.id) for row in rows):
                self._was_reaped()
            self.registry.apply(row for row in rows if row.left_reason != "timeout")
        self._followed_at = now
        await asyncio.sleep(FOLLOW_GAP_SECS)
        return FOLLOW_SECS if self._db.commits.come_from_all else FOLLOW_WITHOUT_HINTS_SECS

    async def _sweep(self) -> None:
        now = self._clock()
        seen, dead = await self._look()
        with faults_logged("lost gateways not reaped"):
            while dead and (lost := await self._db.write(partial(gateways.reap, dead=dead, now=now))):
                log.warning("participants of a lost gateway left", participants=lost)
        if self._shared is not None:
            with faults_logged("lost media nodes not reaped"):
                await self._sweep_nodes(self._shared)
        if dead or seen.stale_sessions:
            # No participant of such a session is connected. A connection in its room is about to begin a new one.
            await self._db.write(partial(sessions.end_stale, now=now, grace=self._grace))

    async def _look(self) -> tuple[gateways.Look, dict[str, datetime]]:
        """Read which other gateways there are, and which of them are dead."""
        look = partial(gateways.look, gateway_id=self._id(), now=self._clock(), grace=self._grace)
        seen = await self._db.read(look)
        dead = self._observed.dead(seen.others, time.monotonic())
        self.has_others = len(seen.others) > len(dead)
        return seen, dead

    async def _sweep_nodes(self, shared: SharedNodes) -> None:
        """End what was on lost nodes, and take in what the nodes of our rooms report."""
        seen = await self._db.read(partial(nodes.look, gateway_id=self._id()))
        if dead := self._observed_nodes.dead(seen.up, time.monotonic()):
            for node_id in await self._db.write(partial(nodes.mark_dead, dead=dead, now=self._clock())):
                log.error("media node lost", node_id=node_id)
        if dead or seen.rooms_are_lost:
            await self._end_lost_rooms()
        for row in seen.ours:
            shared.update(row)
            self.registry.set_room_on_disk(row.id, not row.recording_paused)
        self.registry.forget_ended(seen.ended)

    async def _end_lost_rooms(self) -> None:
        """End the sessions of rooms on lost nodes, one transaction for each."""
        while room_ids := await self._db.read(nodes.lost_rooms):
            for room_id in room_ids:
                await self._db.write(partial(nodes.end_lost, room_id=room_id, now=self._clock()))

    async def _participants_of(self, room_id: str) -> set[str]:
        return await self._db.read(partial(participants.present_in, room_id=room_id))

    def _id(self) -> str:
        assert self._context is not None
        return self._context.gateway_id


async def _pause(secs: float, at_once: asyncio.Event) -> None:
    """Wait so long, or until `at_once` is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(secs):
            await at_once.wait()


async def refuse(send: Send, status: int, sentence: str) -> None:
    """Answer the handshake with this HTTP status, and Retry-After for 503."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")] + ([(b"retry-after", b"5")] if status == 503 else [])
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": sentence.encode()})


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text)) if len(text) == 36 else None
    except ValueError:
        return None
