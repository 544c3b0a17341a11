"""Attacks on a running server beside a call: what a bystander's signaling takes, memory, and descriptors.

    script/bench hostile [ATTACK ...] [--secs 10] [--json FILE]

Each attack runs in a process of its own; `everything` runs all of them at once. Bounds: p99 below 500 ms, memory less
than 50 MB above what it was, no call ends. The attackers share the machine, so an idle round trip is shown first.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp

from benchmarks.machine import machine
from tests.gateway.browser import SignalingBrowser
from tests.gateway.conftest import Rooms
from tests.listener.raw import CONTINUATION, PING, PONG, TEXT, Raw, frame, memory
from tests.servers import PorticoServer
from tests.signaling.conversation import VIDEOROOM

P99_MS_MAX, MEMORY_MB_MAX = 500.0, 50.0
KEEPALIVE = json.dumps({"janus": "keepalive", "transaction": "x"}).encode()


@dataclass(frozen=True)
class Target:
    """What an attacker knows: the address, a room, and for users a token and a key of an account of their own."""

    port: int
    room_id: str
    token: str
    api_key: str

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Outcome:
    """What one attack did."""

    attack: str
    round_trips: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    memory_mb: float
    """The most above the memory before."""
    descriptors: int
    """The most at once."""
    call_ended: bool

    @property
    def is_within_bounds(self) -> bool:
        return self.p99_ms < P99_MS_MAX and self.memory_mb < MEMORY_MB_MAX and not self.call_ended


async def _flood(target: Target, data: bytes, *, first: bytes = b"", sockets: int = 1, upgrade: bool = True) -> None:
    """Send the same on so many connections, opening each again when the server has closed it."""

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError, AssertionError, TimeoutError):
                async with Raw(target) as raw:
                    if upgrade:
                        await raw.upgrade(target.room_id)
                    await raw.send(first)
                    while True:
                        await raw.send(data)
                        await asyncio.sleep(0)
            await asyncio.sleep(0.05)

    await asyncio.gather(*(one() for _ in range(sockets)))


async def _hold(target: Target, payload: bytes, sockets: int) -> None:
    """Keep so many connections that say this and no more, and read nothing."""

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError):
                async with Raw(target, receive_buffer=4096) as raw:
                    await raw.send(payload)
                    await raw.seconds_until_closed(within=3600)
            await asyncio.sleep(0.5)

    await asyncio.gather(*(one() for _ in range(sockets)))


async def pongs(target: Target) -> None:
    """Empty PONG frames from an anonymous client."""
    await _flood(target, frame(PONG) * 10_000)


async def pings(target: Target) -> None:
    """PING frames whose answers are not read."""
    await _flood(target, frame(PING, b"x" * 125) * 500)


async def continuations(target: Target) -> None:
    """Empty continuation frames."""
    await _flood(target, frame(CONTINUATION, final=False) * 10_000, first=frame(TEXT, b"{", final=False))


async def head(target: Target) -> None:
    """Headers without end on 20 connections."""
    part = b"x-more: " + b"x" * 8000 + b"\r\n"
    await _flood(target, part, first=b"GET / HTTP/1.1\r\n", sockets=20, upgrade=False)


async def url(target: Target) -> None:
    """A URL without end on 20 connections."""
    await _flood(target, b"x" * 65536, first=b"GET /", sockets=20, upgrade=False)


async def silence(target: Target) -> None:
    """1,000 connections that say nothing."""
    await _hold(target, b"", 1000)


async def halves(target: Target) -> None:
    """1,000 half requests."""
    await _hold(target, b"POST /v2/rooms HTTP/1.1\r\nHost: x\r\ncontent-length: 100\r\n\r\n{", 1000)


async def no_rooms(target: Target) -> None:
    """Handshakes for rooms that do not exist, 100 at a time."""

    async def one() -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    await http.ws_connect(f"{target.base_url}/{os.urandom(16).hex()}/janus")
                with contextlib.suppress(OSError, AssertionError, TimeoutError):
                    async with Raw(target) as raw:
                        await raw.upgrade(f"{os.urandom(4).hex()}-0000-4000-8000-{os.urandom(6).hex()}")

    await asyncio.gather(*(one() for _ in range(100)))


async def readiness(target: Target) -> None:
    """/readyz from 50 connections, one request after the other."""
    await _get(target, "/readyz", 50)


async def pipelining(target: Target) -> None:
    """Thousands of requests in one go, whose answers are not read."""
    await _hold(target, b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000, 50)


async def unread_answers(target: Target) -> None:
    """Lists of an account with many rooms on 50 connections, not read."""
    request = f"GET /v2/rooms?page[size]=250 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.api_key}\r\n\r\n"
    await _hold(target, request.encode() * 50, 50)


async def abandoned_lists(target: Target) -> None:
    """Lists that are asked for and abandoned, 150 at a time."""
    request = f"GET /v2/room_participants HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.api_key}\r\n\r\n"

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError):
                async with Raw(target) as raw:
                    await raw.send(request.replace("room_participants", "rooms?page[size]=250").encode())
                    await asyncio.sleep(0.05)

    await asyncio.gather(*(one() for _ in range(150)))


async def messages(target: Target) -> None:
    """A participant that sends keepalives as fast as they are taken."""
    await _as_user(target, 1, _keep_alive_without_pause)


async def handles(target: Target) -> None:
    """100 sockets with one token, each attaching handles and joining nothing."""
    await _as_user(target, 100, _attach)


async def _keep_alive_without_pause(browser: SignalingBrowser) -> None:
    await browser.join()
    number = 0
    while not browser.closed.is_set():
        number += 1
        await browser.say({"janus": "keepalive", "transaction": f"x{number}", "client_token": browser.token})
        if number % 20 == 0:
            await asyncio.sleep(0)


async def _attach(browser: SignalingBrowser) -> None:
    await browser.create()
    for _ in range(20):
        await browser.attach(VIDEOROOM)
    await browser.closed.wait()


async def _as_user(target: Target, sockets: int, act: Callable[[SignalingBrowser], Awaitable[None]]) -> None:
    async def one() -> None:
        while True:
            with contextlib.suppress(Exception):
                async with SignalingBrowser(target, target.room_id, target.token) as browser:
                    await act(browser)
            await asyncio.sleep(0.5)

    await asyncio.gather(*(one() for _ in range(sockets)))


async def _get(target: Target, path: str, clients: int) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError):
                async with Raw(target) as raw:
                    while True:
                        await raw.send(request)
                        if not await asyncio.get_running_loop().sock_recv(raw.socket, 65536):
                            break

    await asyncio.gather(*(one() for _ in range(clients)))


ATTACKS: dict[str, Callable[[Target], Awaitable[None]]] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        *(pongs, pings, continuations, head, url, silence, halves, no_rooms, readiness, pipelining),
        *(unread_answers, abandoned_lists, messages, handles),
    )
}


async def measure(server: PorticoServer, target: Target, names: list[str], secs: float) -> Outcome:
    """Run attacks at once in processes of their own, beside a call of two."""
    rooms = Rooms(server)
    room = rooms.create()
    async with rooms.browser(room) as bystander, rooms.browser(room) as other:
        await bystander.join()
        await other.join()
        before = memory(server.pid)
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.hostile", "--attack", name),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            for name in names
        ]
        try:
            for process in processes:
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(json.dumps(asdict(target)).encode() + b"\n")
                await process.stdout.readline()  # it begins
            await asyncio.sleep(1 if names else 0)
            trips, most_memory, most_files = await _watch(server, bystander, secs)
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        ended = bystander.closed.is_set() or other.closed.is_set()
    rooms.rest.close()
    trips.sort()
    return Outcome(
        attack=names[0] if len(names) == 1 else "everything" if names else "none",
        round_trips=len(trips),
        p50_ms=round(statistics.median(trips), 1),
        p99_ms=round(trips[int(len(trips) * 0.99)], 1),
        max_ms=round(trips[-1], 1),
        memory_mb=round((most_memory - before) / 2**20, 1),
        descriptors=most_files,
        call_ended=ended,
    )


async def _watch(server: PorticoServer, bystander: SignalingBrowser, secs: float) -> tuple[list[float], int, int]:
    """Milliseconds of keepalives each 20 ms; the most memory and descriptors of the server meanwhile."""
    trips, most_memory, most_files = [], 0, 0
    until = time.monotonic() + secs
    while time.monotonic() < until and not bystander.closed.is_set():
        began = time.perf_counter()
        with contextlib.suppress(TimeoutError, ConnectionError):
            await bystander.ask("keepalive")
        trips.append(1000 * (time.perf_counter() - began))
        most_memory = max(most_memory, memory(server.pid))
        most_files = max(most_files, len(list(Path(f"/proc/{server.pid}/fd").iterdir())))
        await asyncio.sleep(0.02)
    return trips, most_memory, most_files


async def run(names: list[str], secs: float, json_file: Path | None) -> bool:
    """Measure, print, and say whether all bounds hold."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-hostile-") as folder,
        PorticoServer(Path(folder) / "data") as server,
    ):
        rooms = Rooms(server)
        for _ in range(250):
            rooms.create(webhook_event_url="http://127.0.0.1:9/" + "x" * 200)
        room = rooms.create(max_participants=50)
        target = Target(server.port, room, rooms.token(room, token_ttl_secs=3600), server.api_key)
        plans = [[], *([name] for name in names), *([names] if len(names) > 1 else [])]
        outcomes = []
        print(machine())
        print(f"{'attack':18}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'memory MB':>11}{'descriptors':>13}  call")
        for plan in plans:
            outcomes.append(one := await measure(server, target, plan, secs))
            state = f"  {'ended' if one.call_ended else 'goes on'}"
            state += "" if one.is_within_bounds else "   BEYOND THE BOUNDS"
            figures = f"{one.p50_ms:9.1f}{one.p99_ms:9.1f}{one.max_ms:9.1f}{one.memory_mb:11.1f}{one.descriptors:13d}"
            print(
                f"{one.attack:18}{figures}  {state}{'' if one.is_within_bounds else '   BEYOND THE BOUNDS'}", flush=True
            )
    if json_file is not None:
        json_file.write_text(
            json.dumps({"machine": machine(), "attacks": [asdict(each) for each in outcomes]}, indent=1)
        )
    return all(each.is_within_bounds for each in outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attacks", nargs="*", choices=[*ATTACKS, []], help="which (default: all)")
    parser.add_argument("--secs", type=float, default=10, help="how long each (default: 10)")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    parser.add_argument("--attack", choices=ATTACKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack is not None:
        target = Target(**json.loads(sys.stdin.readline()))
        print("begins", flush=True)
        asyncio.run(ATTACKS[options.attack](target))  # type: ignore[arg-type]
        return
    raise SystemExit(0 if asyncio.run(run(options.attacks or list(ATTACKS), options.secs, options.json)) else 1)


if __name__ == "__main__":
    main()
