"""The UDP socket that all PeerConnections of the load share, its event loop, and what it cannot take itself.

Janus has a port for each PeerConnection, so one socket of ours can serve them all. It is emptied in one go,
whatever the number of streams: that is what lets one core receive more packets than Janus sends from another.
"""

import asyncio
import heapq
import socket
import time
from array import array
from pathlib import Path as File
from struct import Struct

from aioice import stun

from benchmarks.packets.path import Identity, Path
from benchmarks.packets.rtp import SAMPLE_EVERY, Received, receiver_report
from benchmarks.packets.senders import Sender

BUFFER_BYTES = 64 << 20
BATCH = 500
"""Packets that are read before other work has its turn."""
TICK_SECS = 0.002
REPORT_SECS = 1.0
GIVEN_UP_SECS = 0.5
"""A sender that is so much behind skips what it has not sent, and the load is at its limit."""
_SO_RCVBUFFORCE = 33
_HEADER = Struct("!xBHII").unpack_from


class Port:
    """One socket with its streams and senders."""

    def __init__(self, host: str) -> None:
        self.identity = Identity()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
        except OSError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.socket.bind((host, 0))
        self.address: tuple[str, int] = self.socket.getsockname()
        self.streams: dict[int, tuple[Received, Path]] = {}
        self.sent = 0
        """Packets of media."""
        self.unsent = 0
        """Packets that the socket did not take."""
        self.skipped = 0
        """Packets that were not sent because their time was long over."""
        self.lateness = array("d")
        """Of each tick, how late it was, in seconds."""
        self._users: dict[str, Path] = {}
        self._remotes: dict[tuple[str, int], Path] = {}
        self._checks: dict[bytes, Path] = {}
        self._due: list[tuple[float, int, Sender]] = []
        self._senders = 0
        self._buffer = bytearray(2048)
        self._ours = 1
        self._reported: list[tuple[Received, Path]] = []
        self._ticker: asyncio.Task[None] | None = None

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self.socket.fileno(), self._drain)
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        self.socket.close()

    def add(self, path: Path) -> None:
        self._users[path.local.user] = path

    def remove(self, path: Path) -> None:
        self._users.pop(path.local.user, None)
        if path.remote_address is not None:
            self._remotes.pop(path.remote_address, None)
        self.streams = {ssrc: pair for ssrc, pair in self.streams.items() if pair[1] is not path}
        self._due = [entry for entry in self._due if entry[2].path is not path]
        heapq.heapify(self._due)

    def expect(self, transaction: bytes, path: Path) -> None:
        """The answer to a check of this path has this transaction id."""
        self._checks[transaction] = path

    def learn(self, address: tuple[str, int], path: Path) -> None:
        """The path leads to this address."""
        self._remotes[address] = path
        self._checks = {transaction: other for transaction, other in self._checks.items() if other is not path}

    def receive(self, ssrc: int, clock: int, path: Path) -> Received:
        """Count the packets with this number, which arrive on this path."""
        stream = Received(ssrc, clock)
        self.streams[ssrc] = (stream, path)
        return stream

    def run(self, sender: Sender) -> None:
        """Send what this sender has, from now on, each at its time."""
        self._senders += 1
        heapq.heappush(self._due, (sender.start(time.monotonic()), self._senders, sender))

    def send(self, data: bytes, address: tuple[str, int]) -> None:
        try:
            self.socket.sendto(data, address)
        except BlockingIOError:
            self.unsent += 1

    def begin(self) -> None:
        """Count from here."""
        for stream, _ in self.streams.values():
            stream.begin()
        self.unsent = self.skipped = 0
        self.lateness = array("d")

    def drops(self) -> int:
        """Packets that the system had no room for in the socket, since it was opened."""
        return dropped({self.address[1]})

    def _drain(self) -> None:
        receive, buffer, streams = self.socket.recvfrom_into, self._buffer, self.streams
        now = time.monotonic()
        for _ in range(BATCH):
            try:
                size, address = receive(buffer)
            except BlockingIOError:
                return
            if not 128 <= buffer[0] < 192:
                self._control(bytes(buffer[:size]), address)
                continue
            kind, sequence, timestamp, ssrc = _HEADER(buffer)
            if 192 <= kind < 224:  # RTCP (RFC 5761)
                continue
            pair = streams.get(ssrc)
            if pair is None:
                continue
            stream, path = pair
            stream.take(sequence, timestamp, size, now)
            if stream.kept is not None:
                stream.kept.append((now, bytes(buffer[:size])))
            elif stream.clock != 48000 and sequence % SAMPLE_EVERY == 0:
                delay = path.delay(bytes(buffer[:size]))
                if delay is not None:
                    stream.delays.append(delay)

    def _control(self, data: bytes, address: tuple[str, int]) -> None:
        if data[0] >= 20:
            if (path := self._remotes.get(address)) is not None:
                path.take_dtls(data)
            return
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if message.message_class is stun.Class.REQUEST:
            path = self._users.get(str(message.attributes.get("USERNAME", "")).partition(":")[0])
            if path is not None:
                path.take_request(message, address)
        elif (path := self._checks.pop(message.transaction_id, None)) is not None:
            path.take_response(address)

    async def _tick(self) -> None:
        next_tick = time.monotonic()
        while True:
            next_tick += TICK_SECS
            await asyncio.sleep(max(0.0, next_tick - time.monotonic()))
            now = time.monotonic()
            self.lateness.append(now - next_tick)
            if now - next_tick > GIVEN_UP_SECS:
                next_tick = now
            self._send_due(now)
            self._report(now)

    def _send_due(self, now: float) -> None:
        heap = self._due
        while heap and heap[0][0] <= now:
            due, number, sender = heap[0]
            if now - due > GIVEN_UP_SECS:
                self.skipped += sender.skip(now)
            else:
                sender.send_next()
                self.sent += 1
            heapq.heapreplace(heap, (sender.due, number, sender))

    def _report(self, now: float) -> None:
        """Send receiver reports, all within REPORT_SECS, a few at each tick."""
        if not self._reported:
            self._reported = list(self.streams.values())
            self._per_tick = max(1, round(len(self._reported) * TICK_SECS / REPORT_SECS))
        for _ in range(self._per_tick if self._reported else 0):
            if not self._reported:
                return
            stream, path = self._reported.pop()
            if stream.count and path.remote_address is not None:
                path.send_rtcp(receiver_report(self._ours, stream.ssrc, stream.lost, stream.highest))


def dropped(ports: set[int]) -> int:
    """Packets that this machine's UDP sockets of these ports had no room for, since they were opened."""
    total = 0
    for name in ("udp", "udp6"):
        for line in File(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) in ports:
                total += int(fields[-1])
    return total
