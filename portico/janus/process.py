"""The Janus process itself: started, bounded, ended, and never left behind."""

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
"""Bytes that the log may have before it starts anew; one older file of that size is kept."""

STOP_DEADLINE = 5.0
"""Seconds that Janus has to end by itself before it is killed."""


class JanusProcess:
    """One started Janus, without privileges (`child`). The kernel kills it when the thread that started it is gone."""

    def __init__(self, process: asyncio.subprocess.Process, log_path: Path) -> None:
        self._process = process
        self._log_path = log_path

    @classmethod
    async def spawn(cls, binary: Path, folder: Path, rules: Confinement) -> "JanusProcess":
        """Starts Janus with the configuration in `folder`; it does not answer yet when this returns."""
        log_path = folder / "janus.log"
        janus = [str(binary), f"--config={folder / 'janus.jcfg'}", _mark(folder)]
        # Off the loop: the first time, `confined` asks the kernel what it offers.
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
        """Returns when Janus has ended, with words for how."""
        status = await self._process.wait()
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"

    async def stop(self) -> None:
        """Ends Janus, by force after `STOP_DEADLINE`."""
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
        """Ends Janus at once, also when it hangs or is stopped."""
        if not self.has_ended:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def last_error(self) -> str | None:
        """The last line that Janus logged as an error, else as a warning, else at all; without its prefixes."""
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
        """Starts the log anew when it has grown past `LOG_LIMIT`. Janus keeps writing to the same file: it appends."""
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
    """Says that a configuration folder is ours. The kernel lets go of it when we die, however we die."""

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
    """Kills every Janus that runs with the configuration in `folder`: call only with that folder's `FolderLock`.

    A parent that is killed takes its Janus along, except in the first instant, before the kernel was told to. The
    command lines are read rather than a file with a process id, because an id may belong to somebody else by now.
    """
    for pid in _pids_of(folder):
        log.warning("janus.orphan_ended", pid=pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(STOP_DEADLINE):
        while _pids_of(folder):  # noqa: ASYNC110 - nothing tells of the end of a process that is not our child
            await asyncio.sleep(0.01)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _mark(folder: Path) -> str:
    """The argument by which our Janus is told from any other."""
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
    """A new log for one run of Janus; the log of the run before is kept beside it."""
    if path.exists() and path.stat().st_size > 0:
        path.replace(_older(path))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
