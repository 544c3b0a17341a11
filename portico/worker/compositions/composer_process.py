"""Runs the composer: reads its progress, and ends it when the composition is deleted or the server stops."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from portico.composer.compose import Composed
from portico.runtime import child
from portico.runtime.child import Confinement
from portico.worker.recordings.converter_process import size_of_file, start, step_back

STALLED_SECS = 900.0
"""A program that gets no further for so long will not."""
NICENESS = 10
"""Of the composer's session, where Linux schedules sessions as groups; elsewhere compose.py's own niceness counts."""
ENDS_WITHIN_SECS = 0.5
"""After SIGTERM; then it is killed with all its children.

A runner of jobs hears within a second that a composition is deleted, and nothing of it may be left after two. On a busy
machine the composer, which comes last there, does not end by itself in that time.
"""
LINE_BYTES_MAX = 64 * 1024
FONT_CACHE = Path("/var/cache/fontconfig")


class ComposeFailed(Exception):
    """There is no composition; str() says why."""


class _Line(msgspec.Struct):
    """What the program may print: how far it is, what it made, or why it could not."""

    progress: float | None = None
    error: str | None = None
    size_bytes: int | None = None
    sha256: str = ""
    duration_ms: int = 0
    left_out: tuple[str, ...] = ()


async def compose(
    plan: Path,
    out: Path,
    work: Path,
    on_progress: Callable[[float], Awaitable[None]],
    *,
    sources: Sequence[Path] = (),
    data_dir: Path | None = None,
) -> Composed:
    """Make the composition of the plan. Raises ComposeFailed. Cancelled, it leaves in `work` what is finished.

    `plan` and `work` are in the folder of `out`. The program reads the sources and sees nothing else of `data_dir`.
    """
    folder = out.parent
    command = await asyncio.to_thread(_prepare, plan, out, work, sources, data_dir)
    try:
        process = await start(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=child.environment(),
            limit=LINE_BYTES_MAX,
        )
        try:
            last, _ = await asyncio.gather(_listen(process, on_progress), step_back(process.pid, NICENESS))
            status = await process.wait()
        finally:
            await asyncio.shield(asyncio.create_task(_end(process)))
    finally:
        await asyncio.to_thread(child.take_back, folder)
    if last is None or last.size_bytes is None:
        raise ComposeFailed(last.error if last is not None and last.error else f"The composer ended with {status}.")
    if await asyncio.to_thread(size_of_file, out) != last.size_bytes:
        raise ComposeFailed(f"The composer's file is not what it says: {out.name}")
    return Composed(last.size_bytes, last.sha256, last.duration_ms, last.left_out)


def _prepare(plan: Path, out: Path, work: Path, sources: Sequence[Path], data_dir: Path | None) -> list[str]:
    """Let the program read the plan and the sources and write its folder; the command that starts it."""
    folder = out.parent
    child.let_read(plan)
    for path in sources:
        try:
            child.let_read(path)
        except FileNotFoundError as error:  # its words would show where this machine keeps its files
            raise ComposeFailed(f"The file of a recording is missing: {path.name}.") from error
    child.give(folder)
    inside = [path.parent for path in sources if path.is_relative_to(folder)]
    for path in dict.fromkeys(inside):
        child.let_read(path)
    rules = Confinement(
        write=[folder],
        # Without its cache fontconfig looks into every font each time.
        read=[*(path for path in sources if not path.is_relative_to(folder)), *filter(Path.exists, [FONT_CACHE])],
        runs_python=True,
        hide=[data_dir] if data_dir is not None else [],
        network=False,
    )
    command = [sys.executable, "-m", "portico.composer.compose", str(plan), str(out), "--work", str(work)]
    return child.confined(command, rules)


async def _listen(process: asyncio.subprocess.Process, on_progress: Callable[[float], Awaitable[None]]) -> _Line | None:
    """The last line that was not about progress."""
    assert process.stdout is not None
    last = None
    while True:
        try:
            async with asyncio.timeout(STALLED_SECS):
                text = await process.stdout.readline()
        except TimeoutError:
            raise ComposeFailed(f"The composer got no further for {STALLED_SECS:.0f} s.") from None
        except ValueError as error:
            raise ComposeFailed("The composer said more than it should.") from error
        if not text:
            return last
        try:
            line = msgspec.json.decode(text, type=_Line)
        except msgspec.MsgspecError as error:
            raise ComposeFailed(f"The composer was not understood: {error}") from error
        if line.progress is not None:
            await on_progress(line.progress)
        else:
            last = line


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(ENDS_WITHIN_SECS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
