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
from portico.composer.commands import Input
from portico.composer.ffmpeg import Ended, RunningFfmpeg
from portico.composer.plan import (
    FRAME_MS,
    CompositionPlan,
    Segment,
    SoundSegment,
    picture_segments,
    sound_segments,
    sum_groups,
)
from portico.composer.progress import JOIN_COST, SOUND_COST, ProgressMeter
from portico.composer.source_facts import SourceFacts
from portico.composer.work_folder import Step, WorkFolder, size_and_sha256
from portico.runtime import child_limits, durable
from portico.runtime.child_messages import ComposedFile, ExitStatus, Failure, Progress, print_line

NICENESS = 19
"""The lowest priority: calls come first."""
THREADS = 2
"""Threads of x264. Compared with one thread, it takes two thirds of the time and 5 % more CPU time."""
_PR_SET_PDEATHSIG = 1
_SOUND_TOLERANCE_US = 1000  # by how much the length that ffmpeg reports of a FLAC may differ from its samples


class CompositionError(Exception):
    """The composition cannot be made; str() is a sentence that says why."""


def compose(
    plan: CompositionPlan,
    work_dir: Path,
    out: Path,
    *,
    on_progress: Callable[[float], None],
    threads: int = THREADS,
) -> ComposedFile:
    """Write the composition to `out`, which exists only when it is complete. Raises CompositionError.

    `on_progress` is called with numbers from 0 to 1 that never fall. The caller removes `work_dir`, and lets no other
    process use it meanwhile.
    """
    folder, progress = WorkFolder(work_dir.absolute()), ProgressMeter(plan, on_progress)
    return _Composer(_with_absolute_paths(plan), folder, progress, threads).compose(out.absolute())


class _Composer:
    """Makes one composition. Holds what is known of its recordings: facts, reduced copies, what cannot be read."""

    def __init__(self, plan: CompositionPlan, folder: WorkFolder, progress: ProgressMeter, threads: int) -> None:
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
        segments = picture_segments(self._plan)
        self._write_names(segments)
        self._reduce_some(segments)
        pictures = [self._picture(number, each) for number, each in enumerate(segments)]
        sounds = [self._sound(number, each) for number, each in enumerate(self._sound_segments())]
        self._join(pictures, sounds, out)
        size, sha256 = size_and_sha256(out)
        self._progress.advance(sys.maxsize, 1)
        return ComposedFile(size, sha256, self._plan.frames * FRAME_MS, tuple(self._left_out))

    def _write_names(self, segments: Sequence[Segment]) -> None:
        scripts = commands.scripts(self._plan, segments)
        for file, text in scripts.items():
            self._folder.write(file, text)
        # ffmpeg may be built without libass: then tiles have no names.
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
        """Replace these recordings by reduced copies; those that cannot be decoded are left out from now on.

        False if each of them has been replaced, or left out, before.
        """
        fresh = [each for each in recordings if each in self._cells and each not in self._reduced]
        for each in fresh:
            self._reduced.add(each)
            number = next(at for at, video in enumerate(self._plan.videos) if video.recording_id == each)
            file = self._reduced_copy(number, each)
            if file is None:
                self._unreadable.add(each)
                self._left_out[each] = None
            else:
                videos = list(self._plan.videos)
                videos[number] = replace(videos[number], path=str(self._folder.path / file))
                self._plan = replace(self._plan, videos=tuple(videos))
        return bool(fresh)

    def _reduced_copy(self, number: int, recording_id: str) -> str | None:
        """The name of a recording's reduced copy in the work folder; None if it cannot be made within its limits."""
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

    def _sound_segments(self) -> Sequence[SoundSegment]:
        return sound_segments(self._plan) if self._plan.sound else ()

    def _picture(self, number: int, segment: Segment) -> tuple[str, int]:
        file = f"picture-{number:05}.mp4"

        def step(without: Container[str]) -> Step:
            tiles = tuple(tile for tile in segment.tiles if tile.placeholder or tile.recording_id not in without)
            left = replace(segment, tiles=tiles)
            command = commands.picture_command(self._plan, left, threads=self._threads, lettering=self._lettering)
            return Step(file, tuple(command), segment.frames * FRAME_MS * 1000, segment.frames)

        cpu_secs = commands.picture_cpu_secs(segment)
        self._make(step, 1.0, lambda: commands.visible_inputs(self._plan, segment), cpu_secs=cpu_secs)
        return file, segment.frames

    def _sound(self, number: int, segment: SoundSegment) -> tuple[str, int]:
        file = f"sound-{number:05}.flac"
        groups = sum_groups(segment)
        if len(groups) == 1:
            self._sum(file, groups[0], SOUND_COST)
        else:
            cost = SOUND_COST / (len(groups) + 1)
            parts = [f"sound-{number:05}-{index:03}.flac" for index in range(len(groups))]
            for part, group in zip(parts, groups, strict=True):
                self._sum(part, group, cost)
            whole = Step(file, tuple(commands.sum_groups_command(segment, parts)), _length_us(segment))
            self._make(lambda _: whole, cost, dict, cpu_secs=commands.sound_cpu_secs(segment))
        return file, segment.frames

    def _sum(self, file: str, segment: SoundSegment, cost: float) -> None:
        def step(without: Container[str]) -> Step:
            audios = tuple(audio for audio in segment.audios if audio.recording_id not in without)
            command = commands.sound_command(self._plan, replace(segment, audios=audios))
            return Step(file, tuple(command), _length_us(segment))

        inputs = commands.audible_inputs(self._plan, segment)
        self._make(step, cost, lambda: inputs, cpu_secs=commands.sound_cpu_secs(segment))

    def _make(
        self,
        step_of: Callable[[Container[str]], Step],
        cost: float,
        inputs_of: Callable[[], Mapping[str, Input]],
        *,
        cpu_secs: int,
    ) -> None:
        """Make one part unless it is finished already. `step_of` gives its step without the recordings it is passed.

        If the step exceeds a limit, all its inputs are replaced by reduced copies first. Recordings that cannot be
        decoded at the beginning of this part are left out of it; those that cannot be decoded at all, of all parts
        from then on. Raises CompositionError when the step fails although all its inputs can be decoded.
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
        self._progress.finish_part(step.length_us, cost)

    def _reads(self, each: Input) -> bool:
        """Whether at least one frame of this input can be decoded. Raises CompositionError when the file is missing."""
        if not Path(each.path).exists():
            raise CompositionError(f"The file of a recording is missing: {Path(each.path).name}.")
        ended = ffmpeg.run(commands.reading_trial(each), self._folder.path)
        return ended.status == 0 and (ended.frames > 0 or ended.out_us > 0)

    def _join(self, pictures: Sequence[tuple[str, int]], sounds: Sequence[tuple[str, int]], out: Path) -> None:
        self._folder.write("pictures.ffconcat", commands.concat_list(pictures))
        self._folder.write("sounds.ffconcat", commands.concat_list(sounds))
        part = out.with_name(f"{out.name}.part")
        try:
            command = commands.join_command(
                "pictures.ffconcat", "sounds.ffconcat" if self._plan.sound else None, self._plan.preset
            )
            cpu_secs = commands.joining_cpu_secs(self._plan)
            ended = self._run([*command, str(part)], JOIN_COST, cpu_secs=cpu_secs)
            if ended.status != 0 or ended.frames != self._plan.frames:
                raise CompositionError(f"The parts of the composition could not be joined: {_how(ended)}")
            durable.rename(part, out)
        finally:
            part.unlink(missing_ok=True)

    def _run(self, arguments: Sequence[str], cost: float, *, cpu_secs: int) -> Ended:
        def on_progress(running: RunningFfmpeg) -> None:
            if cost:
                self._progress.advance(running.out_us, cost)
            else:
                self._progress.repeat()

        try:
            return ffmpeg.run(arguments, self._folder.path, on_progress, cpu_secs=cpu_secs)
        except OSError as error:
            raise CompositionError(f"ffmpeg cannot be started: {error.strerror}. Is it installed?") from error


def _complete(step: Step, ended: Ended) -> bool:
    if ended.status != 0 or ended.starved:
        return False
    if step.frames is not None:
        return ended.frames == step.frames
    return abs(ended.out_us - step.length_us) <= _SOUND_TOLERANCE_US


def _length_us(segment: SoundSegment) -> int:
    return segment.frames * FRAME_MS * 1000


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
    """Make the composition that the command line names; print progress and the outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="a CompositionPlan as JSON")
    parser.add_argument("out", type=Path, help="the MP4 to write")
    parser.add_argument("--work", type=Path, help="folder for the parts (default: OUT.mp4.work)")
    parser.add_argument("--threads", type=int, default=THREADS, help=f"threads of x264 (default: {THREADS})")
    options = parser.parse_args()
    _set_up_process()
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


def _set_up_process() -> None:
    """Take the lowest priority, limit memory, end in good order at SIGTERM, and receive one when the parent ends."""
    os.nice(NICENESS)
    child_limits.limit_own_memory()

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the clean-up
        sys.exit(ExitStatus.TERMINATED)

    signal.signal(signal.SIGTERM, end)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    main()
