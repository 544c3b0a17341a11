"""Keeps one child program running: Caddy, coturn or HAProxy. Janus, which takes calls with it, has janus/node.py."""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from portico.runtime import child
from portico.runtime.child import Confinement
from portico.runtime.child_process import ChildProcess, ChildUnavailable, FolderLock, end_orphans
from portico.runtime.periodic import cancel

log = structlog.get_logger(__name__)

START_DEADLINE = 15.0
"""Seconds from the start of a program to the first check that passes."""
CHECK_PERIOD, CHECK_DEADLINE = 2.0, 3.0
"""Seconds between health checks, and for one. Two failures in a row end the program and start it again."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before the first attempt to restart and before later ones: each pause is twice the one before."""
HEALTHY_AFTER = 60.0
"""Seconds that a program must have been up for the next restart to begin with FIRST_PAUSE again."""
_VERSION_SECS = 10.0

HealthCheck = Callable[[], Awaitable[str | None]]
"""Returns None when the program answers, else a clause that follows its name, such as "does not answer"."""


@dataclass(frozen=True, slots=True)
class Program:
    """One start of a program."""

    command: Sequence[str]
    mark: str
    """An argument of `command` that names a file or folder of ours. It identifies orphans of a killed server."""
    rules: Confinement
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChildState:
    """What /readyz and /metrics show of a program."""

    name: str
    is_up: bool
    version: str | None
    restarts: int
    """Times that it was started again since our own start."""
    reason: str | None
    """Why it is down, as a sentence; None while it is up."""


class Supervised:
    """One supervised program. `start` and `stop` belong to one event loop; a stopped one can be started again.

    `prepare` is awaited before each start: it writes the configuration, gives folders (child.give) and returns what to
    start. `check` is awaited until it passes, then every CHECK_PERIOD. The log is NAME.log in `folder`, which is made,
    and which no other Portico may use at the same time. `version_command` prints the version, such as `caddy version`.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        prepare: Callable[[], Awaitable[Program]],
        check: HealthCheck,
        *,
        version_command: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._folder = folder
        self._prepare = prepare
        self._check = check
        self._version_command = version_command
        self._version: str | None = None
        self._restarts = 0
        self._reason: str | None = f"{name} is not started."
        self._lock: FolderLock | None = None  # held between start() and stop()
        self._process: ChildProcess | None = None  # set while there is a child
        self._supervisor: asyncio.Task[None] | None = None  # runs between start() and stop()

    @property
    def state(self) -> ChildState:
        """The state at this moment."""
        return ChildState(self.name, self._reason is None, self._version, self._restarts, self._reason)

    @property
    def pid(self) -> int | None:
        """The process id; None without a process."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Return when the first check passes. Raises ChildUnavailable, and then no process is left."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self._folder, self.name)
            self._version = await version_of(self._version_command)
            await self._bring_up(is_first=True)
        except OSError as error:
            await self.stop()
            raise ChildUnavailable(f"{self.name} cannot be started: {error.filename}: {error.strerror}.") from error
        except BaseException:
            await self.stop()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name=f"{self.name}-supervisor")

    async def stop(self) -> None:
        """End the supervision, then the program by SIGTERM. Nothing happens if it is not started."""
        if self._supervisor is not None:
            await cancel(self._supervisor)
            self._supervisor = None
        self._reason = f"{self.name} is stopped."
        try:
            if self._process is not None:
                await self._process.stop()
        finally:
            self._process = None
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, such as the one by which a program reads its certificate again; nothing while it is down."""
        if self._process is not None:
            self._process.signal(number)

    async def _bring_up(self, *, is_first: bool = False) -> None:
        program = await self._prepare()
        if is_first:
            await end_orphans(self.name, program.mark)
        self._process = process = await ChildProcess.spawn(
            self.name, program.command, self._folder, program.rules, environment=program.environment
        )
        why: str | None = "does not answer"
        try:
            async with asyncio.timeout(START_DEADLINE):
                while not process.has_ended and (why := await self._check()) is not None:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            await process.kill()
            raise ChildUnavailable(f"{program.command[0]} {why}{process.quote()}.") from None
        if process.has_ended:
            raise ChildUnavailable(f"{program.command[0]} {await process.wait()}{process.quote()}.")
        self._reason = None
        log.info(f"{self.name}.up", pid=process.pid, version=self._version)

    async def _supervise(self) -> None:
        clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE
        while True:
            up_since = clock()
            reason = await self._watch()
            if clock() - up_since >= HEALTHY_AFTER:
                pause = FIRST_PAUSE
            self._reason = f"{reason[:1].upper()}{reason[1:]}."
            log.error(f"{self.name}.lost", reason=reason, pid=self.pid)
            pause = await self._restart(pause)

    async def _watch(self) -> str:
        """Return when the program is lost, with the reason as a sentence for the log."""
        assert self._process is not None
        ended, hung = asyncio.create_task(self._process.wait()), asyncio.create_task(self._watch_health())
        try:
            done, _ = await asyncio.wait((ended, hung), return_when=asyncio.FIRST_COMPLETED)
            return f"{self.name} {(ended if ended in done else hung).result()}{self._process.quote()}"
        finally:
            ended.cancel()
            hung.cancel()
            await asyncio.gather(ended, hung, return_exceptions=True)

    async def _watch_health(self) -> str:
        """Return when two checks in a row fail, even if the process runs: a clause that follows the name."""
        failures = 0
        while True:
            await asyncio.sleep(CHECK_PERIOD)
            if self._process is not None:
                self._process.bound_log()
            why = await self._ask()
            failures = failures + 1 if why is not None else 0
            if why is not None and failures > 1:
                return why

    async def _ask(self) -> str | None:
        try:
            async with asyncio.timeout(CHECK_DEADLINE):
                return await self._check()
        except TimeoutError:
            return f"does not answer within {CHECK_DEADLINE:.0f} s"
        except Exception as error:  # noqa: BLE001  a fault of the check must not end the supervision
            return f"cannot be asked: {error or type(error).__name__}"

    async def _restart(self, pause: float) -> float:
        """Try until the program is up; return the pause that the next restart begins with."""
        while True:
            if self._process is not None:
                await self._process.kill()
                self._process = None
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            self._restarts += 1
            try:
                await self._bring_up()
                return pause
            except Exception as error:  # noqa: BLE001  whatever it is, the next attempt may succeed
                self._reason = str(error) or type(error).__name__
                log.error(f"{self.name}.restart_failed", reason=self._reason, next_try_secs=pause)


async def version_of(command: Sequence[str]) -> str | None:
    """The first version number that the command prints, such as `2.6.2`; None where it prints none."""
    if not command:
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=child.environment(),
        )
    except OSError as error:
        raise ChildUnavailable(f"{command[0]} cannot be started: {error.strerror}.") from error
    try:
        async with asyncio.timeout(_VERSION_SECS):
            output, errors = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    for text in (output, errors):  # Caddy without HOME logs an error, with the time as a number
        if found := re.search(r"\d+\.\d+(\.\d+)*(-[0-9A-Za-z.+~-]+)?", text.decode(errors="replace")):
            return found.group()
    return None
