"""Webhooks: from an event's commit to its receipt, and how many a second, alone and beside receivers that hang.

Run it as `script/bench webhooks [--rounds 3] [--waiting 100000] [--database postgresql://...] [--json FILE]`. The
receiver is a process of its own that stamps arrival. A PostgreSQL database is emptied before each measurement.
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
from sqlalchemy import text

from benchmarks.machine import machine
from portico.core.events import ParticipantJoined
from portico.core.model import RoomSettings
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.migrate import upgrade
from portico.runtime import logs
from portico.services import api_keys, events, rooms, webhook_queue
from portico.services.webhooks import DELIVERIES, PENDING
from portico.worker.webhooks.deliveries import Deliveries
from portico.worker.webhooks.sender import Sender

STEADY_PER_SEC = 50
STEADY_SECS = 8
BURST = 2000
ROOMS = 100
HANGING_ROOMS = 20
HANGING_PER_SEC = 20
ARRIVES_WITHIN_SECS = 120.0
FILL_AT_ONCE = 1000
ALONE = "alone"
WAYS = {
    ALONE: None,
    "beside a hanging receiver": None,
    "and as many waiting in one room": "one",
    "and as many rooms with one waiting each": "many",
}
"""What is measured, and where the events wait that wait for the hanging receiver."""


@dataclass
class Bench:
    """A database, a worker and a receiver; when each event was committed."""

    db: Database
    log: Path
    account_id: str
    rooms: list[str]
    hanging: list[str]
    hanging_url: str
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
async def bench(database: str | None) -> AsyncIterator[Bench]:
    """Everything fresh: SQLite in a temporary directory, or this database emptied."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "received.jsonl"
        receiver = subprocess.Popen(
            [sys.executable, "-m", "tests.receiver", "--log", str(log)], stdout=subprocess.PIPE, text=True
        )
        assert receiver.stdout is not None
        url = (await asyncio.to_thread(receiver.stdout.readline)).strip()
        silent = socket.create_server(("127.0.0.1", 0), backlog=1024)  # the kernel accepts, and nothing answers
        hanging_url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        db = open_database(database or f"sqlite:///{folder}/portico.db")
        if database is not None:
            with db.engine.begin() as connection:
                connection.execute(text("DROP SCHEMA public CASCADE"))
                connection.execute(text("CREATE SCHEMA public"))
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
                hanging_url,
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


async def measure(way: str, waiting: int, database: str | None) -> dict[str, float]:
    """Latency at a steady rate, then the rate of a burst, beside what WAYS says."""
    async with bench(database) as at:
        if waiting_in := WAYS[way]:
            await _fill(at, waiting, rooms=1 if waiting_in == "one" else waiting)
        stuck = None if way == ALONE else asyncio.create_task(_feed_hanging(at))
        start = time.monotonic()
        for number in range(STEADY_PER_SEC * STEADY_SECS):
            await asyncio.sleep(max(0.0, start + number / STEADY_PER_SEC - time.monotonic()))
            await at.happen(at.rooms[number % ROOMS])
        steady = await at.arrived(STEADY_PER_SEC * STEADY_SECS)
        delays = sorted(1000 * (steady[one] - committed) for one, committed in at.committed.items() if one in steady)
        # A backlog, as after a receiver is back: the worker, as after a restart, finds it and works it off.
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


async def _fill(at: Bench, waiting: int, *, rooms: int) -> None:
    """So many events that wait for the hanging receiver, in one room or each in a room of its own."""
    room_ids = [str(uuid4()) for _ in range(rooms)]
    queued: set[str] = set()
    now = datetime.now(UTC)
    for begin in range(0, waiting, FILL_AT_ONCE):
        chosen = [room_ids[number % rooms] for number in range(begin, min(begin + FILL_AT_ONCE, waiting))]
        await at.db.write(partial(_queue, at=at, room_ids=chosen, known=queued, now=now))
        queued.update(chosen)
    if at.db.engine.dialect.name == "postgresql":
        with at.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))  # as autovacuum does within a minute


def _queue(tx: Transaction, at: Bench, room_ids: list[str], known: set[str], now: datetime) -> None:
    room: dict[str, Any] = {"max_participants": 10, "enable_recording": False, "webhook_event_failover_url": ""}
    room |= {"account_id": at.account_id, "created_at": now, "updated_at": now}
    if new := [{"id": room_id, **room} for room_id in dict.fromkeys(room_ids) if room_id not in known]:
        tx.execute(schema.rooms.insert(), new)
    delivery: dict[str, Any] = {"account_id": at.account_id, "event_type": ParticipantJoined.event_type, "data": "{}"}
    delivery |= {"url": at.hanging_url, "failover_url": "", "origin": webhook_queue.origin_of(at.hanging_url)}
    delivery["url_head"] = webhook_queue.url_head_of(at.hanging_url)
    delivery |= {"status": PENDING, "rounds": 0, "attempts": 0, "due_at": now, "first_at": now, "created_at": now}
    seen = set(known)
    rows = []
    for room_id in room_ids:
        stage = webhook_queue.HELD if room_id in seen else webhook_queue.READY
        seen.add(room_id)
        rows.append({"id": str(uuid4()), "room_id": room_id, "stage": stage, **delivery})
    tx.execute(DELIVERIES.insert(), rows)


async def run(rounds: int, waiting: int, database: str | None) -> dict[str, Any]:
    """All ways in turn, so that a machine that gets slower does so for all."""
    ways: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, measured in ways.items():
            measured.append(await measure(way, waiting, database))
    medians = {
        way: {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        for way, measured in ways.items()
    }
    return {"machine": machine(), "rounds": rounds, "medians": medians, "all": ways}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--database")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logs.configure("error", "text")
    figures = uvloop.run(run(arguments.rounds, arguments.waiting, arguments.database))
    print(f"{figures['machine']}; medians of {arguments.rounds} rounds, in turn")
    for way, one in figures["medians"].items():
        print(f"{way:44} p50 {one['p50_ms']:6.1f} ms   p99 {one['p99_ms']:6.1f} ms   {one['per_sec']:6.0f} events/s")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
