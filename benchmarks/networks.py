"""Which path calls take in each network, and how soon media flow; prints the table of docs/networks.md.

    script/bench networks [--calls 3]

Needs root: servers, a router with a packet filter, and browsers are in network namespaces. Times are medians.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import machine
from tests.namespaces import missing
from tests.networks.calls import Outcome, measure_meeting, measure_sdk
from tests.networks.changes import block_udp, measure_change, move
from tests.networks.lab import lab
from tests.networks.scenarios import OPEN, SCENARIOS, WITHOUT_RELAY, WITHOUT_UDP, Scenario
from tests.networks.world import World, world


async def _row(everything: World, scenario: Scenario, calls: int) -> str:
    client, reach = await scenario.enter(everything)
    await measure_sdk(
        client, reach, scenario.routes
    )  # the first call of a browser is slower: its programs are not in memory yet
    sdk = [await measure_sdk(client, reach, scenario.routes) for _ in range(calls)]
    page = [await measure_meeting(client, reach, scenario.routes) for _ in range(calls)]
    routes = sorted({str(route) for outcome in [*sdk, *page] for route in outcome.routes})
    return f"| {scenario.description} | {'; '.join(routes)} | {_median(sdk)} | {_median(page)} |"


def _median(outcomes: list[Outcome]) -> str:
    return f"{statistics.median(each.first_frame_ms for each in outcomes) / 1000:.2f} s"


async def _changes(everything: World) -> list[str]:
    rows: list[str] = []
    kinds: dict[str, tuple[Callable[[World], None], Scenario]] = {
        "The client's address changes": (move, OPEN),
        "UDP is dropped from now on": (block_udp, WITHOUT_UDP),
    }
    for name, (change, scenario) in kinds.items():
        took, routes = await measure_change(everything, change, scenario.routes)
        rows.append(f"| {name} | {'; '.join(sorted(set(map(str, routes))))} | {took:.0f} s |")
    return rows


async def _main(calls: int) -> None:
    with lab() as made, tempfile.TemporaryDirectory() as folder:
        if made is None:
            raise SystemExit("The kernel makes no network namespaces for this process.")
        async with world(made, Path(folder)) as everything:
            print(f"{datetime.now(UTC):%Y-%m-%d}, {machine()}; medians of {calls} calls.\n")
            print("| network | path | first frame, SDK | first frame, meeting page |\n|---|---|---|---|")
            for scenario in (*SCENARIOS, WITHOUT_RELAY):
                print(await _row(everything, scenario, calls), flush=True)
            print("\n| change in mid-call | path afterwards | media are back after |\n|---|---|---|")
            print("\n".join(await _changes(everything)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=3, help="calls of each kind in each network")
    if lacks := missing("nft", "unshare", "mount", "certutil", "caddy", "haproxy", "turnserver"):
        raise SystemExit(lacks)
    asyncio.run(_main(options.parse_args().calls))


if __name__ == "__main__":
    main()
