"""What Janus carries: packets per second and core, participants in the mix, and whole rooms, measured with packets.

    script/bench media [forward] [mix] [rooms] [--quick] [--seconds 5] [--janus PROGRAM] [--json FILE]

Participants join through the gateway as the SDK does. Their media are encrypted packets that are encoded ahead and not
decoded, so that one core sends and receives more than Janus forwards on another. `forward` and `mix` give Janus one
core alone; `rooms` uses all. A step is good with less than 1 % of its packets lost, and less than 1 % of sound over
60 ms late. Otherwise the last column says whose limit that was: the server's, the load's, or that of other programs.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.machine import machine
from benchmarks.packets.figures import Figures, cores_each
from benchmarks.packets.scenarios import Options, RoomFigures, forward, mix, rooms, streams
from portico.janus.config import find_janus

SECTIONS = ("forward", "mix", "rooms")
SECS, SECS_QUICK = 5.0, 2.0
MIXES = {"mix at 48 kHz": 48000, "mix at 16 kHz": 16000, "no mix, a stream per speaker": None}


async def _collect(title: str, steps: AsyncIterator[Figures]) -> list[Figures]:
    print(f"\n## {title}\n\n{_HEADINGS}")
    done: list[Figures] = []
    async with contextlib.aclosing(steps) as running:  # type: ignore[type-var]
        async for figures in running:
            print(_row(str(figures.participants), figures), flush=True)
            done.append(figures)
    return done


_HEADINGS = (
    "| | packets/s | Mbit/s | lost | late sound | video p50, p99 | Janus: cores, MB | packets/s per core of CPU "
    "| gateway, load: cores | |\n|---|---|---|---|---|---|---|---|---|---|"
)


def _row(name: str, figures: Figures) -> str:
    delay = "" if figures.delay_p50 is None else f"{figures.delay_p50 * 1000:.1f}, {_ms(figures.delay_p99)}"
    return (
        f"| {name} | {figures.packets_per_sec:,.0f} | {figures.mbit_per_sec:,.0f} | {figures.loss:.2%} "
        f"| {figures.late_part:.2%} | {delay} | {figures.janus_cores:.2f}, {figures.janus_mb:.0f} "
        f"| {figures.packets_per_core_sec:,.0f} | {figures.gateway_cores:.2f}, {figures.load_cores:.2f} "
        f"| {figures.verdict} |"
    )


def _ms(secs: float | None) -> str:
    return "not found" if secs is None else f"{secs * 1000:.0f} ms"


async def _forward(options: Options) -> dict[str, Any]:
    steps = await _collect("Forwarding, one core for Janus", forward(options))
    good = [each for each in steps if each.is_good]
    best = max(good, key=lambda each: each.packets_per_sec, default=None)
    per_core = max((each.packets_per_core_sec for each in good), default=0.0)
    if best is None:
        print("\nNo step was good.")
    else:
        print(
            f"\n{best.packets_per_sec:,.0f} packets/s and {best.mbit_per_sec:,.0f} Mbit/s on one core at "
            f"{best.loss:.2%} loss; {per_core:,.0f} packets for each second of CPU of Janus."
        )
        if steps[-1].is_good:
            print("The last step was good: Janus carries more than was tried.")
        elif steps[-1].server_limit is None:
            print(f"What ended the steps was not the server's limit: {steps[-1].verdict}.")
    return {
        "steps": [_as_object(each) for each in steps],
        "packets_per_sec": best and best.packets_per_sec,
        "mbit_per_sec": best and best.mbit_per_sec,
        "packets_per_cpu_sec": per_core,
    }


async def _mix(options: Options) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name, rate in MIXES.items():
        steps = streams(options) if rate is None else mix(options, rate)
        done = await _collect(f"Participants with {name}, one core for Janus", steps)
        good = [each for each in done if each.is_good]
        each_costs = cores_each([(one.participants, one.janus_cores) for one in good]) if len(good) > 1 else None
        carried = max((one.participants for one in good), default=0)
        costs = "unknown" if not each_costs else f"{each_costs:.4f} cores, which makes {1 / each_costs:.0f} per core"
        print(f"\nOne more participant costs {costs}; {carried} were carried.")
        results[name] = {
            "steps": [_as_object(one) for one in done],
            "cores_each": each_costs,
            "participants_per_core": 1 / each_costs if each_costs else None,
            "carried": carried,
        }
    return results


async def _rooms(options: Options) -> list[dict[str, Any]]:
    print(f"\n## Rooms, all {len(os.sched_getaffinity(0))} cores\n\n{_HEADINGS}")
    done: list[RoomFigures] = []
    conclusions: list[str] = []
    for joined, publishing in ((20, 4),) if options.is_quick else ((50, 10), (150, 25)):
        async with contextlib.aclosing(rooms(options, joined, publishing)) as running:  # type: ignore[type-var]
            steps = [room async for room in _shown(running)]
        done += steps
        conclusions.append(_carried(f"{joined} joined with {publishing} publishing", steps))
    print("\n| | tones recognised | rest against the tones | peak | delay in the mix |\n|---|---|---|---|---|")
    for room in done:
        found = room.recognition
        print(
            f"| {room.name} | {found.tones} of {room.tones} | {found.noise_db:.0f} dB | {found.level_db:.0f} dB "
            f"| {_ms(room.mix_delay)} |"
        )
    print("\n" + "\n".join(conclusions))
    return [
        {
            "name": room.name,
            **_as_object(room.figures),
            "tones_sent": room.tones,
            "tones_recognised": room.recognition.tones,
            "noise_db": room.recognition.noise_db,
            "peak_db": room.recognition.level_db,
            "mix_delay_secs": room.mix_delay,
        }
        for room in done
    ]


async def _shown(steps: AsyncIterator[RoomFigures]) -> AsyncIterator[RoomFigures]:
    async for room in steps:
        print(_row(room.name, room.figures), flush=True)
        yield room


def _carried(title: str, steps: list[RoomFigures]) -> str:
    """In words: what of these steps the machine carries, and what ended them."""
    good = [room.name for room in steps if room.figures.is_good]
    last = steps[-1]
    if last.figures.is_good:
        return f"{title}: carried, with all cameras watched."
    carried = f"carried up to: {good[-1]}" if good else "nothing of it was carried"
    return f"{title}: {carried}. Not carried: {last.name} ({last.figures.verdict})."


def _as_object(figures: Figures) -> dict[str, Any]:
    return {
        **asdict(figures),
        "loss": figures.loss,
        "late_part": figures.late_part,
        "packets_per_sec": figures.packets_per_sec,
        "mbit_per_sec": figures.mbit_per_sec,
        "packets_per_cpu_sec": figures.packets_per_core_sec,
        "is_good": figures.is_good,
        "verdict": figures.verdict,
    }


async def _run(sections: list[str], options: Options) -> dict[str, Any]:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # or the server would go on
    program = find_janus(None if options.janus is None else Path(options.janus))
    shown = subprocess.run([program, "--version"], check=False, capture_output=True, text=True)
    version = (shown.stdout or shown.stderr).partition("\n")[0]
    taken_on: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "machine": machine(),
        "janus": version,
        "secs_per_step": options.secs,
        "load_average_before": os.getloadavg(),
    }
    print(f"{taken_on['date']} UTC, {taken_on['machine']}; {version}; {options.secs:.0f} s per step.")
    print(f"Load of the machine before: {os.getloadavg()[0]:.1f} processes.")
    figures: dict[str, Any] = {}
    for section in sections:
        figures[section] = await {"forward": _forward, "mix": _mix, "rooms": _rooms}[section](options)
    return {**taken_on, "load_average_after": os.getloadavg(), "figures": figures}


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter steps, about a minute in all: not to be published"
    )
    parser.add_argument("--seconds", type=float, help=f"of each step (default: {SECS:.0f}, quick {SECS_QUICK:.0f})")
    parser.add_argument("--janus", help="Janus program; default: the one that Portico finds")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    options = Options(given.seconds or (SECS_QUICK if given.quick else SECS), given.quick, given.janus)
    result = uvloop.run(_run(given.sections or list(SECTIONS), options))
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
