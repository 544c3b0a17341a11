"""Makes one composition of recordings: `python -m portico.composer.compose PLAN.json OUT.mp4 [--work FOLDER]`.

Prints `Progress` as it works and then a `ComposedFile` or a `Failure` (runtime/child_messages.py). SIGTERM ends it
within a second. Finished parts stay in the work folder: started again with the same plan and folder, it continues where
it was stopped, however it was stopped.
"""

import argparse
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

import msgspec

from portico.composer import commands, ffmpeg, reduction, source_facts
from portico.composer.commands import CompositionPlan, Input, Segment, Stretch
from portico.composer.ffmpeg import Ended, Running
from portico.composer.source_facts import SourceFacts
from portico.composer.work_folder import Step, WorkFolder, settle, size_and_sha256
from portico.runtime import child_limits
from portico.runtime.child_messages import ComposedFile, ExitStatus, Failure, Progress, print_line

NICENESS = 19
THREADS = 2
"""Of x264. A third of the time less than one thread, for a twentieth more work."""
_PR_SET_PDEATHSIG = 1
# What a second of sound, and of joining, costs beside a second of picture: only progress follows from it.
_SOUND_COST, _JOIN_COST = 0.1, 0.05
_SOUND_TOLERANCE_US = 1000


class CompositionError(Exception):
    """There is no composition; str() is a sentence that says why."""


def compose(
    plan: CompositionPlan,
    work_dir: Path,
    out: Path,
    *,
    on_progress: Callable[[float], None],
    threads: int = THREADS,
) -> ComposedFile:
    """Makes the composition; `on_progress` hears numbers from 0 to 1 that never fall. Raises CompositionError.

    The work folder, which nobody else may use meanwhile, is the caller's to remove. `out` appears only when complete.
    """
    here = WorkFolder(work_dir.absolute())
    return _Composer(_with_absolute_paths(plan), here, _Progress(plan, on_progress), threads).compose(out.absolute())


class _Progress:
    """How far the composition is, by what its parts cost."""

    def __init__(self, plan: CompositionPlan, say: Callable[[float], None]) -> None:
        self._say = say
        self._whole = plan.frames * commands.FRAME_MS * 1000 * (1 + _JOIN_COST + plan.sound * _SOUND_COST)
        self._done = 0.0
        self._said = -1.0

    def at(self, out_us: int, cost: float) -> None:
        """So much of the current part is made."""
        fraction = min(1.0, (self._done + out_us * cost) / self._whole)
        if fraction > self._said:
            self._said = fraction
            self._say(fraction)

    def goes_on(self) -> None:
        """Something is done that is no part of the composition."""
        self._said = max(self._said, 0.0)
        self._say(self._said)

    def past(self, length_us: int, cost: float) -> None:
        """The current part is finished."""
        self._done += length_us * cost
        self.at(0, cost)


class _Composer:
    """One composition on its way."""

    def __init__(self, plan: CompositionPlan, folder: WorkFolder, progress: _Progress, threads: int) -> None:
        self._plan = plan
        self._folder = folder
        self._progress = progress
        self._threads = threads
        self._lettering = False
        self._cells: dict[str, tuple[int, int]] = {}
        self._facts: dict[str, SourceFacts] = {}
        self._reduced: set[str] = set()
        self._reducing_cpu_secs = 0.0
        self._unreadable: set[str] = set()
        self._left_out: dict[str, None] = {}

    def compose(self, out: Path) -> ComposedFile:
        segments = commands.segments(self._plan)
        self._write_names(segments)
        self._reduce_some(segments)
        pictures = [self._picture(number, each) for number, each in enumerate(segments)]
        sounds = [self._sound(number, each) for number, each in enumerate(self._stretches())]
        self._join(pictures, sounds, out)
        size, sha256 = size_and_sha256(out)
        self._progress.at(sys.maxsize, 1)
        return ComposedFile(size, sha256, self._plan.frames * commands.FRAME_MS, tuple(self._left_out))

    def _write_names(self, segments: Sequence[Segment]) -> None:
        scripts = commands.scripts(self._plan, segments)
        for file, text in scripts.items():
            self._folder.write(file, text)
        # An ffmpeg may be built without libass; then the tiles carry no names.
        trial = commands.lettering_trial(next(iter(scripts))) if scripts else []
        self._lettering = bool(trial) and ffmpeg.run(trial, self._folder.path).status == 0

    def _reduce_some(self, segments: Sequence[Segment]) -> None:
        self._cells = reduction.largest_cells(segments)
        for video in self._plan.videos:
            found = source_facts.look(video.path) if video.recording_id in self._cells else None
            if found is not None:
                self._facts[video.recording_id] = found
        self._reduce(reduction.needed(self._plan, segments, self._facts))

    def _reduce(self, recordings: Iterable[str]) -> bool:
        """Decode these alone and make them small; those that cannot be are left out. False: all were before."""
        fresh = [each for each in recordings if each in self._cells and each not in self._reduced]
        for each in fresh:
            self._reduced.add(each)
            number = next(at for at, video in enumerate(self._plan.videos) if video.recording_id == each)
            file = self._small(number, each)
            if file is None:
                self._unreadable.add(each)
                self._left_out[each] = None
            else:
                videos = list(self._plan.videos)
                videos[number] = replace(videos[number], path=str(self._folder.path / file))
                self._plan = replace(self._plan, videos=tuple(videos))
        return bool(fresh)

    def _small(self, number: int, recording_id: str) -> str | None:
        """The file of a recording that is decoded alone, within a memory and a CPU time of its own."""
        command = reduction.command(self._plan.videos[number].path, self._cells[recording_id])
        step = Step(f"small-{number:05}.mkv", tuple(command), 0)
        if self._folder.has(step):
            return step.file
        made = self._folder.path / f"{step.file}.part"
        secs = reduction.cpu_secs(self._facts.get(recording_id), self._plan, self._reducing_cpu_secs)
        if not secs:
            return None
        ended = self._run([*command, str(made)], 0, cpu_secs=secs)
        self._reducing_cpu_secs += ended.cpu_secs
        if ended.status != 0 or ended.frames == 0:
            made.unlink(missing_ok=True)
            return None
        if ended.starved:
            self._left_out[recording_id] = None
        self._folder.keep(step, made)
        return step.file

    def _stretches(self) -> Sequence[Stretch]:
        return commands.stretches(self._plan) if self._plan.sound else ()

    def _picture(self, number: int, segment: Segment) -> tuple[str, int]:
        file = f"picture-{number:05}.mp4"

        def step(without: Container[str]) -> Step:
            tiles = tuple(tile for tile in segment.tiles if tile.placeholder or tile.recording_id not in without)
            left = replace(segment, tiles=tiles)
            command = commands.segment_command(self._plan, left, threads=self._threads, lettering=self._lettering)
            return Step(file, tuple(command), segment.frames * commands.FRAME_MS * 1000, segment.frames)

        cpu_secs = commands.picture_cpu_secs(segment)
        self._make(step, 1.0, lambda: commands.seen(self._plan, segment), cpu_secs=cpu_secs)
        return file, segment.frames

    def _sound(self, number: int, stretch: Stretch) -> tuple[str, int]:
        file = f"sound-{number:05}.flac"
        groups = commands.groups(stretch)
        if len(groups) == 1:
            self._sum(file, groups[0], _SOUND_COST)
        else:
            cost = _SOUND_COST / (len(groups) + 1)
            parts = [f"sound-{number:05}-{index:03}.flac" for index in range(len(groups))]
            for part, group in zip(parts, groups, strict=True):
                self._sum(part, group, cost)
            whole = Step(file, tuple(commands.sums_command(stretch, parts)), _length_us(stretch))
            self._make(lambda _: whole, cost, dict, cpu_secs=commands.sound_cpu_secs(stretch))
        return file, stretch.frames

    def _sum(self, file: str, stretch: Stretch, cost: float) -> None:
        def step(without: Container[str]) -> Step:
            audios = tuple(audio for audio in stretch.audios if audio.recording_id not in without)
            command = commands.stretch_command(self._plan, replace(stretch, audios=audios))
            return Step(file, tuple(command), _length_us(stretch))

        inputs = commands.heard(self._plan, stretch)
        self._make(step, cost, lambda: inputs, cpu_secs=commands.sound_cpu_secs(stretch))

    def _make(
        self,
        step_of: Callable[[Container[str]], Step],
        cost: float,
        inputs_of: Callable[[], Mapping[str, Input]],
        *,
        cpu_secs: int,
    ) -> None:
        """Makes one part, unless it is there: `step_of` tells how, without some recordings.

        Where it takes more than it may, all that is seen is decoded alone first. Recordings that prove to be unreadable
        where the part begins are left out; those that are so at all, from then on.
        """
        without = set(self._unreadable)
        step = step_of(without)
        while not self._folder.has(step):
            made = self._folder.path / f"{step.file}.part"
            ended = self._run([*step.arguments, str(made)], cost, cpu_secs=cpu_secs)
            if _complete(step, ended):
                self._folder.keep(step, made)
                break
            inputs = inputs_of()
            if ended.over_limit and self._reduce(each for each in inputs if each not in without):
                without |= self._unreadable
                step = step_of(without)
                continue
            broken = [each for each in inputs if each not in without and not self._reads(inputs[each])]
            if not broken:
                raise CompositionError(_why(step, ended))
            self._unreadable |= {each for each in broken if not self._reads(replace(inputs[each], position_ms=0))}
            self._left_out |= dict.fromkeys(broken)
            without |= set(broken)
            step = step_of(without)
        self._progress.past(step.length_us, cost)

    def _reads(self, each: Input) -> bool:
        """Whether anything can be decoded of what is read. A file that is not there at all is an error."""
        if not Path(each.path).exists():
            raise CompositionError(f"The file of a recording is missing: {Path(each.path).name}.")
        ended = ffmpeg.run(commands.reading_trial(each), self._folder.path)
        return ended.status == 0 and (ended.frames > 0 or ended.out_us > 0)

    def _join(self, pictures: Sequence[tuple[str, int]], sounds: Sequence[tuple[str, int]], out: Path) -> None:
        self._folder.write("pictures.ffconcat", commands.concat_list(pictures))
        self._folder.write("sounds.ffconcat", commands.concat_list(sounds))
        unfinished = out.with_name(f"{out.name}.part")
        try:
            command = commands.join_command(
                "pictures.ffconcat", "sounds.ffconcat" if self._plan.sound else None, self._plan.preset
            )
            cpu_secs = commands.joining_cpu_secs(self._plan)
            ended = self._run([*command, str(unfinished)], _JOIN_COST, cpu_secs=cpu_secs)
            if ended.status != 0 or ended.frames != self._plan.frames:
                raise CompositionError(f"The parts of the composition could not be joined: {_how(ended)}")
            settle(unfinished, out)
        finally:
            unfinished.unlink(missing_ok=True)

    def _run(self, arguments: Sequence[str], cost: float, *, cpu_secs: int) -> Ended:
        def heard(running: Running) -> None:
            if cost:
                self._progress.at(running.out_us, cost)
            else:
                self._progress.goes_on()

        try:
            return ffmpeg.run(arguments, self._folder.path, heard, cpu_secs=cpu_secs)
        except OSError as error:
            raise CompositionError(f"ffmpeg cannot be started: {error.strerror}. Is it installed?") from error


def _complete(step: Step, ended: Ended) -> bool:
    if ended.status != 0 or ended.starved:
        return False
    if step.frames is not None:
        return ended.frames == step.frames
    return abs(ended.out_us - step.length_us) <= _SOUND_TOLERANCE_US


def _length_us(stretch: Stretch) -> int:
    return stretch.frames * commands.FRAME_MS * 1000


def _why(step: Step, ended: Ended) -> str:
    return f"A part of the composition, {step.file}, could not be made: {_how(ended)}"


def _how(ended: Ended) -> str:
    if ended.status < 0:
        return f"ffmpeg was killed by {signal.Signals(-ended.status).name}. {ended.complaint}".strip()
    return ended.complaint or f"ffmpeg ended with status {ended.status} after {ended.frames} frames."


def _with_absolute_paths(plan: CompositionPlan) -> CompositionPlan:
    videos = tuple(replace(video, path=str(Path(video.path).absolute())) for video in plan.videos)
    audios = tuple(replace(audio, path=str(Path(audio.path).absolute())) for audio in plan.audios)
    return replace(plan, videos=videos, audios=audios)


def main() -> None:
    """Reads the command line, makes the composition and says how far it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="a CompositionPlan as JSON")
    parser.add_argument("out", type=Path, help="the MP4 to write")
    parser.add_argument("--work", type=Path, help="folder for the parts (default: OUT.mp4.work)")
    parser.add_argument("--threads", type=int, default=THREADS, help=f"threads of x264 (default: {THREADS})")
    options = parser.parse_args()
    _be_a_good_child()
    work = options.work or options.out.with_name(f"{options.out.name}.work")
    try:
        plan = msgspec.json.decode(options.plan.read_bytes(), type=CompositionPlan)
        composed = compose(
            plan,
            work,
            options.out,
            on_progress=lambda fraction: print_line(Progress(round(fraction, 4))),
            threads=options.threads,
        )
    except (CompositionError, OSError, msgspec.MsgspecError) as error:
        print_line(Failure(str(error)))
        sys.exit(ExitStatus.FAILED)
    print_line(composed)


def _be_a_good_child() -> None:
    """Whatever else the machine does comes first; SIGTERM ends us in good order; and we end with our parent."""
    os.nice(NICENESS)
    child_limits.limit_own_memory()

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the way out must not be interrupted
        sys.exit(ExitStatus.TERMINATED)

    signal.signal(signal.SIGTERM, end)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    main()
