"""The process that converts mjr files: its priority and bounds, and that nothing of it stays behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from portico.worker.recordings.converter_process import (
    ERRORS_BYTES_MAX,
    NICENESS,
    ConversionFailed,
    NothingRecorded,
    convert,
    run,
)
from tests.converter.mjr_files import opus_units, write_mjr
from tests.mounts import with_disk
from tests.waiting import WITHIN_SECS, until


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def is_gone(pid: int) -> bool:
    """Whether the process has ended; it may be a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # it ended before or while this was read
        return True


async def pids_in(path: Path) -> list[int]:
    await until(lambda: path.exists() and path.read_text().endswith("\n"))
    return [int(pid) for pid in path.read_text().split()]


async def test_an_mjr_becomes_a_file(tmp_path: Path) -> None:
    mjr = write_mjr(tmp_path / "d-audio-0.mjr", opus_units(1000), "opus")
    result = await convert(mjr, tmp_path, not_before_ms=None)
    assert (result.codec, result.content_type, result.path) == ("opus", "audio/ogg", tmp_path / "d-audio-0.ogg")
    assert result.size_bytes == (tmp_path / "d-audio-0.ogg").stat().st_size
    assert result.packets == 50


async def test_no_media_and_garbage_differ(tmp_path: Path) -> None:
    with pytest.raises(NothingRecorded):
        await convert(write_mjr(tmp_path / "empty-audio-0.mjr", [], "opus"), tmp_path, not_before_ms=None)
    rubbish = tmp_path / "rubbish-audio-0.mjr"
    rubbish.write_bytes(b"x" * 1000)
    with pytest.raises(ConversionFailed, match=r"rubbish-audio-0\.mjr"):
        await convert(rubbish, tmp_path, not_before_ms=None)


WITHOUT_ROOM = """
import asyncio, pathlib, sys
from portico.storage.store import StorageUnavailable
from portico.worker.recordings.converter_process import convert
try:
    asyncio.run(convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), not_before_ms=None))
except StorageUnavailable as failure:
    print(failure)
"""


def test_a_full_disk_is_no_failure_of_the_conversion(tmp_path: Path) -> None:
    """On a file system of its own, which only the child sees."""
    mjr = write_mjr(tmp_path / "d-audio-0.mjr", opus_units(10_000), "opus")
    (disk := tmp_path / "disk").mkdir()
    command = with_disk(disk, "20k", [sys.executable, "-c", WITHOUT_ROOM, str(mjr), str(disk)])
    child = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert child.stdout.startswith("There is no room on the disk for d-audio-0.ogg"), child.stderr


async def test_calls_come_first(tmp_path: Path) -> None:
    status, output, _ = await run(python("import os; print(os.nice(0))"), 30)
    assert (status, int(output)) == (0, os.nice(0) + NICENESS)


UNTIL_NICE = """
import pathlib, time
group = pathlib.Path("/proc/self/autogroup")
while group.exists() and " nice 5" not in group.read_text():
    time.sleep(0.01)
print("nice")
"""


async def test_calls_come_first_also_where_linux_shares_out_time_by_sessions(tmp_path: Path) -> None:
    """Several start at once: the kernel accepts only one change in 0.1 s."""
    assert [output for _, output, _ in await asyncio.gather(*(run(python(UNTIL_NICE), 30) for _ in range(3)))] == [
        b"nice\n"
    ] * 3


async def test_our_keys_stay_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTICO_API_KEY", "secret")
    _, output, _ = await run(python("import os; print([n for n in os.environ if 'PORTICO' in n])"), 30)
    assert output == b"[]\n"


async def test_whatever_it_says_is_bounded(tmp_path: Path) -> None:
    flood = "import sys; sys.stderr.write('x' * 10_000_000 + 'the end'); print('done')"
    status, output, errors = await run(python(flood), 30)
    assert (status, output) == (0, b"done\n")
    assert len(errors) == ERRORS_BYTES_MAX and errors.endswith(b"the end")


def a_parent(pids: Path) -> list[str]:
    """A program that writes its process id and its child's to a file; a shell, because Python may start slowly."""
    return ["sh", "-c", 'sleep 1000 & echo "$$ $!" > "$0"; wait', str(pids)]


async def test_what_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    command = a_parent(tmp_path / "pids")
    with pytest.raises(ConversionFailed, match="took longer than 3 s"):
        await run(command, 3)
    for pid in await pids_in(tmp_path / "pids"):
        await until(partial(is_gone, pid))


async def test_what_is_not_needed_is_ended_with_its_children(tmp_path: Path) -> None:
    running = asyncio.create_task(run(a_parent(tmp_path / "pids"), 100))
    pids = await pids_in(tmp_path / "pids")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for pid in pids:
        await until(partial(is_gone, pid))


async def test_it_may_be_unwanted_before_it_has_begun(tmp_path: Path) -> None:
    """On a slow machine a child of the program exists before asyncio knows the program."""
    for steps in range(6):
        pids = tmp_path / f"{steps}"
        running = asyncio.create_task(run(a_parent(pids), 100))
        for _ in range(steps):
            await asyncio.sleep(0)
            time.sleep(0.1)
        running.cancel()
        async with asyncio.timeout(WITHIN_SECS):
            await asyncio.gather(running, return_exceptions=True)
        for pid in await pids_in(pids) if pids.exists() and pids.read_text() else ():
            await until(partial(is_gone, pid))


async def test_it_does_not_outlive_us(tmp_path: Path) -> None:
    grandchild = a_parent(tmp_path / "pids")
    module = "portico.worker.recordings.converter_process"
    program = f"import asyncio; from {module} import run; asyncio.run(run({grandchild!r}, 100))"
    with subprocess.Popen(python(program)) as server:
        pid, child = await pids_in(tmp_path / "pids")
        assert not is_gone(pid)
        os.kill(server.pid, signal.SIGKILL)
        await until(partial(is_gone, pid))
    os.kill(child, signal.SIGKILL)  # ffmpeg would end with its input; this one reads none
