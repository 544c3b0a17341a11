"""A server of the benchmark's own with participants of packets, and what a stretch of their call shows."""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from benchmarks.packets import process
from benchmarks.packets.figures import Figures
from benchmarks.packets.participant import Participant
from benchmarks.packets.port import Port, dropped
from tests.e2e.loopback import media_interface
from tests.gateway.browser import Refused
from tests.servers import PorticoServer

T = TypeVar("T")
AT_ONCE = 8
"""Participants that join, or leave, at the same time."""
FAILURES = (TimeoutError, Refused, RuntimeError, aiohttp.ClientError, OSError)
"""What a server that is too busy answers, or does not answer."""
ATTEMPTS = 3
CHECKOUT = Path(__file__).parents[2]


class Stage:
    """The server, the socket of the load, and those who are in rooms."""

    def __init__(self, server: PorticoServer, port: Port, cores: set[int], *, is_alone: bool) -> None:
        """`cores` are those of Janus, which it has alone or shares with the server and the load."""
        self._server = server
        self.port = port
        self._cores = cores
        self._is_alone = is_alone
        (self.janus,) = server.descendants("janus")
        self.participants: list[Participant] = []
        self.failed: list[str] = []
        """Why joins, publications and subscriptions did not come about."""

    async def room(self) -> tuple[str, str]:
        """A new room of 50, and a token that all use."""
        room_id = (await asyncio.to_thread(self._post, "/v2/rooms", {"max_participants": 50}))["id"]
        path = f"/v2/rooms/{room_id}/actions/generate_join_client_token"
        token = (await asyncio.to_thread(self._post, path, {"token_ttl_secs": 3600}))["token"]
        return room_id, token

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._server.api_key}"}
        request = urllib.request.Request(self._server.base_url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data

    async def join(self, room: tuple[str, str], names: Iterable[str]) -> list[Participant]:
        """Participants of these names, those of them that can join."""
        return await self.all(self._join(room, name) for name in names)

    async def _join(self, room: tuple[str, str], name: str) -> Participant:
        participant = await Participant(self.port, self._server, *room, name).__aenter__()
        self.participants.append(participant)
        return participant

    async def all(self, actions: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        """Await all of these, AT_ONCE at a time; returns the results of those that succeed, and counts the others."""
        at_once = asyncio.Semaphore(AT_ONCE)

        async def one(action: Coroutine[Any, Any, T]) -> T:
            async with at_once:
                return await action

        results = await asyncio.gather(*map(one, actions), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                if not isinstance(result, FAILURES):
                    raise result
                self.failed.append(str(result) or type(result).__name__)
        return [result for result in results if not isinstance(result, BaseException)]

    async def leave(self) -> None:
        """All participants leave."""
        leaving, self.participants = self.participants, []
        await self.all(participant.__aexit__(None, None, None) for participant in leaving)

    async def measure_fairly(self, secs: float) -> Figures:
        """As `measure`; again, a few times, when something else than the server spoils it."""
        for _ in range(ATTEMPTS):
            figures = await self.measure(secs)
            if figures.is_good or figures.server_limit:
                break
        return figures

    async def measure(self, secs: float, settle_secs: float = 1.0) -> Figures:
        """Let the call go on for so long after it has settled; what it showed."""
        await asyncio.sleep(settle_secs)
        janus_ports = process.udp_ports(self.janus)
        self.port.begin()
        before = self._counters(janus_ports)
        began = time.monotonic()
        await asyncio.sleep(secs)
        took = time.monotonic() - began
        streams = [stream for stream, _ in self.port.streams.values()]
        counted = [(stream.count, stream.size, stream.lost, stream.late) for stream in streams]
        janus, gateway, load, busy, janus_drops, load_drops, sent = (
            after - earlier for after, earlier in zip(self._counters(janus_ports), before, strict=True)
        )
        delays = sorted(delay for stream in streams for delay in stream.delays)
        received, size, lost, late = (sum(one[index] for one in counted) for index in range(4))
        return Figures(
            secs=took,
            participants=len(self.participants),
            streams=len(streams),
            sent=int(sent),
            received=received,
            received_bytes=size,
            # A stream of which nothing arrives says nothing about what it lost: all that its sender sends is lost.
            lost=lost + round(sum(1 for stream in streams if not stream.count) * received / max(1, len(streams))),
            sounds=sum(stream.count for stream in streams if stream.clock == 48000),
            late=late,
            delay_p50=_percentile(delays, 0.5),
            delay_p99=_percentile(delays, 0.99),
            janus_cores=janus / took,
            janus_cores_given=len(self._cores),
            gateway_cores=gateway / took,
            load_cores=load / took,
            others_cores=max(0.0, (busy - janus - (0 if self._is_alone else gateway + load)) / took),
            janus_drops=int(janus_drops),
            load_drops=int(load_drops),
            unsent=self.port.unsent + self.port.skipped,
            tick_p99=_percentile(sorted(self.port.lateness), 0.99) or 0.0,
            janus_mb=process.memory_mb(self.janus),
            failed=len(self.failed),
            ended=sum(1 for participant in self.participants if participant.close_code is not None),
        )

    def _counters(self, janus_ports: set[int]) -> tuple[float, ...]:
        return (
            process.cpu_secs(self.janus),
            process.cpu_secs(self._server.pid),
            process.cpu_secs(os.getpid()),
            process.busy_secs(self._cores),
            dropped(janus_ports),
            self.port.drops(),
            self.port.sent,
        )


def _percentile(ordered: list[float], part: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


@contextlib.asynccontextmanager
async def stage(*, mix_rate: int = 48000, pinned: bool, janus: str | None = None) -> AsyncIterator[Stage]:
    """A server of its own. `pinned` gives Janus the last core alone, and all else the others."""
    cores = sorted(os.sched_getaffinity(0))
    pinned = pinned and len(cores) > 1
    with media_interface() as interface, tempfile.TemporaryDirectory(prefix="benchmark-media-") as folder:
        chosen = {} if janus is None else {"JANUS_BIN": janus}
        server = PorticoServer(Path(folder) / "data", media_interface=interface, **chosen)
        server.command = (sys.executable, "-m", "benchmarks.packets.serve", str(mix_rate))
        server.environment = {"PYTHONPATH": str(CHECKOUT)}
        with server:
            port = Port(_address(interface))
            made = Stage(server, port, {cores[-1]} if pinned else set(cores), is_alone=pinned)
            if pinned:
                for pid in (server.pid, os.getpid()):
                    process.pin(pid, set(cores[:-1]))
                process.pin(made.janus, {cores[-1]})
            port.start()
            try:
                yield made
            finally:
                await made.leave()
                await port.stop()
                process.pin(os.getpid(), set(cores))


def _address(interface: str | None) -> str:
    """The IPv4 address of an interface; without one that with which this machine reaches others."""
    if interface is None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            host: str = probe.getsockname()[0]
            return host
    shown = subprocess.run(["ip", "-4", "-o", "address", "show", interface], check=True, capture_output=True, text=True)
    found = re.search(r"inet ([\d.]+)", shown.stdout)
    assert found, shown.stdout
    return found[1]
