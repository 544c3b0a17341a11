"""A disk that gets full is noticed before it is, and so is that it has room again."""

import subprocess
import sys
from pathlib import Path

import pytest

from portico.worker.disk_watch import DiskWatch
from tests.mounts import with_disk
from tests.waiting import until

PROGRAM = """
import asyncio, sys
from pathlib import Path
from portico.worker.disk_watch import DiskWatch

folder = Path(sys.argv[1])

async def main():
    changes = asyncio.Queue()
    async def on_change(is_low):
        changes.put_nowait(is_low)
    watch = DiskWatch(folder, on_change, least_free_bytes=10_000_000)
    await watch.start()
    assert not watch.is_low and changes.empty()
    (folder / "composition").write_bytes(bytes(15_000_000))
    assert await asyncio.wait_for(changes.get(), 5) is True and watch.is_low
    (folder / "composition").write_bytes(bytes(9_000_000))  # more than the limit is free again, but not much more
    await watch.look()
    assert watch.is_low and changes.empty()
    (folder / "composition").unlink()
    assert await asyncio.wait_for(changes.get(), 5) is False and not watch.is_low
    await watch.stop()

asyncio.run(main())
print("seen")
"""


def test_a_small_disk_fills_up_and_is_emptied(tmp_path: Path) -> None:
    """A file system of 20 MB of its own, which only the child sees."""
    command = with_disk(tmp_path, "20m", [sys.executable, "-c", PROGRAM, str(tmp_path)])
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.stdout.endswith("seen\n"), child.stderr


async def test_a_disk_that_is_full_from_the_beginning_is_known_at_once(tmp_path: Path) -> None:
    changes: list[bool] = []

    async def on_change(is_low: bool) -> None:
        changes.append(is_low)

    watch = DiskWatch(tmp_path / "dumps", on_change, least_free_bytes=1 << 60)
    await watch.start()
    assert watch.is_low and changes == [True]
    await watch.stop()


async def test_a_listener_that_fails_does_not_end_the_watch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[bool] = []

    async def on_change(is_low: bool) -> None:
        calls.append(is_low)
        raise ValueError("no ear")

    watch = DiskWatch(tmp_path, on_change)
    await watch.start()
    watch._least = 1 << 60
    await until(lambda: calls == [True])
    watch._least = 0
    await until(lambda: calls == [True, False])
    await watch.stop()
