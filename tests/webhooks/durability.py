"""Facts, deliveries and kills: runs calls against a server that is killed again and again, and checks the account.

Used by the test with 20 kills and by `script/bench durability` with 100.
"""

import asyncio
import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.gateway.browser import SignalingBrowser
from tests.servers import PorticoServer

SETTLES_WITHIN_SECS = 60.0
RECEIVER_SECS = 1.0
"""Seconds after the end of a server in which the receiver may still log a request that it sent."""
CALLS_AT_ONCE = 4
Room = tuple[str, str]
"""A room's id and a token for it, good for the whole run."""


SETTINGS = {"empty_session_grace_secs": "0"}
"""Of a server whose account settles soon."""


@dataclass
class Account:
    """What was recorded, what arrived when, and when the server was killed. Times are of time.time()."""

    recorded: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrived: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bodies: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    kills: list[tuple[float, float]] = field(default_factory=list)
    """When each was asked for, and when the server was surely dead."""
    restarts: list[float] = field(default_factory=list)
    acknowledged_joins: set[str] = field(default_factory=set)

    @property
    def lost(self) -> list[str]:
        """Events that never arrived."""
        return [event for event in self.recorded if event not in self.arrived]

    @property
    def invented(self) -> list[str]:
        """Events that arrived and are not recorded."""
        return [event for event in self.arrived if event not in self.recorded]

    @property
    def repeated(self) -> list[str]:
        """Events that arrived more than once."""
        return [event for event, times in self.arrived.items() if len(times) > 1]

    def repeated_without_cause(self) -> list[str]:
        """Events that arrived again though the server was not killed between."""
        return [
            event
            for event in self.repeated
            for first, second in zip(self.arrived[event], self.arrived[event][1:], strict=False)
            if not any(first - RECEIVER_SECS <= dead and asked <= second for asked, dead in self.kills)
        ]


async def run(server: PorticoServer, *, kills: int, seed: int) -> Account:
    """Start the server, kill it `kills` times at random moments of running calls, let it settle, read the account."""
    chance = random.Random(seed)
    log = server.data_dir.parent / "received.jsonl"
    receiver, url = _start_receiver(log)
    account = Account()
    try:
        await asyncio.to_thread(server.start)
        rooms = _rooms(server, url)
        for _ in range(kills):
            await _calls_until_killed(server, rooms, chance, account)
            start = time.monotonic()
            await asyncio.to_thread(server.start)
            account.restarts.append(time.monotonic() - start)
        await _settle(server)
        await asyncio.to_thread(server.stop)
        _read_account(server, log, account)
    finally:
        server.__exit__(None, None, None)
        receiver.kill()
        receiver.wait()
    return account


async def _calls_until_killed(
    server: PorticoServer, rooms: list[Room], chance: random.Random, account: Account
) -> None:
    enough = len(account.acknowledged_joins) + CALLS_AT_ONCE
    callers = [asyncio.create_task(_call_for_ever(server, room, account)) for room in rooms]
    if len(account.kills) % 2:  # the others may come as early as they like
        async with asyncio.timeout(ANSWERS_WITHIN_SECS):  # however slow the machine is: something to lose
            while len(account.acknowledged_joins) < enough:
                await asyncio.sleep(0.001)
    await asyncio.sleep(chance.uniform(0.1, 1.0))
    asked = time.time()
    server.kill9()
    account.kills.append((asked, time.time()))
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)


async def _call_for_ever(server: PorticoServer, room: Room, account: Account) -> None:
    """A browser joins and leaves, again and again; each join that the server acknowledged has to survive."""
    room_id, token = room
    while True:
        async with SignalingBrowser(server, room_id, token) as browser:
            await browser.join()
            account.acknowledged_joins.add(browser.participant_id)


def _rooms(server: PorticoServer, url: str) -> list[Room]:
    from telnyx import Telnyx  # takes a second, which other tests do without

    rest = Telnyx(api_key=server.api_key, base_url=f"{server.base_url}/v2", max_retries=0, timeout=ANSWERS_WITHIN_SECS)
    rooms = []
    for number in range(CALLS_AT_ONCE):
        room = rest.rooms.create(webhook_event_url=f"{url}/{number}", webhook_timeout_secs=5).data
        assert room is not None and room.id is not None
        token = rest.rooms.actions.generate_join_client_token(room.id, token_ttl_secs=3600).data
        assert token is not None and token.token is not None
        rooms.append((room.id, token.token))
    rest.close()
    return rooms


async def _settle(server: PorticoServer) -> None:
    """Until every session has ended and nothing waits to be delivered."""
    end = time.monotonic() + SETTLES_WITHIN_SECS
    while True:
        pending = _query(server, "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'")[0][0]
        active = _query(server, "SELECT count(*) FROM room_sessions WHERE active")[0][0]
        if not pending and not active:
            return
        assert time.monotonic() < end, f"{pending} deliveries and {active} sessions are left"
        await asyncio.sleep(0.1)


def _read_account(server: PorticoServer, log: Path, account: Account) -> None:
    for event_id, payload in _query(server, "SELECT id, payload FROM events"):
        account.recorded[event_id] = json.loads(payload) if isinstance(payload, str) else payload
    for line in log.read_text().splitlines():
        received = json.loads(line)
        body = received["body"] if isinstance(received["body"], str) else json.dumps(received["body"])
        event = json.loads(body)["data"]["id"]
        account.arrived[event].append(received["time"])
        account.bodies[event].add(body.partition(',"meta":')[0])


def _query(server: PorticoServer, sql: str) -> list[tuple[Any, ...]]:
    if "database_url" in server.settings:
        with psycopg.connect(server.settings["database_url"]) as postgres:
            return postgres.execute(sql).fetchall()
    with contextlib.closing(sqlite3.connect(server.data_dir / "portico.db", timeout=ANSWERS_WITHIN_SECS)) as sqlite:
        rows: list[tuple[Any, ...]] = sqlite.execute(sql).fetchall()
        return rows


def _start_receiver(log: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "tests.receiver", "--log", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        return process, output.readline().strip().removesuffix("/hook")
