"""Supervision of a child program, with a real process that listens, or fails when the test wants it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portico.runtime import child, supervised
from portico.runtime.child import Confinement, protect
from portico.runtime.child_process import ChildUnavailable, accepts, free_port
from portico.runtime.supervised import ChildState, Program, Supervised, version_of
from tests.waiting import until_at_pace as until

BEGINS_WITHIN_SECS = 60.0
_LISTENS = """
import socket, sys, time
if sys.argv[3] == "fail":
    print("ERROR: no room left", flush=True)
    print("bye", flush=True)
    sys.exit(3)
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
while True:
    server.accept()[0].close()
"""
_PARENT = """
import asyncio, sys
from pathlib import Path
from tests.runtime.test_supervised import Echo

async def main():
    echo = Echo(Path(sys.argv[1]))
    await echo.supervised.start()
    print("pid", echo.supervised.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


class Echo:
    """A supervised program that listens on a TCP port."""

    def __init__(self, folder: Path, *, low_ports: bool = False, port: int | None = None) -> None:
        self.folder = folder / "echo"
        self.port = port or free_port()
        self.mode = "listen"
        self.starts = 0
        self.is_well = True
        self._low_ports = low_ports
        self.supervised = Supervised(
            "echo", self.folder, self.prepare, self.check, version_command=[sys.executable, "--version"]
        )

    async def prepare(self) -> Program:
        self.starts += 1
        rules = Confinement(write=[], read=[self.folder], runs_python=True, low_ports=self._low_ports)
        child.let_read(self.folder)
        command = [sys.executable, "-c", _LISTENS, str(self.folder), str(self.port), self.mode]
        return Program(command, mark=str(self.folder), rules=rules)

    async def check(self) -> str | None:
        return None if self.is_well and await accepts(self.port) else "does not answer"


@pytest.fixture
async def echo(tmp_path: Path) -> AsyncIterator[Echo]:
    echo = Echo(tmp_path)
    await echo.supervised.start()
    yield echo
    await echo.supervised.stop()


def runs(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def pid_of(echo: Echo) -> int:
    assert echo.supervised.pid is not None
    return echo.supervised.pid


async def test_a_started_program_answers_and_shows_its_version(echo: Echo) -> None:
    assert echo.supervised.state == ChildState("echo", True, sys.version.split()[0], 0, None)
    assert await accepts(echo.port)
    if protect().owner is not None:
        assert Path(f"/proc/{pid_of(echo)}").stat().st_uid == protect().owner[0]  # type: ignore[index]


async def test_a_killed_program_is_started_again_and_counted(echo: Echo) -> None:
    first = pid_of(echo)
    os.kill(first, signal.SIGKILL)
    await until(lambda: echo.supervised.state.restarts == 1 and echo.supervised.state.is_up, BEGINS_WITHIN_SECS)
    assert pid_of(echo) != first
    assert await accepts(echo.port)


async def test_a_program_that_hangs_is_ended_and_started_again(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "CHECK_PERIOD", 0.05)
    first = pid_of(echo)
    echo.is_well = False
    await until(lambda: not runs(first), BEGINS_WITHIN_SECS)
    echo.is_well = True
    await until(lambda: echo.supervised.state.is_up, BEGINS_WITHIN_SECS)
    assert echo.supervised.state.restarts >= 1


async def test_pauses_grow_while_restarts_fail(echo: Echo) -> None:
    """The reason with the program's last log line is kept, and the program is back as soon as it can be started."""
    begun = asyncio.get_running_loop().time()
    echo.mode = "fail"
    os.kill(pid_of(echo), signal.SIGKILL)
    await until(lambda: echo.supervised.state.restarts >= 3, BEGINS_WITHIN_SECS)
    assert asyncio.get_running_loop().time() - begun >= 0.2 + 0.4 + 0.8
    expected = f"{sys.executable} exited with status 3; its last log line: ERROR: no room left."
    await until(lambda: echo.supervised.state.reason == expected, BEGINS_WITHIN_SECS)
    echo.mode = "listen"
    await until(lambda: echo.supervised.state.is_up, BEGINS_WITHIN_SECS)


async def test_a_first_start_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    echo = Echo(tmp_path)
    echo.mode = "fail"
    with pytest.raises(ChildUnavailable, match=r"exited with status 3; its last log line: ERROR: no room left\.$"):
        await echo.supervised.start()
    assert (echo.supervised.pid, echo.supervised.state.is_up) == (None, False)
    echo.mode = "listen"
    await echo.supervised.start()
    await echo.supervised.stop()


async def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    async def prepare() -> Program:
        raise AssertionError("not reached")

    missing = Supervised("none", tmp_path, prepare, Echo(tmp_path).check, version_command=[str(tmp_path / "none")])
    with pytest.raises(ChildUnavailable, match="none cannot be started: No such file or directory"):
        await missing.start()


async def test_stop_ends_the_program_and_its_folder_is_free_again(echo: Echo) -> None:
    pid = pid_of(echo)
    with pytest.raises(ChildUnavailable, match="Another Portico already runs"):
        await Echo(echo.folder.parent).supervised.start()
    assert runs(pid)
    await echo.supervised.stop()
    assert not runs(pid)
    assert not echo.supervised.state.is_up
    await echo.supervised.start()
    assert echo.supervised.state.is_up


async def test_stop_between_two_attempts_leaves_nothing(echo: Echo) -> None:
    echo.mode = "fail"
    os.kill(pid_of(echo), signal.SIGKILL)
    await until(lambda: echo.supervised.state.restarts >= 1, BEGINS_WITHIN_SECS)
    await echo.supervised.stop()
    starts = echo.starts
    await asyncio.sleep(0.5)  # longer than the pause that follows
    assert (echo.starts, echo.supervised.pid) == (starts, None)


async def test_the_program_ends_with_a_killed_parent(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PARENT, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    pid = 0
    async with asyncio.timeout(BEGINS_WITHIN_SECS):
        while not pid:  # log lines come before the number
            line = (await parent.stdout.readline()).split()
            pid = int(line[1]) if line[:1] == [b"pid"] else 0
    assert runs(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: not runs(pid), BEGINS_WITHIN_SECS)


async def test_an_orphan_is_ended_at_the_start(tmp_path: Path) -> None:
    echo = Echo(tmp_path)
    orphan = await asyncio.create_subprocess_exec(sys.executable, "-c", _LISTENS, str(echo.folder), "0", "listen")
    await echo.supervised.start()
    assert await asyncio.wait_for(orphan.wait(), BEGINS_WITHIN_SECS) == -signal.SIGKILL
    await echo.supervised.stop()


@pytest.mark.skipif(not protect().own_view, reason="only root gives its children the ports of root")
async def test_low_ports_are_the_only_privilege_of_a_child_that_needs_them(tmp_path: Path) -> None:
    port = next(port for port in range(1023, 900, -1) if _is_free(port))
    with pytest.raises(ChildUnavailable, match="Permission denied"):
        await Echo(tmp_path, port=port).supervised.start()
    echo = Echo(tmp_path, port=port, low_ports=True)
    await echo.supervised.start()
    try:
        status = Path(f"/proc/{pid_of(echo)}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert {int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {1 << 10}
        assert fields["NoNewPrivs"] == "1"
        assert fields["Uid"].split() == [str(protect().owner[0])] * 4  # type: ignore[index]
    finally:
        await echo.supervised.stop()


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


async def test_versions_as_the_programs_print_them() -> None:
    assert await version_of(["echo", "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - x"]) == "2.6.12-1+deb12u4"
    assert await version_of(["echo", "v2.6.2 h1:abc="]) == "2.6.2"
    assert await version_of(["echo", "4.6.1"]) == "4.6.1"
    assert await version_of(["sh", "-c", "echo '{\"ts\": 1795762977.38}' >&2; echo 2.6.2"]) == "2.6.2"
    assert await version_of(["sh", "-c", "echo version 1.1.2 >&2"]) == "1.1.2"
    assert await version_of(["echo", "none"]) is None
    assert await version_of([]) is None
