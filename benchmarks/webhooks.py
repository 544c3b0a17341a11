"""Webhooks: from an event's commit to its receipt, and how many a second, with and without a hanging receiver beside.

Run it as `script/bench webhooks [--rounds 3] [--json FILE]`. The receiver is a process of its own that stamps arrival.
"""

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.machine import machine
from portico import logs
from portico.core.events import ParticipantJoined
from portico.core.model import RoomSettings
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.migrate import upgrade
from portico.services import api_keys, events, rooms
from portico.worker.deliveries import Deliveries
from portico.worker.sender import Sender

STEADY_PER_SEC = 50
STEADY_SECS = 8
BURST = 2000
ROOMS = 100
HANGING_ROOMS = 20
HANGING_PER_SEC = 20
ARRIVES_WITHIN_SECS = 60.0


@dataclass
class Bench:
    """A database, a worker and a receiver; when each event was committed."""

    db: Database
    log: Path
    account_id: str
    rooms: list[str]
    hanging: list[str]
    worker: Deliveries
    committed: dict[str, float] = field(default_factory=dict)

    async def happen(self, room_id: str) -> None:
        """One event of a room, and the moment of its commit."""
        participant = str(uuid4())
        await self.db.write(partial(_record, account_id=self.account_id, room_id=room_id, participant=participant))
        self.committed[participant] = time.time()

    async def start_worker(self) -> None:
        """A new worker, as a new process has one."""
        self.worker = _worker(self.db)
        await self.worker.start()

    async def arrived(self, number: int) -> dict[str, float]:
        """When each participant's event arrived, once there are so many."""
        end = time.monotonic() + ARRIVES_WITHIN_SECS
        while True:
            lines = self.log.read_text().splitlines() if self.log.exists() else []
            if len(lines) >= number:
                return {_participant(line): json.loads(line)["time"] for line in lines}
            if time.monotonic() > end:
                raise SystemExit(f"only {len(lines)} of {number} events arrived within {ARRIVES_WITHIN_SECS:g} s")
            await asyncio.sleep(0.5)  # reading costs the process that is measured; arrival is stamped elsewhere


def _record(tx: Transaction, account_id: str, room_id: str, participant: str) -> None:
    event = ParticipantJoined(str(uuid4()), room_id, participant, "benchmark")
    events.record(tx, account_id, event, datetime.now(UTC))


def _participant(line: str) -> str:
    body = json.loads(line)["body"]
    members = json.loads(body) if isinstance(body, str) else body
    participant: str = members["data"]["payload"]["participant_id"]
    return participant


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Everything fresh, in a temporary directory."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "received.jsonl"
        receiver = subprocess.Popen(
            [sys.executable, "-m", "tests.receiver", "--log", str(log)], stdout=subprocess.PIPE, text=True
        )
        assert receiver.stdout is not None
        url = (await asyncio.to_thread(receiver.stdout.readline)).strip()
        silent = socket.create_server(("127.0.0.1", 0), backlog=1024)  # the kernel accepts, and nobody answers
        hanging_url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        db = open_database(f"sqlite:///{folder}/portico.db")
        upgrade(db.engine)
        worker = _worker(db)
        await worker.start()
        try:
            account_id = await db.write(partial(api_keys.account_named, name="bench", now=datetime.now(UTC)))
            at = Bench(
                db,
                log,
                account_id,
                [await _room(db, account_id, url) for _ in range(ROOMS)],
                [await _room(db, account_id, hanging_url) for _ in range(HANGING_ROOMS)],
                worker,
            )
            yield at
            await at.worker.stop()
        finally:
            silent.close()
            await db.close()
            receiver.kill()
            receiver.wait()


def _worker(db: Database) -> Deliveries:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    now = partial(datetime.now, UTC)
    sender = Sender(clock=now, allow_internal=True)
    day = timedelta(days=1)
    return Deliveries(db, sender, lambda: key, clock=now, retry_for=day, keep_for=30 * day)


async def _room(db: Database, account_id: str, url: str) -> str:
    settings = RoomSettings(webhook_event_url=url)
    return (await db.write(partial(rooms.create, account_id=account_id, settings=settings, now=datetime.now(UTC)))).id


async def measure(*, hanging: bool) -> dict[str, float]:
    """Latency at a steady rate, then the rate of a burst; with a receiver that never answers beside, if wished."""
    async with bench() as at:
        stuck = asyncio.create_task(_feed_hanging(at)) if hanging else None
        start = time.monotonic()
        for number in range(STEADY_PER_SEC * STEADY_SECS):
            await asyncio.sleep(max(0.0, start + number / STEADY_PER_SEC - time.monotonic()))
            await at.happen(at.rooms[number % ROOMS])
        steady = await at.arrived(STEADY_PER_SEC * STEADY_SECS)
        delays = sorted(1000 * (steady[one] - committed) for one, committed in at.committed.items() if one in steady)
        # A backlog, as after a receiver came back: the worker, as after a restart, finds it and works it off.
        await at.worker.stop()
        await asyncio.gather(*(at.happen(at.rooms[number % ROOMS]) for number in range(BURST)))
        begin = time.time()
        await at.start_worker()
        everything = await at.arrived(len(steady) + BURST)
        last = max(everything.values())
        if stuck is not None:
            stuck.cancel()
        return {
            "p50_ms": statistics.median(delays),
            "p99_ms": delays[int(len(delays) * 0.99)],
            "per_sec": BURST / (last - begin),
        }


async def _feed_hanging(at: Bench) -> None:
    number = 0
    while True:
        participant = str(uuid4())
        room_id = at.hanging[number % HANGING_ROOMS]
        await at.db.write(partial(_record, account_id=at.account_id, room_id=room_id, participant=participant))
        number += 1
        await asyncio.sleep(1 / HANGING_PER_SEC)


async def run(rounds: int) -> dict[str, Any]:
    """Both ways in turn, so that a machine that gets slower does so for both."""
    ways: dict[str, list[dict[str, float]]] = {"alone": [], "beside a hanging receiver": []}
    for _ in range(rounds):
        ways["alone"].append(await measure(hanging=False))
        ways["beside a hanging receiver"].append(await measure(hanging=True))
    medians = {
        way: {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        for way, measured in ways.items()
    }
    return {"machine": machine(), "rounds": rounds, "medians": medians, "all": ways}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logs.configure("error", "text")
    figures = uvloop.run(run(arguments.rounds))
    print(f"{figures['machine']}; medians of {arguments.rounds} rounds, in turn")
    for way, one in figures["medians"].items():
        print(f"{way:28} p50 {one['p50_ms']:6.1f} ms   p99 {one['p99_ms']:6.1f} ms   {one['per_sec']:6.0f} events/s")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
