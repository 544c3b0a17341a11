"""Portico as users run it: a process of its own that tests start, kill, restart and stop."""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.contract.answers import ANSWERS_WITHIN_SECS, check

READY_WITHIN_SECS = 60.0
STOPS_WITHIN_SECS = 20.0


def free_port() -> int:
    """A TCP port of the loopback address that no program listens on now; another program may take it soon."""
    with kept_port() as kept:
        port: int = kept.getsockname()[1]
        return port


def kept_port() -> socket.socket:
    """Hold a port without listening: while it is open the system gives that port only to a program that asks for it.

    That is what SO_REUSEADDR on both sides means while neither listens (socket(7)).
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept


class PorticoServer:
    """`portico serve` on a data directory of the caller's; `settings` are PORTICO_* variables by their short names.

    Restarted, it keeps its port, key and data. As a context manager it starts at once and stops at the end. Of the
    environment's own PORTICO_* only PORTICO_JANUS_BIN counts: it makes a whole test run use another Janus.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        api_key: str | None = None,
        media_interface: str | None = None,
        prefix: Sequence[str] = (),
        **settings: str,
    ) -> None:
        """`prefix` is a command that runs the server, such as prlimit."""
        self.command: Sequence[str] = (sys.executable, "-m", "portico", "serve")
        """What is run; a prefix has to become the server by exec, because its process id is the server's."""
        self.environment: Mapping[str, str] = {}
        """Variables beside PORTICO_*."""
        self.data_dir = data_dir
        kept = kept_port()  # while it starts, and while it is down
        weakref.finalize(self, kept.close)
        self.port = kept.getsockname()[1]
        self.api_key = api_key or f"KEY{secrets.token_hex(16)}"
        self.settings = {"PORT": str(self.port), "DATA_DIR": str(data_dir), "API_KEY": self.api_key} | settings
        if media_interface is not None:
            self.settings["MEDIA_INTERFACE"] = media_interface
        self.log_path = data_dir.parent / f"{data_dir.name}.log"
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: set[_Living] = set()

    @property
    def base_url(self) -> str:
        """Where the server is, without `/v2`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def log(self) -> str:
        """Everything that the server printed so far, over all its starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def meeting_link(self) -> str:
        """The meeting link that the server has printed at its last start."""
        link: str = re.findall(r"\S+/meet/\S+#\S+", self.log)[-1]
        return link

    def start(self) -> Self:
        """Returns when /readyz says 200; raises with the server's log when it does not in time."""
        kept = {"PORTICO_JANUS_BIN"}
        environment = {name: value for name, value in os.environ.items() if name in kept or name[:8] != "PORTICO_"}
        environment |= {f"PORTICO_{name.upper()}": value for name, value in self.settings.items()}
        environment |= self.environment
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                # A test run under nohup ignores SIGHUP, and the server would with it.
                ["/usr/bin/env", "--default-signal=HUP", *self._prefix, *self.command],
                env=environment,
                cwd=self.data_dir.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the test run must not reach the server before its own stop()
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._end_everything()
            raise
        return self

    def descendants(self, name: str | None = None) -> list[int]:
        """Ids of the living processes under the server, oldest first; only those of that program, if one is named."""
        found = _descendants(self.pid)
        self._seen = {one for one in self._seen if one.still_lives} | set(found)
        return [one.pid for one in found if name in (None, one.program)]

    def kill9(self) -> None:
        """Kills the server process alone, as the kernel would for lack of memory; its children are left alone."""
        self.descendants()
        process = self._running()
        process.kill()
        process.wait(timeout=STOPS_WITHIN_SECS)

    def wait(self) -> int:
        """The status with which the server ends by itself."""
        return self._running().wait(timeout=STOPS_WITHIN_SECS)

    def stop(self) -> None:
        """Ctrl-C; fails when the server does not exit cleanly or leaves a process behind."""
        self.descendants()
        process = self._running()
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(timeout=STOPS_WITHIN_SECS)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"portico serve still runs {STOPS_WITHIN_SECS} s after Ctrl-C") from late
        left = [one for one in self._seen if one.still_lives]
        self._end_everything()
        assert code in (0, 130), f"portico serve ended with code {code} after Ctrl-C"
        assert not left, f"portico serve left processes behind after Ctrl-C: {left}"

    def restart(self) -> Self:
        """Starts the killed or stopped server again on the same data and port."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
        return self.start()

    def get(self, path: str) -> Any:
        """The parsed JSON answer of an authorised GET, checked; for what the official SDKs do not offer."""
        request = urllib.request.Request(self.base_url + path, headers={"Authorization": f"Bearer {self.api_key}"})
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN_SECS) as answer:
            body = answer.read()
            check("GET", path.partition("?")[0], answer.status, answer.headers, body)
        return json.loads(body)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._process is not None and self._process.poll() is None:
                self.stop()
        except AssertionError:
            print(self.log, file=sys.stderr)
            raise
        finally:
            if kind is not None:
                print(f"--- log of the server on port {self.port} ---\n{self.log}", file=sys.stderr)
            self._end_everything()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server was never started"
        return self._process

    def _wait_until_ready(self) -> None:
        process, deadline = self._running(), time.monotonic() + READY_WITHIN_SECS
        reason: str | None = "no answer"
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise AssertionError(f"portico serve ended with code {process.returncode} at start:\n{self.log}")
            reason = self._why_not_ready()
            if reason is None:
                self.descendants()
                return
            time.sleep(0.02)
        raise AssertionError(f"portico serve was not ready after {READY_WITHIN_SECS} s ({reason}):\n{self.log}")

    def _why_not_ready(self) -> str | None:
        try:
            try:
                with urllib.request.urlopen(f"{self.base_url}/readyz", timeout=2):
                    return None
            except urllib.error.HTTPError as refusal:
                return refusal.read().decode(errors="replace")
        except (urllib.error.URLError, ConnectionError, TimeoutError) as silence:
            return str(silence)

    def _end_everything(self) -> None:
        """Leaves no process of this server behind, whatever the test did."""
        process = self._process
        if process is not None and process.poll() is None:
            self.descendants()
            process.kill()
            process.wait(timeout=STOPS_WITHIN_SECS)
        for one in self._seen:
            if one.still_lives:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
        self._seen.clear()


@dataclass(frozen=True)
class _Living:
    """What proc(5) says of a living process. The system reuses its id alone; id and start time stay unique."""

    pid: int
    program: str
    parent: int
    started: int

    @classmethod
    def read(cls, pid: int) -> Self | None:
        """None for a process that is gone, or a zombie."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        name_ends = text.rindex(")")
        state, parent, *others = text[name_ends + 2 :].split()
        if state == "Z":
            return None
        return cls(pid, text[text.index("(") + 1 : name_ends], int(parent), started=int(others[17]))

    @property
    def still_lives(self) -> bool:
        """Whether it lives on, maybe as another program by now."""
        now = _Living.read(self.pid)
        return now is not None and now.started == self.started


def _descendants(pid: int) -> list[_Living]:
    living = [_Living.read(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found: list[_Living] = []
    front = {pid}
    while front:
        children = [one for one in living if one is not None and one.parent in front]
        front = {child.pid for child in children}
        found += children
    return sorted(found, key=lambda one: one.started)
