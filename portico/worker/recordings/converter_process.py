"""Runs the converter: at low priority, confined, with limits of time and memory, and never leaves it behind."""

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from portico.runtime import child
from portico.runtime.acquire import take
from portico.runtime.child import Confinement
from portico.runtime.child_limits import killed_with_parent
from portico.runtime.child_messages import ConvertedFile, ExitStatus, Failure, parse_line
from portico.storage.store import StorageUnavailable
from portico.worker.runner import JobFailed

NICENESS = 5
"""Calls come first; but a conversion comes before compositions, because it is short."""
DEADLINE_SECS, DEADLINE_SECS_PER_MB = 600.0, 10.0
"""Generous, and per MB of the mjr file: when calls take the whole machine, an hour of sound may need minutes."""
MEMORY_BYTES_MAX = 2 << 30
"""Limit of the address space, most of which is never used: Python and ffmpeg start with 0.3 GB."""
SPARE_BYTES = 64 << 20
"""A file that the converter writes may have twice the bytes of the mjr file, and so many more."""
OUTPUT_BYTES_MAX = 64 * 1024
ERRORS_BYTES_MAX = 4 * 1024
"""Bytes that are kept of the end of standard output and standard error."""


class ConversionFailed(JobFailed):
    """The mjr file cannot be converted; str() is a sentence that says why."""


class NothingRecorded(ConversionFailed):
    """The mjr file has no media."""


async def convert(
    mjr: Path, folder: Path, *, not_before_ms: int | None, salvage: bool = False, data_dir: Path | None = None
) -> ConvertedFile:
    """Convert one mjr file into a media file in `folder`.

    `not_before_ms` and `salvage` are those of converter/convert.py. The program sees nothing of `data_dir` but `mjr`
    and `folder`. Raises ConversionFailed, NothingRecorded (one of them), and StorageUnavailable when the disk is full.
    """
    command = [sys.executable, "-m", "portico.converter.convert", str(mjr), str(folder), *(["--salvage"] * salvage)]
    if not_before_ms is not None:
        command += ["--not-before-ms", str(not_before_ms)]
    size = (await asyncio.to_thread(mjr.stat)).st_size
    command = await asyncio.to_thread(_prepare, command, mjr, folder, data_dir, size)
    try:
        deadline_secs = DEADLINE_SECS + DEADLINE_SECS_PER_MB * size / 1_000_000
        status, output, errors = await run(command, deadline_secs)
    finally:
        await asyncio.to_thread(child.take_back, folder)
    if status == ExitStatus.NO_MEDIA:
        raise NothingRecorded("Nothing was recorded.")
    if status == ExitStatus.DISK_FULL:
        raise StorageUnavailable(_why(status, output, errors))
    if status != ExitStatus.DONE:
        raise ConversionFailed(_why(status, output, errors))
    try:
        converted = parse_line(_last_line(output).encode(), ConvertedFile)
    except msgspec.MsgspecError as error:
        raise ConversionFailed(f"The converter printed something that is not its message: {error}") from error
    path = converted.path
    if path.parent != folder or await asyncio.to_thread(size_of_file, path) != converted.size_bytes:
        raise ConversionFailed(f"The converter reports another size or folder than the file has: {path.name}")
    return converted


def _prepare(command: Sequence[str], mjr: Path, folder: Path, data_dir: Path | None, size: int) -> list[str]:
    """Give the program access to the mjr file and the folder; return the command that starts it confined to them."""
    child.let_read(mjr)
    child.give(folder)
    rules = Confinement(
        write=[folder],
        read=[mjr],
        runs_python=True,
        hide=[data_dir] if data_dir is not None else [],
        network=False,
        limits={"AS": MEMORY_BYTES_MAX, "FSIZE": 2 * size + SPARE_BYTES},
    )
    return child.confined(command, rules)


def size_of_file(path: Path) -> int:
    """The size of a regular file, and -1 for anything else: the program may have put a link to a file of ours there."""
    status = path.lstat()
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


async def run(command: Sequence[str], deadline_secs: float) -> tuple[int, bytes, bytes]:
    """Run a command; return its exit status and the ends of its standard output and standard error.

    It is killed with all its children when this is cancelled, and after `deadline_secs`, which raises ConversionFailed.
    """
    process = await start(
        *_wrapped(command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=child.environment(),
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        async with asyncio.timeout(deadline_secs):
            output, errors, _ = await asyncio.gather(
                _end_of(process.stdout, OUTPUT_BYTES_MAX),
                _end_of(process.stderr, ERRORS_BYTES_MAX),
                lower_session_priority(process.pid, NICENESS),
            )
            return await process.wait(), output, errors
    except TimeoutError:
        raise ConversionFailed(f"The converter took longer than {deadline_secs:.0f} s.") from None
    finally:
        if process.returncode is None:
            await _kill(process)


async def start(*command: str, **options: Any) -> asyncio.subprocess.Process:
    """Start a child in its own session. If this is cancelled meanwhile, the child is killed.

    asyncio's own function must not be cancelled: it would wait without end for pipes that are not connected yet.
    """
    return await take(asyncio.create_subprocess_exec(*command, start_new_session=True, **options), _kill)


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _wrapped(command: Sequence[str]) -> list[str]:
    """The command behind programs that have it killed with its parent, and lower its priority."""
    wrapped = killed_with_parent()
    if nice := shutil.which("nice"):
        wrapped += [nice, "-n", str(NICENESS)]
    return [*wrapped, *command]


async def lower_session_priority(pid: int, niceness: int) -> None:
    """Set the niceness of a child's session: Linux schedules sessions as groups (sched(7), autogroup).

    There, the niceness of a process counts only within its session.
    """
    for _ in range(50):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(str(niceness))  # noqa: ASYNC240  no file, but the kernel
        except BlockingIOError:  # the kernel accepts one change in 0.1 s
            await asyncio.sleep(0.1)
        except OSError:
            return  # this kernel has no autogroups, or the process has ended
        else:
            return


async def _end_of(stream: asyncio.StreamReader, length: int) -> bytes:
    """The last `length` bytes of a stream. All of it is read, because a full pipe would block its writer."""
    kept = b""
    while chunk := await stream.read(length):
        kept = (kept + chunk)[-length:]
    return kept


def _why(status: int, output: bytes, errors: bytes) -> str:
    """The converter's own sentence, else how the process ended."""
    try:
        return parse_line(_last_line(output).encode(), Failure).error
    except msgspec.MsgspecError:
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
        return f"The converter {how}: {_last_line(errors) or 'it printed no error'}"


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
