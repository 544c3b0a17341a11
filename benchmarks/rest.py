"""REST: rooms made, listed, and tokens to join them; beside a constant answer and a mock of the same document.

Run it as `script/bench rest [--rounds 3] [--secs 5] [--rooms 1000,100000,1000000] [--no-mock] [--json FILE]`. The
server runs on one core and the client, a process of its own, on another. The mock is Prism, which npm installs at the
first run.
"""

import argparse
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from portico.api.app import document

RATE = 100
CLIENTS = 64
STARTS_WITHIN_SECS = 120.0
PRISM = Path(__file__).parent / "prism"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
_INSTALL = """
set -euo pipefail
. script/lib/apt.sh
. script/lib/node.sh
find_node >&2
[ -d "$1/node_modules/@stoplight" ] || "${npm[@]}" --prefix "$1" install --no-package-lock --no-audit --no-fund >&2
command -v node
"""
_FILL = """
INSERT INTO rooms (id, account_id, unique_name, max_participants, enable_recording, webhook_event_failover_url,
                   created_at, updated_at)
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :missing)
SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
             || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
       one.account_id, NULL, 10, false, '', one.created_at, one.updated_at
FROM number, (SELECT * FROM rooms LIMIT 1) AS one
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to measure: where it is, its key, and a room of it."""

    port: int
    key: str
    room_id: str
    pid: int

    def load(self, method: str, path: str, *, body: str = "", secs: float, **how: Any) -> dict[str, Any]:
        """Figures of one load; fails unless every answer is a success."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        plan = {"host": "127.0.0.1", "port": self.port, "method": method, "path": path, "headers": headers}
        plan |= {"body": body, "secs": secs, "core": CLIENT_CORE, **how}
        client = [sys.executable, "-m", "benchmarks.http_load"]
        used = self._cpu_secs()
        done = subprocess.run(client, input=json.dumps(plan), stdout=subprocess.PIPE, text=True, check=True)
        figures: dict[str, Any] = json.loads(done.stdout)
        figures["server_us"] = 1e6 * (self._cpu_secs() - used) / figures["requests"]
        if any(not status.startswith("2") for status in figures["statuses"]):
            raise SystemExit(f"{method} {path} was answered with {figures['statuses']}")
        return figures

    def _cpu_secs(self) -> float:
        """What the server's process has used; noise of the machine shows less in it than in anything else."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def portico(folder: Path) -> Iterator[Target]:
    """The API on the database in this folder, on one core."""
    command = [sys.executable, "-m", "benchmarks.rest_server", str(folder), "--core", str(SERVER_CORE)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit((folder / "log").read_text())
        yield Target(**json.loads(line), pid=process.pid)
    finally:
        process.communicate()


@contextmanager
def mock(folder: Path) -> Iterator[Target]:
    """Prism, which answers with the examples of our document, on the same core."""
    script = ["bash", "-c", _INSTALL, "install", str(PRISM)]
    node = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
    (folder / "openapi.json").write_text(json.dumps(document()))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = PRISM / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
    command = ["taskset", "-c", str(SERVER_CORE), node, str(program), "mock", "-h", "127.0.0.1", "-p", str(port)]
    with (folder / "prism.log").open("wb") as log:
        process = subprocess.Popen([*command, str(folder / "openapi.json")], stdout=log, stderr=log)
    try:
        _wait_until_it_answers(port, process, folder / "prism.log")
        yield Target(port, "any", "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0", process.pid)
    finally:
        process.kill()
        process.wait()


def _wait_until_it_answers(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/rooms", timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the mock did not start:\n{log.read_text()}") from None
            time.sleep(0.1)


def fill(folder: Path, rooms: int) -> None:
    """So many rooms in all; a server has made the tables and one of them."""
    with sqlite3.connect(folder / "portico.db") as connection:
        (there,) = connection.execute("SELECT count(*) FROM rooms").fetchone()
        if rooms > there:
            connection.execute(_FILL, {"missing": rooms - there})
            connection.execute("UPDATE room_counts SET rooms = rooms + ? WHERE rowid = 1", (rooms - there,))
    connection.close()


def of_rooms(target: Target, secs: float) -> dict[str, dict[str, Any]]:
    """What is measured of a server."""
    token = f"/v2/rooms/{target.room_id}/actions/generate_join_client_token"
    create = '{"max_participants": 10}'
    return {
        "POST /v2/rooms": target.load("POST", "/v2/rooms", body=create, secs=secs, rate=RATE),
        f"POST /v2/rooms, {CLIENTS} clients": target.load("POST", "/v2/rooms", body=create, secs=secs, clients=CLIENTS),
        "join token": target.load("POST", token, secs=secs, rate=RATE),
        f"join token, {CLIENTS} clients": target.load("POST", token, secs=secs, clients=CLIENTS),
        "GET /v2/rooms": target.load("GET", "/v2/rooms", secs=secs, rate=RATE),
    }


def of_a_constant(target: Target, secs: float) -> dict[str, dict[str, Any]]:
    """The ceiling: key, body and answer as for a new room, but nothing done."""
    create = '{"max_participants": 10}'
    return {
        "POST": target.load("POST", "/v2/constant", body=create, secs=secs, rate=RATE),
        f"POST, {CLIENTS} clients": target.load("POST", "/v2/constant", body=create, secs=secs, clients=CLIENTS),
    }


Measured = dict[str, dict[str, Any]]


def measure(folder: Path, rooms: list[int], secs: float, *, with_mock: bool) -> Measured:
    """Everything once, one after the other."""
    measured: Measured = {}
    with portico(folder) as target:
        measured |= {f"constant: {name}": figures for name, figures in of_a_constant(target, secs).items()}
        measured |= {f"portico: {name}": figures for name, figures in of_rooms(target, secs).items()}
    if with_mock:
        with mock(folder) as target:
            measured |= {f"mock: {name}": figures for name, figures in of_rooms(target, secs).items()}
    for count in rooms:
        fill(folder, count)
        with portico(folder) as target:
            label = f"portico: GET /v2/rooms of {count:,}, 1 client"
            measured[label] = target.load("GET", "/v2/rooms", secs=secs, clients=1)
    return measured


def medians(rounds: list[Measured]) -> Measured:
    """Of each figure, over the rounds."""
    names = ("per_sec", "p50_ms", "p99_ms", "server_us", "client_busy")
    return {
        label: {name: statistics.median(each[label][name] for each in rounds) for name in names} for label in rounds[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--secs", type=float, default=5)
    parser.add_argument("--rooms", default="1000,100000,1000000")
    parser.add_argument("--no-mock", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rooms = [int(count) for count in arguments.rooms.split(",") if count]
    rounds = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # a disk, where /tmp may be memory
            rounds.append(measure(Path(folder), rooms, arguments.secs, with_mock=not arguments.no_mock))
    found = medians(rounds)
    print(f"{machine()}; medians of {arguments.rounds} rounds; server on core {SERVER_CORE}, client on {CLIENT_CORE}")
    for label, one in found.items():
        limit = "  (the client is the limit)" if one["client_busy"] > 0.9 else ""
        times = f"p50 {one['p50_ms']:7.1f}  p99 {one['p99_ms']:7.1f} ms"
        print(f"{label:44} {times}  {one['per_sec']:7.0f}/s  {one['server_us']:7.0f} us CPU each{limit}")
    if arguments.json:
        figures = {"machine": machine(), "rounds": arguments.rounds, "medians": found, "all": rounds}
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
