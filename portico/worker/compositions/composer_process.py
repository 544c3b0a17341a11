"""Runs the composer: reads its progress, and ends it when the composition is deleted or the server stops."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from portico.runtime import child
from portico.runtime.child import Confinement
from portico.runtime.child_messages import ComposedFile, Failure, Progress, parse_line
from portico.worker.recordings.converter_process import lower_session_priority, size_of_file, start

STALLED_SECS = 900.0
"""The composer is killed after so long without a message."""
NICENESS = 10
"""The niceness of the composer's session, where Linux schedules sessions as groups; else compose.py sets its own."""
ENDS_WITHIN_SECS = 0.5
"""Seconds from SIGTERM to SIGKILL, which its children get too.

The job runner learns within 1 s that a composition is deleted, and 2 s after that nothing of it may be left. On a busy
machine the composer, which has the lowest priority, may need longer to end by itself.
"""
LINE_BYTES_MAX = 64 * 1024
"""Bytes of one message."""
FONT_CACHE = Path("/var/cache/fontconfig")


class ComposeFailed(Exception):
    """The composition cannot be made; str() is a sentence that says why."""


async def compose(
    plan: Path,
    out: Path,
    work: Path,
    on_progress: Callable[[float], Awaitable[None]],
    *,
    sources: Sequence[Path] = (),
    data_dir: Path | None = None,
) -> ComposedFile:
    """Write the composition of the plan to `out`. Raises ComposeFailed. If cancelled, finished parts stay in `work`.

    `plan` and `work` are in the folder of `out`. `on_progress` is called with numbers from 0 to 1. The program sees
    nothing of `data_dir` but that folder and the sources.
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
            last, _ = await asyncio.gather(
                _read_messages(process, on_progress), lower_session_priority(process.pid, NICENESS)
            )
            status = await process.wait()
        finally:
            await asyncio.shield(asyncio.create_task(_end(process)))
    finally:
        await asyncio.to_thread(child.take_back, folder)
    if not isinstance(last, ComposedFile):
        raise ComposeFailed(last.error if last is not None else f"The composer exited with status {status}.")
    if await asyncio.to_thread(size_of_file, out) != last.size_bytes:
        raise ComposeFailed(f"The composer reports another size than the file has: {out.name}")
    return last


def _prepare(plan: Path, out: Path, work: Path, sources: Sequence[Path], data_dir: Path | None) -> list[str]:
    """Give the program access to plan, sources and folder; return the command that starts it confined to them."""
    folder = out.parent
    child.let_read(plan)
    for path in sources:
        try:
            child.let_read(path)
        except FileNotFoundError as error:  # its own message would show paths of this machine to the client
            raise ComposeFailed(f"The file of a recording is missing: {path.name}.") from error
    child.give(folder)
    inside = [path.parent for path in sources if path.is_relative_to(folder)]
    for path in dict.fromkeys(inside):
        child.let_read(path)
    rules = Confinement(
        write=[folder],
        # Without its cache fontconfig reads each font file of the system every time.
        read=[*(path for path in sources if not path.is_relative_to(folder)), *filter(Path.exists, [FONT_CACHE])],
        runs_python=True,
        hide=[data_dir] if data_dir is not None else [],
        network=False,
    )
    command = [sys.executable, "-m", "portico.composer.compose", str(plan), str(out), "--work", str(work)]
    return child.confined(command, rules)


async def _read_messages(
    process: asyncio.subprocess.Process, on_progress: Callable[[float], Awaitable[None]]
) -> ComposedFile | Failure | None:
    """Pass on the program's progress until it closes its output; return its last message of another kind, if any."""
    assert process.stdout is not None
    last: ComposedFile | Failure | None = None
    while True:
        try:
            async with asyncio.timeout(STALLED_SECS):
                line = await process.stdout.readline()
        except TimeoutError:
            raise ComposeFailed(f"The composer printed nothing for {STALLED_SECS:.0f} s.") from None
        except ValueError as error:
            raise ComposeFailed(f"The composer printed a line of more than {LINE_BYTES_MAX} bytes.") from error
        if not line:
            return last
        message = _parse(line)
        if isinstance(message, Progress):
            await on_progress(message.progress)
        else:
            last = message


def _parse(line: bytes) -> Progress | ComposedFile | Failure:
    """The message of a line: no two kinds share a required member, so at most one of them fits."""
    kinds: tuple[type[Progress | ComposedFile | Failure], ...] = (Progress, ComposedFile, Failure)
    for kind in kinds:
        with contextlib.suppress(msgspec.MsgspecError):
            return parse_line(line, kind)
    raise ComposeFailed(f"The composer printed a line that is no message: {line[:200].decode(errors='replace')}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program by SIGTERM, and after ENDS_WITHIN_SECS kill it with its children."""
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
