"""Common parts of checks: blocking calls in threads that do not delay the exit, and programs with deadlines."""

import asyncio
import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from portico.runtime.child import environment

T = TypeVar("T")
PROGRAM_SECS = 5.0


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread; returns its result. If it hangs, the other checks and the exit do not wait for it."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  it belongs to the caller, who gets it
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended: the check was given up
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="doctor", daemon=True).start()
    return await answer


async def output_of(command: Sequence[str], *, cwd: str | None = None, within_secs: float = PROGRAM_SECS) -> str:
    """Run a program without our secrets; returns its standard output and error, whatever its exit status.

    Raises OSError when it cannot be started, TimeoutError after `within_secs`.
    """

    def run() -> str:
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=within_secs,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{command[0]} did not end within {within_secs:g} s") from None
        return done.stdout.decode(errors="replace")

    return await in_thread(run)


def reason(error: OSError) -> str:
    """Why a connection, a name or a file failed: a clause in lower case, without a full stop."""
    cause: OSError = getattr(error, "os_error", error)  # of an error of aiohttp's
    if isinstance(cause, socket.gaierror) or not cause.errno:
        return (cause.strerror or str(cause) or type(cause).__name__).lower().rstrip(".")
    return os.strerror(cause.errno).lower()
