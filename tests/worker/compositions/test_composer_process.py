"""The program that makes compositions, as its parent runs it."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

from portico.runtime import child
from portico.worker.compositions import composer_process
from portico.worker.compositions.composer_process import NICENESS

HAPPENS_WITHIN_SECS = 20.0


async def _nothing(_progress: float) -> None:
    """Ignore the progress."""


def _niceness_of_groups() -> list[str]:
    """The niceness that the kernel has for the sessions of our living children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    found = []
    for each in children:
        with contextlib.suppress(OSError):  # it may end at any moment: then the file is gone, or empty
            found += Path(f"/proc/{each}/autogroup").read_text().split()[-1:]
    return found


def _status_of_children() -> list[dict[str, str]]:
    """The fields of /proc/PID/status of each of our children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    found = []
    for each in children:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{each}/status").read_text().splitlines()
            found.append({line.partition(":")[0]: line.partition(":")[2].strip() for line in lines})
    return found


def _is_denied(status: dict[str, str]) -> bool:
    return status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0


async def test_the_composer_has_no_privileges(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan")  # which it waits for, and which is never written
    made = asyncio.create_task(composer_process.compose(tmp_path / "plan", tmp_path / "out", tmp_path, _nothing))
    try:
        deadline = time.monotonic() + HAPPENS_WITHIN_SECS
        # It gives them up one after the other, and then becomes the composer.
        while not (denied := [each for each in _status_of_children() if _is_denied(each)]):
            assert time.monotonic() < deadline and not made.done()
            await asyncio.sleep(0.02)
        owner = child.protect().owner
        assert owner is None or denied[0]["Uid"].split() == [str(owner[0])] * 4
    finally:
        made.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await made


async def test_calls_come_first_also_where_linux_shares_out_time_by_sessions(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan")  # which it waits for, and which is never written
    composition = asyncio.create_task(composer_process.compose(tmp_path / "plan", tmp_path / "out", tmp_path, _nothing))
    try:
        deadline = time.monotonic() + HAPPENS_WITHIN_SECS
        while Path("/proc/self/autogroup").exists() and str(NICENESS) not in _niceness_of_groups():
            assert time.monotonic() < deadline and not composition.done()
            await asyncio.sleep(0.02)
    finally:
        composition.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await composition
