"""Starts and ends one child program, limits its log, and leaves no process behind."""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import structlog

from portico.runtime import child
from portico.runtime.child import Confinement

log = structlog.get_logger(__name__)

LOG_LIMIT = 8 * 1024 * 1024
"""Bytes of a log; then it starts anew, and the old one is kept as NAME.log.1."""

STOP_DEADLINE = 5.0
"""Seconds that a program has to end after SIGTERM before it is killed."""

_SEVERITIES = (r"\[FATAL\]|\[ALERT\]", r"\[ERR\]|\bERROR\b|^Error: ", r"\[WARN(ING)?\]|\bWARN(ING)?\b", "")
"""How Janus, Caddy, coturn and HAProxy mark their log lines, worst first."""


class ChildUnavailable(Exception):
    """A child program cannot be started or does not answer; str() is a sentence for the operator."""


class ChildProcess:
    """One started program, confined (runtime/child.py). The kernel kills it when the thread that started it ends."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log_path: Path) -> None:
        self._name = name
        self._process = process
        self._log_path = log_path

    @classmethod
    async def spawn(
        cls,
        name: str,
        command: Sequence[str],
        folder: Path,
        rules: Confinement,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> "ChildProcess":
        """Start `command` in `folder`, with its output in `folder`/NAME.log. It does not listen yet when this returns.

        `environment` is added to ours without its secrets. Raises ChildUnavailable.
        """
        log_path = folder / f"{name}.log"
        # In a thread: the first call of `confined` starts a process that asks what the kernel offers.
        confined = await asyncio.to_thread(child.confined, command, rules)
        with _open_log(log_path) as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *confined,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=folder,
                    env=child.environment() | dict(environment or {}),
                    start_new_session=True,  # Ctrl-C reaches us alone, and we end the program in good order
                )
            except OSError as error:
                raise ChildUnavailable(f"{command[0]} cannot be started: {error.strerror}.") from error
        return cls(name, process, log_path)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def wait(self) -> str:
        """Return when the program has ended, and say how: a clause that follows its name."""
        status = await self._process.wait()
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"

    async def stop(self) -> None:
        """End the program in good order, or kill it after STOP_DEADLINE."""
        if not self.has_ended:
            try:
                self.signal(signal.SIGTERM)
                async with asyncio.timeout(STOP_DEADLINE):
                    await self._process.wait()
            except TimeoutError:
                log.warning(f"{self._name}.killed", pid=self.pid, after_secs=STOP_DEADLINE)
            finally:
                await self.kill()

    async def kill(self) -> None:
        """Kill the program, also if it hangs or is stopped by SIGSTOP."""
        if not self.has_ended:
            self.signal(signal.SIGKILL)
            await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; without effect on a program that has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def last_error(self) -> str | None:
        """The last line of the log that is an error, else a warning, else any; without time and severity."""
        try:
            with self._log_path.open("rb") as file:
                file.seek(max(0, self._log_path.stat().st_size - 16384))
                text = file.read().decode(errors="replace")
        except OSError:
            return None
        lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
        for severity in _SEVERITIES:
            if marked := [line for line in lines if re.search(severity, line)]:
                return re.sub(r"^(\[[^\]]*\]\s*)+", "", marked[-1])[:300]
        return None

    def quote(self) -> str:
        """`; its last log line: ...` for the end of a sentence; empty where there is none."""
        line = self.last_error()
        return f"; its last log line: {line.rstrip('.')}" if line else ""

    def bound_log(self) -> None:
        """Start the log anew if it is longer than LOG_LIMIT. A program that appends goes on at the new beginning."""
        try:
            if self._log_path.stat().st_size > LOG_LIMIT:
                shutil.copyfile(self._log_path, _older(self._log_path))
                os.truncate(self._log_path, 0)
        except OSError as error:
            log.warning(f"{self._name}.log_not_bounded", error=str(error))


class FolderLock:
    """A lock that this process holds on a configuration folder. The kernel releases it however the process ends.

    Raises ChildUnavailable when another process holds it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise ChildUnavailable(
                f"Another Portico already runs a {name} in {folder}: stop it, or choose another PORTICO_DATA_DIR."
            ) from error

    def release(self) -> None:
        os.close(self._descriptor)


async def end_orphans(name: str, mark: str) -> None:
    """Kill every process whose command line has the argument `mark`, which names a folder of ours.

    The caller holds the `FolderLock` of that folder. A child becomes an orphan if its parent is killed before the child
    has asked the kernel to be killed with it. Command lines are read rather than a file with a process id, because the
    id may belong to another process by now.
    """
    for pid in _pids_of(mark):
        log.warning(f"{name}.orphan_ended", pid=pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(STOP_DEADLINE):
        while _pids_of(mark):  # noqa: ASYNC110 - there is no event for the end of a process that is not our child
            await asyncio.sleep(0.01)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a TCP connection to this port succeeds now."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def _pids_of(mark: str) -> list[int]:
    argument = os.fsencode(mark)
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # ended while we looked; a zombie's is empty
            if argument in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return found


def _older(log_path: Path) -> Path:
    return log_path.with_suffix(".log.1")


def _open_log(path: Path) -> IO[bytes]:
    """Open a new log for one run of the program; the log of the run before becomes NAME.log.1."""
    if path.exists() and path.stat().st_size > 0:
        path.replace(_older(path))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
