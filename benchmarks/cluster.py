"""What PostgreSQL carries of a cluster: placement, beats, joins, the loss of nodes."""

import argparse
import asyncio
import contextlib
import json
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Table, event, insert, select

from benchmarks.machine import machine
from portico.core.errors import PorticoError
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import api_keys, gateways, media_rooms, nodes, participants
from portico.services.media_rooms import Numbers
from portico.services.nodes import NodeAddress, NodeLoad
from tests.databases import postgres_server

PEOPLE_PER_ROOM = 10
BEAT_SECS = 2.0
SWEEP_SECS = 1.0
FOLLOW_SECS = 2.0
BATCH = 500
AT_ONCE = 8
"""Joins that are under way at the same time after a loss."""


@dataclass
class Cluster:
    """The population of the database, and what was measured."""

    db: Database
    gateway_ids: list[str]
    node_ids: list[str]
    room_ids: list[str]
    postgres_pid: int
    statements: int = 0
    failed: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    late: float = 0.0
    """The longest that a beat began after its time."""

    def count(self, *_: Any) -> None:
        self.statements += 1

    async def timed(self, what: str, call: Awaitable[Any]) -> Any:
        began = time.perf_counter()
        try:
            found = await call
        except PorticoError:
            self.failed += 1
            return None
        self.seconds.setdefault(what, []).append(time.perf_counter() - began)
        return found


def cpu_secs(pid: int) -> float:
    """Seconds of CPU that a PostgreSQL server and its processes have used."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if pid in (int(stat.parent.name), int(fields[1])):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def now() -> datetime:
    return datetime.now(UTC)


async def populate(db: Database, node_count: int, gateway_count: int, people: int, postgres_pid: int) -> Cluster:
    """Nodes and gateways by the program's own functions; rooms with their sessions and participants in bulk."""
    account_id = await db.write(lambda tx: api_keys.account_named(tx, "default", now()))

    def register(tx: Transaction, ids: list[str]) -> None:
        for node_id in ids:
            nodes.register(tx, node_id, NodeAddress("ws://192.0.2.1:8188", None, "x", None, "/mjr", "1.4.1"), now=now())

    node_ids = [f"node{number:06}" for number in range(node_count)]
    for start in range(0, node_count, 100):
        await db.write(partial(register, ids=node_ids[start : start + 100]))
    gateway_ids = [await db.write(lambda tx: gateways.register(tx, now())) for _ in range(gateway_count)]
    rooms = [_room(account_id, node_ids, gateway_ids) for _ in range(people // PEOPLE_PER_ROOM)]
    for table in (
        schema.rooms,
        schema.room_sessions,
        schema.media_rooms,
        schema.media_room_holders,
        schema.room_participants,
    ):
        rows = [row for room in rooms for row in room[table.name]]
        for start in range(0, len(rows), BATCH):
            await db.write(partial(_insert, table=table, rows=rows[start : start + BATCH]))
    return Cluster(db, gateway_ids, node_ids, [room["rooms"][0]["id"] for room in rooms], postgres_pid)


def _insert(tx: Transaction, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    tx.execute(insert(table), rows)


def _room(account_id: str, node_ids: list[str], gateway_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The rows of a room in which a call goes on, its participants on two gateways."""
    at, room_id, session_id, occupation_id = now(), str(uuid4()), str(uuid4()), str(uuid4())
    holders = random.sample(gateway_ids, 2)
    ours, dated = {"account_id": account_id, "room_id": room_id}, {"created_at": at, "updated_at": at}
    limits = {"max_participants": 50, "enable_recording": False, "webhook_event_failover_url": ""}
    numbers = {"video": random.getrandbits(52), "text": random.getrandbits(52), "secret": "x"}
    place = {"node_id": random.choice(node_ids), "node_epoch": 1, "closing": False, "created_at": at}
    stay = {"joined_at": at, "updated_at": at, "session_id": session_id}
    return {
        "rooms": [{"id": room_id, "account_id": account_id, **dated, **limits}],
        "room_sessions": [{"id": session_id, "active": True, **ours, **dated}],
        "media_rooms": [{"id": occupation_id, "room_id": room_id, **numbers, **place}],
        "media_room_holders": [{"gateway_id": each, "media_room_id": occupation_id} for each in holders],
        "room_participants": [
            {"id": str(uuid4()), "gateway_id": random.choice(holders), **ours, **stay} for _ in range(PEOPLE_PER_ROOM)
        ],
    }


async def join(cluster: Cluster, room_id: str) -> None:
    """What a gateway writes for a participant: the room is entered, the participant admitted."""
    gateway_id = random.choice(cluster.gateway_ids)
    fresh = Numbers(random.getrandbits(52), random.getrandbits(52), "x")
    enter = partial(media_rooms.enter, room_id=room_id, gateway_id=gateway_id, fresh=fresh, host="x")
    placed = await cluster.db.write(lambda tx: enter(tx, now=now()))
    admit = partial(participants.join, room_id=room_id, participant_id=str(uuid4()), context=None)
    await cluster.db.write(lambda tx: admit(tx, gateway_id=gateway_id, now=now(), media_room_id=placed.id))


async def at_rate(
    cluster: Cluster, per_sec: float, seconds: float, call: Callable[[int], Awaitable[Any]], what: str
) -> None:
    """Open loop: calls begin at their time, whether those before them are over or not."""
    tasks, began = [], time.perf_counter()
    for number in range(round(per_sec * seconds)):
        due = began + number / per_sec
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        cluster.late = max(cluster.late, time.perf_counter() - due)
        tasks.append(asyncio.create_task(cluster.timed(what, call(number))))
    await asyncio.gather(*tasks)


async def steady(cluster: Cluster, seconds: float, joins_per_sec: float) -> dict[str, float]:
    """Beats, sweeps and reads of changes of all nodes and gateways, with joins."""
    db, gateway_ids, node_ids = cluster.db, cluster.gateway_ids, cluster.node_ids

    def beat(number: int) -> Awaitable[Any]:
        load, node_id = NodeLoad(0.5, 1000), node_ids[number % len(node_ids)]
        return db.write(lambda tx: nodes.beat(tx, node_id, 1, load, now=now()))

    def gateway_beat(number: int) -> Awaitable[Any]:
        return db.write(lambda tx: gateways.beat(tx, gateway_ids[number % len(gateway_ids)], now()))

    async def sweep(number: int) -> None:
        gateway_id = gateway_ids[number % len(gateway_ids)]
        await db.read(partial(nodes.look, gateway_id=gateway_id))

    cluster.statements, began, cpu = 0, time.perf_counter(), cpu_secs(cluster.postgres_pid)
    await asyncio.gather(
        at_rate(cluster, len(node_ids) / BEAT_SECS, seconds, beat, "beat of a node"),
        at_rate(cluster, len(gateway_ids) / BEAT_SECS, seconds, gateway_beat, "beat of a gateway"),
        at_rate(cluster, len(gateway_ids) / SWEEP_SECS, seconds, sweep, "sweep of a gateway"),
        at_rate(cluster, joins_per_sec, seconds, lambda _: join(cluster, random.choice(cluster.room_ids)), "join"),
    )
    took = time.perf_counter() - began
    used = cpu_secs(cluster.postgres_pid) - cpu
    return {
        "statements_per_sec": cluster.statements / took,
        "postgres_cores": used / took,
        "postgres_ms_per_statement": used / cluster.statements * 1000,
        "seconds": took,
        "failed": cluster.failed,
        "latest_begin_secs": cluster.late,
    }


async def lose(cluster: Cluster, number: int) -> dict[str, float]:
    """Nodes die at once: from the moment that this is known, until their sessions are ended, and all have rejoined."""
    lost, db = cluster.node_ids[:number], cluster.db
    rooms = schema.media_rooms.c

    def affected(tx: Transaction) -> list[str]:
        return list(tx.execute(select(rooms.room_id).where(rooms.node_id.in_(lost), ~rooms.closing)).scalars())

    room_ids = await db.read(affected)
    beating = asyncio.create_task(_keep_alive(db))
    began, cpu = time.perf_counter(), cpu_secs(cluster.postgres_pid)
    for node_id in lost:
        await db.write(lambda tx, node_id=node_id: nodes.mark_lost(tx, node_id, epoch=1, now=now()))  # type: ignore[misc]
    while found := await db.read(nodes.lost_rooms):
        await _several(partial(_end, db), found)
    ended = time.perf_counter()
    people = [room_id for room_id in room_ids for _ in range(PEOPLE_PER_ROOM)]
    random.shuffle(people)
    await _several(lambda room_id: cluster.timed("rejoin", join(cluster, room_id)), people)
    beating.cancel()
    return {
        "nodes": number,
        "rooms": len(room_ids),
        "participants": len(people),
        "secs_to_end_sessions": ended - began,
        "secs_to_rejoin": time.perf_counter() - ended,
        "postgres_cpu_secs": cpu_secs(cluster.postgres_pid) - cpu,
    }


async def _keep_alive(db: Database) -> None:
    """Stand in for the beats of all nodes that are up."""
    up = schema.media_nodes.c.is_up
    while True:
        await db.write(lambda tx: tx.execute(schema.media_nodes.update().where(up).values(seen_at=now())).rowcount)
        await asyncio.sleep(BEAT_SECS)


async def _end(db: Database, room_id: str) -> None:
    await db.write(lambda tx: nodes.end_lost(tx, room_id, now=now()))


async def _several(call: Callable[[str], Awaitable[Any]], items: Sequence[str]) -> None:
    """Call it for all items, AT_ONCE at the same time."""
    waiting = list(items)

    async def work() -> None:
        while waiting:
            await call(waiting.pop())

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def quantiles(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """In milliseconds."""
    found = {}
    for what, each in seconds.items():
        ordered = sorted(each)
        at = {name: ordered[min(int(len(ordered) * part), len(ordered) - 1)] for name, part in _PARTS.items()}
        found[what] = {"number": len(ordered), **{name: round(value * 1000, 1) for name, value in at.items()}}
    return found


_PARTS = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}


async def measure(url: str, postgres_pid: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """All phases, one after the other."""
    db = open_database(url)
    try:
        began = time.perf_counter()
        cluster = await populate(db, arguments.nodes, arguments.gateways, arguments.participants, postgres_pid)
        figures: dict[str, Any] = {"machine": machine(), **vars(arguments), "json": None}
        figures["secs_to_populate"] = round(time.perf_counter() - began, 1)
        await db.write(lambda tx: tx.exec_driver_sql("ANALYZE").close())
        event.listen(db.engine, "after_cursor_execute", cluster.count)
        figures["steady"] = await steady(cluster, arguments.seconds, arguments.joins)
        figures["loss_of_one"] = await lose(cluster, 1)
        cluster.node_ids = cluster.node_ids[1:]
        figures["loss_of_one_percent"] = await lose(cluster, max(arguments.nodes // 100, 1))
        figures["latencies"] = quantiles(cluster.seconds)
        return figures
    finally:
        await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--gateways", type=int, default=100)
    parser.add_argument("--participants", type=int, default=100_000)
    parser.add_argument("--joins", type=float, default=50, help="joins per second beside the beats")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with postgres_server() as cluster:
        figures = asyncio.run(measure(cluster.url("portico_template"), cluster.pid, arguments))
    print(json.dumps(figures, indent=1, default=str))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1, default=str))


if __name__ == "__main__":
    main()
