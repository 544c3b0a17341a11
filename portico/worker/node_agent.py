"""The agent of a media node: keeps the node's row, and destroys rooms in its Janus that no gateway is in any more."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from portico.db.engine import Database
from portico.db.outage import faults_logged
from portico.janus.node import JanusNode
from portico.runtime.periodic import Periodic
from portico.runtime.side_loop import SideLoop
from portico.services import media_rooms, nodes, participants
from portico.services.media_rooms import Numbers
from portico.services.nodes import NodeAddress, NodeLoad

log = structlog.get_logger()

BEAT_SECS = 2.0
"""The pause between two changes of the node's row. After nodes.LEASE without a change the node counts as dead."""
SWEEP_SECS = 5.0
UNHELD_SECS = 30.0
"""How long rooms without a gateway stay in Janus. A gateway that lives, and was marked as dead, returns sooner."""
HAND_OVER_SECS, HAND_OVER_PAUSE_SECS = 20.0, 0.05
"""The longest that handing over rooms takes, and the pause after each."""

Destroy = Callable[[str, Numbers], Awaitable[bool]]
"""Destroys the rooms with these numbers in Janus; False when Janus does not answer."""


class NodeAgent:
    """The agent of this process's Janus. `address` returns how gateways reach that Janus since its last start."""

    def __init__(
        self,
        db: Database,
        janus: JanusNode,
        node_id: str,
        address: Callable[[], NodeAddress],
        destroy: Destroy,
        *,
        clock: Callable[[], datetime],
        side: SideLoop,
    ) -> None:
        self._db = db
        self._beside = db.beside()
        self._janus = janus
        self.node_id = node_id
        self._address = address
        self._destroy = destroy
        self._clock = clock
        self._side = side
        self._epoch = 0
        self._packets = PacketRate()
        self.unheld_secs = UNHELD_SECS
        self._unheld_since: dict[str, float] = {}  # by occupation id, in monotonic seconds
        self._loop = asyncio.get_running_loop()
        self._is_lost = asyncio.Event()  # gateways took the node for dead
        self._loops: list[Periodic] = []
        self._beating: Future[None] | None = None
        self._stops = False
        self.recording_paused = False
        """Whether recording is paused because the disk is nearly full."""

    async def start(self) -> None:
        """Register the node, whose Janus has to be up, and update its row from now on."""
        await self.register()
        renewing, sweeping = partial(faults_logged, "node not registered"), partial(faults_logged, "rooms not swept")
        self._loops = [
            Periodic(self._register_if_lost, SWEEP_SECS, renewing, wake=self._is_lost, pauses_first=True),
            Periodic(self._sweep, SWEEP_SECS, sweeping),
        ]
        for loop in self._loops:
            loop.start()
        # On the side loop: a main loop that stalls must not look like a dead node.
        beat = Periodic(self._beat, BEAT_SECS, partial(faults_logged, "beat of the node failed"), pauses_first=True)
        self._beating = self._side.submit(beat.run())

    async def stop(self) -> None:
        """Write that the node is lost, so that its sessions are ended."""
        if self._beating is not None:
            self._beating.cancel()
        await asyncio.gather(*(loop.stop() for loop in self._loops))
        await self.janus_lost()

    async def take_no_more(self) -> None:
        """Let no further room begin on this node, which stops. Those that are on it go on."""
        self._stops = True
        with faults_logged("stop of the node not written"):
            await self._write_beat(self._db)

    async def hand_over(self, at_once: asyncio.Event) -> None:
        """Let participants of other gateways join again on another node, room by room, until `at_once` is set."""
        with faults_logged("rooms of a node that stops not handed over"):
            async with asyncio.timeout(HAND_OVER_SECS):
                for room_id in await self._db.read(partial(media_rooms.open_on, node_id=self.node_id)):
                    if at_once.is_set():
                        return
                    over = partial(participants.hand_over, room_ids=[room_id], node_id=self.node_id)
                    await self._db.write(partial(over, now=self._clock()))
                    await asyncio.sleep(HAND_OVER_PAUSE_SECS)

    async def register(self) -> None:
        """Write that Janus has started, without rooms."""
        register = partial(nodes.register, node_id=self.node_id, address=self._address(), now=self._clock())
        self._epoch = await self._db.write(register)
        log.info("media node registered", node_id=self.node_id, epoch=self._epoch)

    async def janus_lost(self) -> None:
        """Write that the rooms of Janus are lost, so that gateways end their sessions."""
        lost = partial(nodes.mark_lost, node_id=self.node_id, epoch=self._epoch, now=self._clock())
        with faults_logged("loss of the media server not written"):
            await self._db.write(lost)

    async def _beat(self) -> None:
        if not self._janus.is_up:
            return  # `register` follows when it is up
        if not await self._write_beat(self._beside):
            self._loop.call_soon_threadsafe(self._is_lost.set)

    async def _write_beat(self, db: Database) -> bool:
        load = NodeLoad(
            cpu=round(os.getloadavg()[0] / (os.cpu_count() or 1), 2),
            packets=self._packets.per_sec(),
            shortage="The media server stops." if self._stops else self._janus.shortage(),
            recording_paused=self.recording_paused,
        )
        beat = partial(nodes.beat, node_id=self.node_id, epoch=self._epoch, load=load, now=self._clock())
        return await db.write(beat)

    async def _register_if_lost(self) -> None:
        row = await self._db.read(partial(nodes.find, node_id=self.node_id))
        if row is not None and row.state == nodes.REMOVED:
            return  # until this process is started again
        if self._janus.is_up and (row is None or not row.is_up or row.epoch != self._epoch):
            log.error("media node was taken for lost", node_id=self.node_id)
            await self.register()

    async def _sweep(self) -> None:
        """Destroy rooms that no gateway has been in for `unheld_secs`."""
        unheld = await self._db.read(partial(media_rooms.unheld_on, node_id=self.node_id))
        now = time.monotonic()
        self._unheld_since = {id_: self._unheld_since.get(id_, now) for id_, _, _ in unheld}
        for id_, room_id, numbers in unheld:
            if now - self._unheld_since[id_] < self.unheld_secs:
                continue
            is_closed = await self._db.write(partial(media_rooms.close_unheld, occupation_id=id_))
            if is_closed and await self._destroy(room_id, numbers):
                await self._db.write(partial(media_rooms.forget, occupation_id=id_))
                log.info("rooms without a gateway destroyed", room_id=room_id)


class PacketRate:
    """UDP packets of this machine, in and out, per second since the last call."""

    def __init__(self) -> None:
        self._counted: tuple[float, int] | None = None

    def per_sec(self) -> int:
        """Packets per second since the last call; 0 at the first call."""
        now, before, count = time.monotonic(), self._counted, _udp_packets()
        self._counted = (now, count)
        return 0 if before is None else max(0, round((count - before[1]) / max(now - before[0], 0.001)))


def _udp_packets() -> int:
    """The counters InDatagrams and OutDatagrams of proc(5) net/snmp."""
    names, values = (
        line.split()[1:] for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")
    )
    counters = dict(zip(names, map(int, values), strict=True))
    return counters["InDatagrams"] + counters["OutDatagrams"]
