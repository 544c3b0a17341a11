"""Durability: the server is killed with SIGKILL at random moments of running calls; what was lost, what was sent twice.

Run it as `script/bench durability [--kills 100] [--seed N] [--json FILE]`.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.machine import machine
from tests.servers import PorticoServer
from tests.webhooks import durability


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = PorticoServer(Path(folder) / "data", **durability.SETTINGS)
        account = asyncio.run(durability.run(server, kills=arguments.kills, seed=arguments.seed))
    figures = {
        "machine": machine(),
        "kills": len(account.kills),
        "events_recorded": len(account.recorded),
        "events_lost": len(account.lost),
        "events_invented": len(account.invented),
        "events_repeated": len(account.repeated),
        "repeated_without_cause": len(account.repeated_without_cause()),
        "ready_again_secs_median": statistics.median(account.restarts),
        "ready_again_secs_max": max(account.restarts),
    }
    for name, figure in figures.items():
        print(f"{name:26} {figure}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
