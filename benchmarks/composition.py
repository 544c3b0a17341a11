"""Measures a composition of four cameras: CPU seconds per second, ours and the best command written by hand.

Run it as `python -m benchmarks.composition [--secs 60] [--rounds 3] [--json FILE]`.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from benchmarks.machine import machine
from portico.composer.plan import AudioFile, CompositionPlan, Preset, VideoFile
from portico.core.layout import VideoSource, plan
from tests.converter.pictures import MediaFile, encode, ffmpeg, together, tone

GOAL, GOAL_RATIO = 0.75, 1.1
WIDTH, HEIGHT = 1280, 720
PIECE_SECS = 20
T0 = 1_700_000_000_000
CAMERAS = (
    "testsrc2=s=640x480:r=30",
    "mandelbrot=s=640x480:r=30:maxiter=400",
    "gradients=s=640x480:r=30:speed=0.02:nb_colors=5,format=yuv420p,noise=alls=8:allf=t",
    "testsrc=s=640x480:r=30,hue=h=t*20",
)
CORNERS = "0_0|640_0|0_360|640_360"
X264 = {
    "default": ("-preset", "superfast", "-crf", "23", "-x264-params", "mbtree=1:rc-lookahead=10"),
    "veryfast": ("-preset", "veryfast", "-crf", "23"),
}


@dataclass(frozen=True)
class Cost:
    """Of one composition: CPU and wall seconds for each second of its length, and its size in bytes."""

    cpu: float
    wall: float
    bytes: int


def recordings(folder: Path, secs: int) -> CompositionPlan:
    """Four people who are there from beginning to end, with cameras of 640x480 at 30 frames/s and microphones."""
    pieces = -(-secs // PIECE_SECS)
    for number, camera in enumerate(CAMERAS):
        piece = encode(folder / f"piece{number}.webm", f"{camera},trim=duration={PIECE_SECS}")
        together(folder / f"{number}.webm", *[piece] * pieces)
        tone(folder / f"{number}.ogg", 300 + 100 * number, secs)
    end = T0 + secs * 1000
    placements = plan((), [VideoSource(str(n), T0, end, ((T0, end),)) for n in range(4)], WIDTH, HEIGHT, T0, end)
    videos = tuple(VideoFile(str(n), str(folder / f"{n}.webm"), T0) for n in range(4))
    audios = tuple(AudioFile(f"a{n}", str(folder / f"{n}.ogg"), T0, end) for n in range(4))
    return CompositionPlan(WIDTH, HEIGHT, T0, secs * 1000, placements, videos, audios)


def by_hand(folder: Path, secs: int, x264: Sequence[str], *, laid_over: bool = False) -> list[str]:
    """One ffmpeg command for the same picture and sound, as an expert writes it for these files."""
    inputs = [part for kind in ("webm", "ogg") for n in range(4) for part in ("-i", str(folder / f"{n}.{kind}"))]
    if laid_over:
        chains = [f"[{n}:v]fps=25,scale=480:360[t{n}]" for n in range(4)]
        chains.append(f"color=c=black:s={WIDTH}x{HEIGHT}:r=25[p0]")
        for n, (x, y) in enumerate(((80, 0), (720, 0), (80, 360), (720, 360))):
            chains.append(f"[p{n}][t{n}]overlay={x}:{y}[p{n + 1}]")
        picture = ";".join([*chains, "[p4]format=yuv420p[v]"])
    else:
        chains = [f"[{n}:v]fps=25,scale=480:360,pad=640:360:80:0[t{n}]" for n in range(4)]
        picture = ";".join([*chains, f"[t0][t1][t2][t3]xstack=inputs=4:layout={CORNERS}[v]"])
    sound = "[4:a][5:a][6:a][7:a]amix=inputs=4:normalize=0,alimiter=limit=0.95:level=0[a]"
    return [
        *("ffmpeg", "-nostdin", "-v", "error", "-y", *inputs),
        *("-filter_complex_threads", "1", "-filter_complex", picture, "-filter_complex", sound),
        *("-map", "[v]", "-map", "[a]", "-t", str(secs), "-c:v", "libx264", *x264, "-g", "100", "-threads", "2"),
        *("-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", str(folder / "composition.mp4")),
    ]


def ours(folder: Path, of: CompositionPlan, preset: Preset, round_: str) -> list[str]:
    """The command that the worker runs, with a new work folder."""
    path = folder / f"plan-{preset}.json"
    path.write_bytes(msgspec.json.encode(replace(of, preset=preset)))
    program = [sys.executable, "-m", "portico.composer.compose"]
    return [*program, str(path), str(folder / "composition.mp4"), "--work", str(folder / f"work-{preset}-{round_}")]


def measure(command: Sequence[str], folder: Path, secs: int) -> Cost:
    """The command's cost, all its children included; it must have made a video of the right length."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
    composition = folder / "composition.mp4"
    duration = float(MediaFile(composition).facts()["format"]["duration"])
    if abs(duration - secs) > 0.1:
        raise SystemExit(f"The composition is {duration} s long instead of {secs} s: {' '.join(command)}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu / secs, wall / secs, composition.stat().st_size)


def likeness(folder: Path, reference: Path) -> float:
    """SSIM of the last composition's picture with a reference, 1 for the same."""
    graph = "[0:v][1:v]ssim=stats_file=-[v]"
    lines = ffmpeg("-i", folder / "composition.mp4", "-i", reference, "-lavfi", graph, "-map", "[v]", "-f", "null", "-")
    values = [float(line.split("All:")[1].split()[0]) for line in lines.decode().splitlines() if "All:" in line]
    return statistics.mean(values)


def run(secs: int, rounds: int, json_file: Path | None) -> None:
    """Measures, prints and, if asked, writes everything as JSON."""
    costs: dict[str, list[Cost]] = {}
    alike: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-composition-") as name:
        folder = Path(name)
        of = recordings(folder, secs)
        subprocess.run(by_hand(folder, secs, ("-preset", "ultrafast", "-crf", "4")), check=True)
        reference = (folder / "composition.mp4").rename(folder / "reference.mp4")
        for number in range(rounds):
            for way, command in {
                "portico default": ours(folder, of, "default", str(number)),
                "by hand, same encoding": by_hand(folder, secs, X264["default"]),
                "by hand, overlay": by_hand(folder, secs, X264["default"], laid_over=True),
                "by hand, veryfast": by_hand(folder, secs, X264["veryfast"]),
                "portico fast": ours(folder, of, "fast", str(number)),
                "portico small": ours(folder, of, "small", str(number)),
            }.items():
                costs.setdefault(way, []).append(measure(command, folder, secs))
                alike[way] = alike.get(way) or likeness(folder, reference)
    _report(costs, alike, secs, json_file)


def _report(costs: dict[str, list[Cost]], alike: dict[str, float], secs: int, json_file: Path | None) -> None:
    figures = {
        way: {
            "cpu": round(statistics.median(cost.cpu for cost in all_), 3),
            "wall": round(statistics.median(cost.wall for cost in all_), 3),
            "megabytes_per_minute": round(all_[0].bytes / 1e6 * 60 / secs, 2),
            "ssim": round(alike[way], 4),
        }
        for way, all_ in costs.items()
    }
    print(machine())
    print(f"{WIDTH}x{HEIGHT}, four cameras of 640x480, {secs} s; medians of {len(next(iter(costs.values())))}")
    print(f"{'':26}{'CPU s/s':>9}{'wall s/s':>10}{'MB/min':>9}{'SSIM':>8}")
    for way, row in figures.items():
        print(f"{way:26}{row['cpu']:9.3f}{row['wall']:10.3f}{row['megabytes_per_minute']:9.2f}{row['ssim']:8.4f}")
    cpu = figures["portico default"]["cpu"]
    best = min(figures[way]["cpu"] for way in ("by hand, same encoding", "by hand, overlay"))
    print(f"goal {GOAL} CPU seconds per second: {cpu}; goal {GOAL_RATIO} x by hand: {cpu / best:.2f}")
    if json_file is not None:
        raw = {way: [vars(cost) for cost in all_] for way, all_ in costs.items()}
        json_file.write_text(json.dumps({"machine": machine(), "figures": figures, "compositions": raw}, indent=1))


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secs", type=int, default=60, help="length of the composition (default: 60)")
    parser.add_argument("--rounds", type=int, default=3, help="compositions of each way (default: 3)")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    options = parser.parse_args()
    run(options.secs, options.rounds, options.json)


if __name__ == "__main__":
    main()
