"""Fuzzes the gateway before a real Janus: script/bench fuzz [--messages N] [--seed N] [--clients N].

Every few thousand messages the clients pause, and Janus, the gateway and the rows have to agree on who is in the room.
Prints what was sent and found; exits with 1 at the first disagreement, crash or error in the log.
"""

import argparse
import asyncio
import contextlib
import io
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.machine import machine
from tests.gateway.fuzzer import FuzzClient, disagreements, recorded_requests
from tests.gateway.inside import inside

ROUND = 5000
_BAD = ("connection failed", "Traceback", "janus.lost", "janus.event_not_handled", "rooms not compared")


async def fuzz(messages: int, seed: int, count: int, log: io.StringIO) -> bool:
    """Whether everything held."""
    recorded = recorded_requests()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with inside(Path(folder) / "data") as program:
            janus = program.janus.pid
            sent = sockets = 0
            closes: Counter[int | None] = Counter()
            while sent < messages:
                room, other = await program.room(max_participants=6), await program.room()
                tokens = [await program.token(room), await program.token(other), "x"]
                clients = [
                    FuzzClient(program, room, tokens, random.Random(f"{seed}/{sent}/{number}"), recorded)
                    for number in range(count)
                ]
                await asyncio.gather(*(client.run(ROUND // count) for client in clients))
                found = await disagreements(program, room)
                bad = [word for word in _BAD if word in log.getvalue()]
                sent += sum(client.sent for client in clients)
                sockets += sum(client.sockets for client in clients)
                for client in clients:
                    closes += client.closes
                took = time.monotonic() - begun
                say(f"{sent:>9} messages {sockets:>7} sockets {sent / took:>6.0f}/s, closed with {dict(closes)}")
                if found or bad or program.janus.pid != janus:
                    lines = log.getvalue().splitlines()
                    about = [line for line in lines if "janus." in line or "error" in line or "Traceback" in line]
                    say(f"seed {seed}, room {room}: {found} {bad}")
                    say("\n".join([*about[:40], "...", *lines[-40:]]))
                    return False
                log.seek(0)
                log.truncate()
    say(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
    return True


def say(text: str) -> None:
    """Past the log, which goes elsewhere."""
    print(text, file=sys.__stdout__, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    say(machine())
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        held = asyncio.run(fuzz(options.messages, options.seed, options.clients, log))
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
