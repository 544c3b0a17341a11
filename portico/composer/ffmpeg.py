"""Runs one ffmpeg command: with progress, a watch on stalls, and never a process left behind."""

import contextlib
import os
import resource
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from portico.runtime import child_limits

STALLED_SECS = 600.0
"""An ffmpeg that gets no further for so long is killed. It is silent while it decodes up to where a segment begins."""
CPU_SECS = 120
"""What a command may cost that is no work on a whole part."""
_REPORT_SECS = 0.5
_KEPT_BYTES = 4096
_FFMPEG = ("ffmpeg", "-nostdin", "-hide_banner", "-v", "error")
_STARVED = (b"Cannot allocate memory", b"malloc of size")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: exit status (negative: the signal), frames and microseconds written, last complaints."""

    status: int
    frames: int
    out_us: int
    complaint: str
    starved: bool = False
    """Whether memory was refused to it: then what it wrote lacks something, whatever its status is."""
    cpu_secs: float = 0.0

    @property
    def over_limit(self) -> bool:
        """Whether it needed more than it was given."""
        return self.starved or self.status < 0


class Running:
    """One started ffmpeg. It cannot outlive us: the kernel kills it when we are gone."""

    def __init__(self, arguments: Iterable[str], folder: Path, cpu_secs: int) -> None:
        # Not our own settings, which hold keys.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PORTICO_")}
        limits = child_limits.prefix(cpu_secs)
        progress = ["-progress", "pipe:1", "-stats_period", str(_REPORT_SECS)]
        self._process = subprocess.Popen(
            [*_dies_with_us(), *limits, *_FFMPEG, *progress, "-y", *arguments],
            cwd=folder,
            env=environment | child_limits.ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self._report, self._complaints = self._process.stdout, self._process.stderr
        self._unread = b""
        self._last_words = b""
        self._moved_at = time.monotonic()
        self._starved = False
        self._cpu_before = _cpu_secs_of_children()
        self.frames = 0
        self.out_us = 0

    @property
    def pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Where it speaks; to be watched until `read` says that nothing more comes."""
        return self._report, self._complaints

    @property
    def stalls(self) -> bool:
        return time.monotonic() - self._moved_at > STALLED_SECS

    def read(self, pipe: IO[bytes]) -> bool:
        """Takes what has come through a pipe; False at its end."""
        chunk = os.read(pipe.fileno(), 65536)
        if pipe is self._complaints:
            self._last_words = (self._last_words + chunk)[-_KEPT_BYTES:]
            self._starved |= any(sign in self._last_words or sign in chunk for sign in _STARVED)
        else:
            *lines, self._unread = (self._unread + chunk).split(b"\n")
            for line in lines:
                self._note(line.decode(errors="replace"))
        return chunk != b""

    def end(self) -> Ended:
        """Waits for its end, which is near once both pipes have ended."""
        try:
            status = self._process.wait(STALLED_SECS)
        except subprocess.TimeoutExpired:
            self.kill()
            status = -signal.SIGKILL
        self._close()
        words = self._last_words.decode(errors="replace").strip().splitlines()
        # The last line alone often only says that there was an error before.
        complaint = "; ".join(line.strip() for line in words[-2:])[:300]
        spent = _cpu_secs_of_children() - self._cpu_before
        return Ended(status, self.frames, self.out_us, complaint, self._starved, spent)

    def kill(self) -> None:
        """Ends it at once."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        self._close()

    def _note(self, line: str) -> None:
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
    on_progress: Callable[[Running], None] = lambda _: None,
    *,
    cpu_secs: int = CPU_SECS,
) -> Ended:
    """Runs one command to its end. However this is left, the process is gone; it is killed when it stalls."""
    running = Running(arguments, folder, cpu_secs)
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


def _stalled(running: Running) -> Ended:
    running.kill()
    return Ended(-signal.SIGKILL, running.frames, running.out_us, f"got no further for {STALLED_SECS:.0f} s")


def _cpu_secs_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _dies_with_us() -> list[str]:
    """A program of util-linux that has the kernel kill the child with us, and then becomes ffmpeg."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
