"""Runs one ffmpeg command, reads its progress, kills it if it stalls, and never leaves its process behind."""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from portico.runtime import child, child_limits

STALLED_SECS = 600.0
"""ffmpeg is killed after so long without progress; it reports none while it decodes up to the start of a segment."""
CPU_SECS = 120
"""CPU seconds that a trial command may take, which makes no part of a composition."""
_REPORT_SECS = 0.5  # between reports of progress
_KEPT_BYTES = 4096  # of the end of standard error
_FFMPEG = ("ffmpeg", "-nostdin", "-hide_banner", "-v", "error")
_STARVED = (b"Cannot allocate memory", b"malloc of size")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    """The exit status; negative: the number of the signal that killed it."""
    frames: int
    """Frames written."""
    out_us: int
    """Microseconds written."""
    complaint: str
    """The last two lines of standard error."""
    starved: bool = False
    """Whether an allocation of memory failed: then the output lacks something, even if the exit status is 0."""
    cpu_secs: float = 0.0

    @property
    def over_limit(self) -> bool:
        """Whether it exceeded a limit of memory or CPU time, or was killed for another reason."""
        return self.starved or self.status < 0


class RunningFfmpeg:
    """One started ffmpeg. The kernel kills it when this process ends."""

    def __init__(self, arguments: Iterable[str], folder: Path, cpu_secs: int) -> None:
        # Settings of ours hold keys: ffmpeg reads hostile files and gets none of them.
        limits = child_limits.prefix(cpu_secs)
        progress = ["-progress", "pipe:1", "-stats_period", str(_REPORT_SECS)]
        self._process = subprocess.Popen(
            [*child_limits.killed_with_parent(), *limits, *_FFMPEG, *progress, "-y", *arguments],
            cwd=folder,
            env=child.environment() | child_limits.ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self._report, self._complaints = self._process.stdout, self._process.stderr
        self._unread = b""
        self._last_errors = b""
        self._moved_at = time.monotonic()
        self._starved = False
        self._cpu_before = _cpu_secs_of_children()
        self.frames = 0
        self.out_us = 0

    @property
    def pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Its standard output and standard error, to be watched until `read` returns False for both."""
        return self._report, self._complaints

    @property
    def stalls(self) -> bool:
        """Whether it has made no progress for STALLED_SECS."""
        return time.monotonic() - self._moved_at > STALLED_SECS

    def read(self, pipe: IO[bytes]) -> bool:
        """Read what is in a pipe; False at its end."""
        chunk = os.read(pipe.fileno(), 65536)
        if pipe is self._complaints:
            self._last_errors = (self._last_errors + chunk)[-_KEPT_BYTES:]
            self._starved |= any(sign in self._last_errors or sign in chunk for sign in _STARVED)
        else:
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            for line in lines:
                self._note(line.decode(errors="replace"))
        return chunk != b""

    def end(self) -> Ended:
        """Wait until the process has ended; call it when both pipes are at their end."""
        try:
            status = self._process.wait(STALLED_SECS)
        except subprocess.TimeoutExpired:
            self.kill()
            status = -signal.SIGKILL
        self._close()
        lines = self._last_errors.decode(errors="replace").strip().splitlines()
        # Two lines: the last one often says only that an error occurred before.
        complaint = "; ".join(line.strip() for line in lines[-2:])[:300]
        spent = _cpu_secs_of_children() - self._cpu_before
        return Ended(status, self.frames, self.out_us, complaint, self._starved, spent)

    def kill(self) -> None:
        """Kill it if it still runs, and close the pipes."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        self._close()

    def _note(self, line: str) -> None:
        """Take one NAME=VALUE line of a progress report."""
        name, _, value = line.partition("=")
        if name not in ("frame", "out_time_us") or not value.strip().isdecimal():
            return  # "N/A" before the first packet
        number = int(value)
        if name == "frame" and number > self.frames:
            self.frames, self._moved_at = number, time.monotonic()
        elif name == "out_time_us" and number > self.out_us:
            self.out_us, self._moved_at = number, time.monotonic()

    def _close(self) -> None:
        self._report.close()
        self._complaints.close()


def run(
    arguments: Iterable[str],
    folder: Path,
    on_progress: Callable[[RunningFfmpeg], None] = lambda _: None,
    *,
    cpu_secs: int = CPU_SECS,
) -> Ended:
    """Run one command to its end. The process is gone when this returns or raises; it is killed when it stalls.

    `on_progress` is called at least once a second. Raises OSError when ffmpeg cannot be started.
    """
    running = RunningFfmpeg(arguments, folder, cpu_secs)
    try:
        with selectors.DefaultSelector() as selector:
            for pipe in running.pipes:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map() and not running.stalls:
                for key, _ in selector.select(timeout=1.0):
                    assert not isinstance(key.fileobj, int)
                    if not running.read(key.fileobj):  # type: ignore[arg-type]
                        selector.unregister(key.fileobj)
                on_progress(running)
        return running.end() if not running.stalls else _stalled(running)
    finally:
        running.kill()


def _stalled(running: RunningFfmpeg) -> Ended:
    running.kill()
    return Ended(-signal.SIGKILL, running.frames, running.out_us, f"got no further for {STALLED_SECS:.0f} s")


def _cpu_secs_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
