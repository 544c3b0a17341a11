"""Runs the program that makes a file of an mjr file: at low priority, within bounds, and never left behind."""

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
from portico.runtime.child_messages import ConvertedFile, ExitStatus, Failure, parse_line
from portico.storage.store import StorageTrouble
from portico.worker.runner import JobFailed

NICENESS = 5
"""Calls that go on come first; but somebody waits for this, and it is short."""
DEADLINE_SECS, DEADLINE_SECS_PER_MB = 600.0, 10.0
"""Only for what would never end: next to calls that take the whole machine, an hour of sound may need minutes."""
MEMORY_BYTES_MAX = 2 << 30
"""Of addresses, most of which are never used: Python and ffmpeg begin with 0.3 GB."""
SPARE_BYTES = 64 << 20
"""What a file may be longer than twice its mjr file."""
OUTPUT_BYTES_MAX = 64 * 1024
ERRORS_BYTES_MAX = 4 * 1024


class ConversionFailed(JobFailed):
    """No file came of the mjr file; str() says why."""


class NothingRecorded(ConversionFailed):
    """Nothing was ever recorded in it."""


async def convert(
    mjr: Path, folder: Path, *, not_before_ms: int | None, salvage: bool = False, data_dir: Path | None = None
) -> ConvertedFile:
    """Make the file of one track in `folder`; ConversionFailed when that cannot be done, StorageTrouble without room.

    `salvage` takes what plays, even if it is less than it should be. The program sees nothing else of `data_dir`.
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
        raise StorageTrouble(_why(status, output, errors))
    if status != ExitStatus.DONE:
        raise ConversionFailed(_why(status, output, errors))
    try:
        converted = parse_line(_last_line(output).encode(), ConvertedFile)
    except msgspec.MsgspecError as error:
        raise ConversionFailed(f"The converter's answer was not understood: {error}") from error
    path = converted.path
    if path.parent != folder or await asyncio.to_thread(size_of_file, path) != converted.size_bytes:
        raise ConversionFailed(f"The converter reports another size or folder than the file has: {path.name}")
    return converted


def _prepare(command: Sequence[str], mjr: Path, folder: Path, data_dir: Path | None, size: int) -> list[str]:
    """Let the program read the mjr file and write the folder; the command that starts it with nothing more."""
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
    """-1 for what is no file: a link would lead to what the program itself may not read."""
    status = path.lstat()
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


async def run(command: Sequence[str], deadline_secs: float) -> tuple[int, bytes, bytes]:
    """Exit status and the ends of both outputs; killed with all its children when it is late, or we are cancelled."""
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
                step_back(process.pid, NICENESS),
            )
            return await process.wait(), output, errors
    except TimeoutError:
        raise ConversionFailed(f"The converter took longer than {deadline_secs:.0f} s.") from None
    finally:
        if process.returncode is None:
            await _kill(process)


async def start(*command: str, **how: Any) -> asyncio.subprocess.Process:
    """A child in a session of its own. If we are cancelled before it has begun, nothing of it is left.

    Cancelled itself, asyncio would wait for ever for the end of pipes that it has not connected yet.
    """
    return await take(asyncio.create_subprocess_exec(*command, start_new_session=True, **how), _kill)


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _wrapped(command: Sequence[str]) -> list[str]:
    """Programs of util-linux and coreutils that set what a child needs and then become it."""
    wrapped = []
    if setpriv := shutil.which("setpriv"):
        wrapped += [setpriv, "--pdeathsig", "KILL", "--"]
    if nice := shutil.which("nice"):
        wrapped += [nice, "-n", str(NICENESS)]
    return [*wrapped, *command]


async def step_back(pid: int, niceness: int) -> None:
    """Its niceness counts only within its session, where Linux groups processes so (sched(7), autogroup)."""
    for _ in range(50):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(str(niceness))  # noqa: ASYNC240  no file, but the kernel
        except BlockingIOError:  # it takes one such wish in a tenth of a second
            await asyncio.sleep(0.1)
        except OSError:
            return  # there are no such groups, or the process has ended
        else:
            return


async def _end_of(stream: asyncio.StreamReader, length: int) -> bytes:
    """The last so many bytes; the rest is read all the same, for a full pipe would stop its writer."""
    kept = b""
    while chunk := await stream.read(length):
        kept = (kept + chunk)[-length:]
    return kept


def _why(status: int, output: bytes, errors: bytes) -> str:
    """Its own words, else how it ended."""
    try:
        return parse_line(_last_line(output).encode(), Failure).error
    except msgspec.MsgspecError:
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
        return f"The converter {how}: {_last_line(errors) or 'it said nothing'}"


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
