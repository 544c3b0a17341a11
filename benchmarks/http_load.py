"""An HTTP/1.1 client that is no bottleneck: one process, prepared bytes, connections that stay open.

    python -m benchmarks.http_load < plan.json > figures.json

A plan has host, port, method, path, headers, body, secs, and either `clients` (each sends its next request when its
last is answered) or `rate` (so many requests a second, whatever the answers do: an answer's time counts from when its
request was due). `core` is where the process runs.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, cast

import uvloop

CONNECTIONS_MAX = 512
ANSWER_SECS = 30.0


@dataclass
class Figures:
    """The outcome of the requests that were due within the time: milliseconds, and statuses by number."""

    milliseconds: list[float]
    statuses: dict[int, int]


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, which is none of asyncio's

    def data_received(self, data: bytes) -> None:
        self._received += data
        status = _status_of_whole_answer(self._received)
        if status is not None and self._answer is not None:
            self._received.clear()
            answer, self._answer = self._answer, None
            answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None:
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def ask(self, request: bytes) -> "asyncio.Future[int]":
        """The status of the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        self._transport.close()


def _status_of_whole_answer(received: bytearray) -> int | None:
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end]).lower()
    start = head.find(b"\r\ncontent-length:")
    if start >= 0:
        length = int(head[start + 17 :].partition(b"\r\n")[0])
        whole = len(received) >= end + 4 + length
    else:
        whole = received.endswith(b"0\r\n\r\n")
    return int(head[9:12]) if whole else None


async def _connect(plan: dict[str, Any]) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, plan["host"], plan["port"])
    return connection


async def closed_loop(plan: dict[str, Any], request: bytes) -> Figures:
    """So many clients, each always with one request under way."""
    figures = Figures([], {})
    until = time.perf_counter() + plan["secs"]

    async def client() -> None:
        connection = await _connect(plan)
        while (began := time.perf_counter()) < until:
            status = await connection.ask(request)
            figures.milliseconds.append(1000 * (time.perf_counter() - began))
            figures.statuses[status] = figures.statuses.get(status, 0) + 1
        connection.close()

    await asyncio.gather(*(client() for _ in range(plan["clients"])))
    return figures


async def open_loop(plan: dict[str, Any], request: bytes) -> Figures:
    """So many requests a second over as many connections as that takes."""
    figures = Figures([], {})
    idle = deque([await _connect(plan) for _ in range(8)])
    opened = len(idle)

    async def one(due: float) -> None:
        nonlocal opened
        if not idle:
            opened += 1
            if opened > CONNECTIONS_MAX:
                raise SystemExit("the server is far too slow for this rate: no connection is free")
            idle.append(await _connect(plan))
        connection = idle.popleft()
        status = await connection.ask(request)
        figures.milliseconds.append(1000 * (time.perf_counter() - due))
        figures.statuses[status] = figures.statuses.get(status, 0) + 1
        idle.append(connection)

    start = time.perf_counter()
    asked = []
    for number in range(int(plan["rate"] * plan["secs"])):
        due = start + number / plan["rate"]
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        asked.append(asyncio.create_task(one(due)))
    await asyncio.wait_for(asyncio.gather(*asked), ANSWER_SECS)
    for connection in idle:
        connection.close()
    return figures


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    body = plan.get("body", "").encode()
    lines = [f"{plan['method']} {plan['path']} HTTP/1.1", f"Host: {plan['host']}:{plan['port']}"]
    lines += [f"{name}: {value}" for name, value in plan["headers"].items()]
    request = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    began, cpu = time.perf_counter(), _cpu_secs()
    figures = await (open_loop if "rate" in plan else closed_loop)(plan, request)
    elapsed = time.perf_counter() - began
    ordered = sorted(figures.milliseconds)
    return {
        "requests": len(ordered),
        "per_sec": len(ordered) / elapsed,
        "p50_ms": ordered[len(ordered) // 2],
        "p99_ms": ordered[int(len(ordered) * 0.99)],
        "max_ms": ordered[-1],
        "statuses": figures.statuses,
        "client_busy": (_cpu_secs() - cpu) / elapsed,
    }


def _cpu_secs() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    plan = json.load(sys.stdin)
    if plan.get("core") is not None:
        os.sched_setaffinity(0, {plan["core"]})
    print(json.dumps(uvloop.run(run(plan))))


if __name__ == "__main__":
    main()
