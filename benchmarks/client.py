"""The Python client: CPU per participant for audio, video and encoded frames; with --minutes, two clients for so long.

Run it as `script/bench client [--participants 5] [--secs 20] [--minutes 30] [--json FILE]`. The clients of a case are
in this process, the server and Janus in theirs, so the CPU seconds are the clients' alone.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import math
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from portico.client import EncodedFrame, Ended, Lost, Packets, Picture, Rejoined, Room, Tone
from portico.client.coding import OpusEncoder, Vp8Encoder
from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer

SETTLE_SECS = 3.0
Prepare = Callable[[Room], Awaitable[None]]


def cpu() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory_mb() -> float:
    """Resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def encoded_audio() -> Packets:
    """Two seconds of a tone in Opus."""
    encoder, frames = OpusEncoder(), []
    async for frame in Tone(440).audio_frames():
        if (packet := encoder.encode(frame)) is not None:
            frames.append(packet)
        if len(frames) == 100:
            return Packets(frames)
    raise AssertionError


async def encoded_video(width: int, height: int, rate: float, bitrate: int) -> Packets:
    """Two seconds of moving bars in VP8."""
    encoder = Vp8Encoder(bitrate)
    frames: list[EncodedFrame] = []
    async for picture in Picture(width, height, rate).video_frames():
        if (frame := encoder.encode(picture)) is not None:
            frames.append(frame)
        if picture.time >= 2:
            return Packets(frames)
    raise AssertionError


async def nothing(room: Room) -> None:
    """Joined, without media."""


async def tone(room: Room) -> None:
    await room.publish(audio=Tone(440))


async def packets_of_audio(room: Room) -> None:
    await room.publish(audio=await encoded_audio())


async def pictures(room: Room) -> None:
    await room.publish(video=Picture(640, 360, 15))


CASES: dict[str, tuple[str, Prepare]] = {
    "joined": ("in the room, no media", nothing),
    "audio": ("publishes a tone, encoded here", tone),
    "opus": ("publishes encoded audio", packets_of_audio),
    "video 360p": ("publishes 640x360, 15 a second, encoded here", pictures),
}


@contextlib.contextmanager
def reading(frames: AsyncIterator[Any]) -> Any:
    """Read frames meanwhile, and count them."""
    count = [0]

    async def read() -> None:
        async for _ in frames:
            count[0] += 1

    task = asyncio.create_task(read())
    try:
        yield count
    finally:
        task.cancel()


async def measure(rooms: Rooms, prepare: Prepare, participants: int, secs: float) -> float:
    """CPU of one participant, in per cent of a core."""
    async with AsyncExitStack() as stack:
        for _ in range(participants):
            await prepare(await joined(stack, rooms, rooms.create()))
        return await used(secs) / participants


async def used(secs: float) -> float:
    """CPU of this process in the next seconds, in per cent of a core."""
    await asyncio.sleep(SETTLE_SECS)
    began, before = time.monotonic(), cpu()
    await asyncio.sleep(secs)
    return 100 * (cpu() - before) / (time.monotonic() - began)


async def joined(stack: AsyncExitStack, rooms: Rooms, room_id: str, **options: Any) -> Room:
    token = rooms.token(room_id, token_ttl_secs=3600)
    return await stack.enter_async_context(Room.join(rooms.server.base_url, room_id, token, **options))


async def measure_receiving(rooms: Rooms, kind: str, participants: int, secs: float, source: Any) -> float:
    """CPU of one participant that receives one stream or the mix, without that of the sender."""
    async with AsyncExitStack() as stack:
        room_id = rooms.create(max_participants=participants + 2)
        sender = await joined(stack, rooms, room_id, messages=False)
        await sender.publish(**source)
        alone = await used(secs / 2)
        for _ in range(participants):
            room = await joined(stack, rooms, room_id, messages=False)
            (person,) = [one for one in room.participants if one.streams]
            frames: Any = room.audio() if kind == "mix" else person.audio() if kind == "audio" else person.video()
            stack.enter_context(reading(frames))
        return (await used(secs) - alone) / participants


async def cpu_of_cases(rooms: Rooms, participants: int, secs: float) -> dict[str, float]:
    figures: dict[str, float] = {}

    def report(name: str, text: str, value: float) -> None:
        figures[name] = round(value, 2)
        print(f"{name:14} {value:6.2f} % of a core   {text}", flush=True)

    for name, (text, prepare) in CASES.items():
        report(name, text, await measure(rooms, prepare, participants, secs))
    hd = await encoded_video(1280, 720, 30, 1_500_000)
    bits = 8 * sum(len(frame.data) for frame in hd.frames) / 2

    async def publish_hd(room: Room) -> None:
        await room.publish(video=hd, bitrate=1_500_000)

    text = f"publishes encoded 1280x720, 30 a second, {bits / 1e6:.2f} Mb/s"
    report("vp8 720p", text, await measure(rooms, publish_hd, participants, secs))
    opus = {"audio": await encoded_audio()}
    report("voice", "receives and decodes one voice", await measure_receiving(rooms, "audio", participants, secs, opus))
    report("mix", "receives and decodes the mix", await measure_receiving(rooms, "mix", participants, secs, opus))
    small = {"video": await encoded_video(640, 360, 15, 500_000)}
    text = "receives and decodes 640x360, 15 a second"
    report("receives 360p", text, await measure_receiving(rooms, "video", participants, secs, small))
    return figures


@dataclass
class Arrivals:
    """What arrived of one kind of media."""

    step: float
    frames: int = 0
    gaps: int = 0
    drift_ms: float = 0.0
    """How much later than at first a frame arrives, by its own clock."""
    _first: tuple[float, float] | None = None
    _last: float = 0.0

    def take(self, time: float, arrived: float) -> None:
        if self._first is None:
            self._first = time, arrived
        elif time - self._last > 1.5 * self.step:
            self.gaps += 1
        self._last = time
        self.frames += 1
        self.drift_ms = round(1000 * ((arrived - self._first[1]) - (time - self._first[0])), 1)

    async def read(self, frames: AsyncIterator[Any]) -> None:
        async for frame in frames:
            self.take(frame.time, frame.arrived)


async def print_losses(name: str, room: Room) -> None:
    async for event in room.events():
        if isinstance(event, Lost | Rejoined | Ended):
            print(name, type(event).__name__, event, flush=True)


async def soak(rooms: Rooms, minutes: float) -> dict[str, Any]:
    """Two clients that send and receive audio and video; figures once a minute."""
    async with AsyncExitStack() as stack:
        room_id = rooms.create()
        pair = [await joined(stack, rooms, room_id), await joined(stack, rooms, room_id)]
        for room in pair:
            await room.publish(audio=Tone(440), video=Picture(320, 180, 10))
        sound, sight = Arrivals(0.02), Arrivals(0.1)
        (other,) = pair[0].participants
        works = [sound.read(other.audio()), sight.read(other.video())]
        works += [print_losses(name, room) for name, room in zip("AB", pair, strict=True)]
        tasks = [asyncio.create_task(work) for work in works]
        samples: list[dict[str, float]] = []
        began, before = time.monotonic(), cpu()
        while (minute := (time.monotonic() - began) / 60) < minutes:
            await asyncio.sleep(min(60.0, max(1.0, (minutes - minute) * 60)))
            gc.collect()
            passed = time.monotonic() - began
            samples.append({"minute": round(passed / 60, 1), "memory_mb": round(memory_mb(), 1)})
            samples[-1] |= {"tasks": len(asyncio.all_tasks()), "cpu_percent": round(100 * (cpu() - before) / passed, 1)}
            for kind, arrivals in (("audio", sound), ("video", sight)):
                samples[-1] |= {f"{kind}_{name}": getattr(arrivals, name) for name in ("frames", "gaps", "drift_ms")}
            print(samples[-1], flush=True)
        for task in tasks:
            task.cancel()
        return {"minutes": round((time.monotonic() - began) / 60, 1), "samples": samples, "slope": slope(samples)}


def slope(samples: list[dict[str, float]]) -> float:
    """Growth of memory in MB an hour after the first fifth."""
    late = samples[len(samples) // 5 :]
    if len(late) < 3:
        return math.nan
    xs, ys = [one["minute"] for one in late], [one["memory_mb"] for one in late]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return round(60 * sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=int, default=5)
    parser.add_argument("--secs", type=float, default=20)
    parser.add_argument("--minutes", type=float, help="only two clients, for so long")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(machine(), "| load", Path("/proc/loadavg").read_text().split()[0])
    with tempfile.TemporaryDirectory() as folder, PorticoServer(Path(folder) / "data") as server:
        rooms = Rooms(server)
        work: Any = (
            soak(rooms, arguments.minutes)
            if arguments.minutes
            else cpu_of_cases(rooms, arguments.participants, arguments.secs)
        )
        figures = asyncio.run(work)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=1))


if __name__ == "__main__":
    main()
