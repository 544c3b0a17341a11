"""The program that makes films, as its parent runs it."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

from portico.worker import composer_process
from portico.worker.composer_process import NICENESS

HAPPENS_WITHIN_SECS = 20.0


async def _nothing(_progress: float) -> None:
    """Nobody looks."""


def _niceness_of_groups() -> list[str]:
    """What the kernel has for the sessions of the programs that are our children and still live."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    found = []
    for child in children:
        with contextlib.suppress(OSError):  # it may end at any moment: then the file is gone, or empty
            found += Path(f"/proc/{child}/autogroup").read_text().split()[-1:]
    return found


async def test_calls_come_first_also_where_linux_shares_out_time_by_sessions(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan")  # which it waits for, and which nobody writes
    film = asyncio.create_task(composer_process.compose(tmp_path / "plan", tmp_path / "out", tmp_path, _nothing))
    try:
        deadline = time.monotonic() + HAPPENS_WITHIN_SECS
        while Path("/proc/self/autogroup").exists() and str(NICENESS) not in _niceness_of_groups():
            assert time.monotonic() < deadline and not film.done()
            await asyncio.sleep(0.02)
    finally:
        film.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await film
