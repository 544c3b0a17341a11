"""Starts and ends the Janus process, limits its log, and leaves no process behind."""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
from pathlib import Path
from typing import IO

import structlog

from portico.janus.errors import JanusUnavailable
from portico.runtime import child
from portico.runtime.child import Confinement

log = structlog.get_logger(__name__)

LOG_LIMIT = 8 * 1024 * 1024
"""Bytes of janus.log; then it starts anew, and the old one is kept as janus.log.1."""

STOP_DEADLINE = 5.0
"""Seconds that Janus has to end after SIGTERM before it is killed."""


class JanusProcess:
    """One started Janus, confined (runtime/child.py). The kernel kills it when the thread that started it ends."""

    def __init__(self, process: asyncio.subprocess.Process, log_path: Path) -> None:
        self._process = process
        self._log_path = log_path

    @classmethod
    async def spawn(cls, binary: Path, folder: Path, rules: Confinement) -> "JanusProcess":
        """Start Janus with the configuration in `folder`. It does not listen yet when this returns."""
        log_path = folder / "janus.log"
        janus = [str(binary), f"--config={folder / 'janus.jcfg'}", _mark(folder)]
        # In a thread: the first call of `confined` starts a process that asks what the kernel offers.
        command = await asyncio.to_thread(child.confined, janus, rules)
        with _open_log(log_path) as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=folder,
                    env=child.environment(),
                    start_new_session=True,  # Ctrl-C reaches us alone, and we end Janus in good order
                )
            except OSError as error:
                raise JanusUnavailable(f"{binary} cannot be started: {error.strerror}.") from error
        return cls(process, log_path)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def wait(self) -> str:
        """Return when Janus has ended, and say how: a clause that follows "Janus"."""
        status = await self._process.wait()
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"

    async def stop(self) -> None:
        """End Janus in good order, or kill it after STOP_DEADLINE."""
        if not self.has_ended:
            try:
                self._signal(signal.SIGTERM)
                async with asyncio.timeout(STOP_DEADLINE):
                    await self._process.wait()
            except TimeoutError:
                log.warning("janus.killed", pid=self.pid, after_secs=STOP_DEADLINE)
            finally:
                await self.kill()

    async def kill(self) -> None:
        """Kill Janus, also if it hangs or is stopped by SIGSTOP."""
        if not self.has_ended:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def last_error(self) -> str | None:
        """The last line of the log that is an error, else a warning, else any; without time and severity."""
        try:
            with self._log_path.open("rb") as file:
                file.seek(max(0, self._log_path.stat().st_size - 16384))
                text = file.read().decode(errors="replace")
        except OSError:
            return None
        lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
        for severity in ("[FATAL]", "[ERR]", "[WARN]", ""):
            if marked := [line for line in lines if severity in line]:
                return re.sub(r"^(\[[^\]]*\]\s*)+", "", marked[-1])[:300]
        return None

    def bound_log(self) -> None:
        """Start the log anew if it is longer than LOG_LIMIT. Janus appends, so it goes on at the new beginning."""
        try:
            if self._log_path.stat().st_size > LOG_LIMIT:
                shutil.copyfile(self._log_path, _older(self._log_path))
                os.truncate(self._log_path, 0)
        except OSError as error:
            log.warning("janus.log_not_bounded", error=str(error))

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)


class FolderLock:
    """A lock that this process holds on a configuration folder. The kernel releases it however the process ends.

    Raises JanusUnavailable when another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise JanusUnavailable(
                f"Another Portico already runs a Janus in {folder}: stop it, or choose another PORTICO_DATA_DIR."
            ) from error

    def release(self) -> None:
        os.close(self._descriptor)


async def end_orphans(folder: Path) -> None:
    """Kill every Janus that runs with the configuration in `folder`. The caller holds its `FolderLock`.

    The kernel kills a Janus with its parent, except in the first instant, before it was asked to. This reads command
    lines rather than a file with a process id, because another process may have that id by now.
    """
    for pid in _pids_of(folder):
        log.warning("janus.orphan_ended", pid=pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(STOP_DEADLINE):
        while _pids_of(folder):  # noqa: ASYNC110 - there is no event for the end of a process that is not our child
            await asyncio.sleep(0.01)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _mark(folder: Path) -> str:
    """The argument that distinguishes a Janus of this folder from all others in /proc."""
    return f"--configs-folder={folder}"


def _pids_of(folder: Path) -> list[int]:
    mark = os.fsencode(_mark(folder))
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # ended while we looked; a zombie's is empty
            if mark in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return found


def _older(log_path: Path) -> Path:
    return log_path.with_suffix(".log.1")


def _open_log(path: Path) -> IO[bytes]:
    """Open a new log for one run of Janus; the log of the run before becomes janus.log.1."""
    if path.exists() and path.stat().st_size > 0:
        path.replace(_older(path))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
