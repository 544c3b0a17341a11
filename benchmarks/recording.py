"""Recording: how long it takes until a file is finished after its track ended, for 1, 10 and 60 minutes.

Run it as `script/bench recording [--minutes 1 10 60] [--json FILE]`. Sound is Opus at 32 kb/s, video is VP8 of
640x480 with 30 pictures a second at 500 kb/s. The time is that of the whole command, from its start to its exit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import machine
from tests.converter.mjr_files import Network, Unit, encode_from, every, opus_units, video_units, write_mjr

MINUTE_MS = 60_000
# A small process between: the memory of a child counts from its fork, when it is as large as its parent.
_MEASURED = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss}))
"""
NETWORK = Network(jitter_ms=5, late=0.002, loss=0.001)


Run = dict[str, str | int | float]


def goal_secs(minutes: int) -> float:
    return 2 + 0.5 * minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10, 60])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    runs = []
    print(f"{'track':6} {'minutes':>7} {'MB':>7} {'seconds':>8} {'goal':>6} {'CPU s':>6} {'memory MB':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for track, minute in (("audio", one_minute_of_audio()), ("video", one_minute_of_video())):
            for minutes in arguments.minutes:
                run = measure(track, minute, minutes, Path(folder))
                runs.append(run)
                print(
                    f"{track:6} {minutes:7} {run['mjr_mb']:7} {run['seconds']:8} {run['goal_seconds']:6} "
                    f"{run['cpu_seconds']:6} {run['memory_mb']:10}"
                )
    figures = {"machine": machine(), "runs": runs, "goal_reached": all(within(run) for run in runs)}
    print(f"{figures['machine']}\nwithin the goal of 2 s + 0.5 s per minute: {figures['goal_reached']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


def one_minute_of_audio() -> list[Unit]:
    return opus_units(MINUTE_MS, options=["-b:a", "32k"])


def one_minute_of_video() -> list[Unit]:
    source = ["-f", "lavfi", "-i", "testsrc2=s=640x480:r=30:d=60,noise=alls=12:allf=t"]
    encoded = encode_from("vp8", source, keyframe_every=300, rate="500k")
    return video_units(encoded, every(1000 / 30, 1800), mtu=1100)


def measure(track: str, minute: list[Unit], minutes: int, folder: Path) -> Run:
    rate, codec = (48, "opus") if track == "audio" else (90, "vp8")
    mjr = write_mjr(folder / f"{track}.mjr", repeated(minute, minutes, rate), codec, NETWORK)
    began = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        _MEASURED,
        sys.executable,
        "-m",
        "portico.converter.convert",
        str(mjr),
        str(folder),
    ]
    process = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - began
    converted, usage = map(json.loads, process.stdout.splitlines())
    run: Run = {
        "track": track,
        "minutes": minutes,
        "mjr_mb": round(mjr.stat().st_size / 1e6, 1),
        "seconds": round(seconds, 2),
        "goal_seconds": goal_secs(minutes),
        "cpu_seconds": round(usage["cpu"], 2),
        "memory_mb": round(usage["memory"] / 1024, 1),
    }
    mjr.unlink()
    Path(converted["path"]).unlink()
    return run


def repeated(minute: list[Unit], minutes: int, ticks_per_ms: int) -> Iterator[Unit]:
    for number in range(minutes):
        for unit in minute:
            later = number * MINUTE_MS
            yield Unit(unit.ticks + later * ticks_per_ms, unit.true_ms + later, unit.payloads)


def within(run: Run) -> bool:
    return float(run["seconds"]) <= goal_secs(int(run["minutes"]))


if __name__ == "__main__":
    main()
