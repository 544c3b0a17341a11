"""Network namespaces of a test run's own: made at once, entered by threads and programs, and removed at the end."""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_counter = itertools.count(1)
_OWNED = re.compile(r"pn(\d+)[a-z0-9]*")


class Namespace:
    """A machine of a test's network: what `call`, `run` and `prefix` start has the sockets of that machine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.prefix = ("nsenter", f"--net={FOLDER / name}", "--")
        """A command that becomes another one, by exec, inside of the namespace."""

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in a thread of the namespace; returns its result, or raises its exception."""
        result: concurrent.futures.Future[T] = concurrent.futures.Future()

        def inside() -> None:
            try:
                with (FOLDER / self.name).open() as handle:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(handle.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                result.set_result(function())
            except BaseException as error:
                result.set_exception(error)

        thread = threading.Thread(target=inside)  # setns concerns the thread alone, which then ends
        thread.start()
        thread.join()
        return result.result()

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Run a coroutine in an event loop of the namespace; returns its result."""
        return self.call(lambda: asyncio.run(work()))  # type: ignore[arg-type]

    def ip(self, *words: str) -> None:
        """Change links, addresses, routes or rules of the namespace with ip(8)."""
        command("ip", "-n", self.name, *words)

    def nft(self, rules: str) -> None:
        """Change the packet filter of the namespace by text of nft(8)."""
        command(*self.prefix, "nft", "-f", "-", text=rules)


def command(*words: str, text: str | None = None) -> str:
    """Run a program to its end; returns what it prints. Raises CalledProcessError, which has its error output."""
    done = subprocess.run(words, check=True, capture_output=True, text=True, input=text, timeout=30)
    return done.stdout


def missing(*programs: str) -> str | None:
    """What this machine lacks for namespaces and for these programs, as a sentence; None when it lacks nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "Network namespaces need root on Linux."
    absent = [name for name in ("ip", "nsenter", *programs) if not shutil.which(name)]
    return f"Programs are missing: {', '.join(absent)} (script/setup --dev installs them)." if absent else None


@contextlib.contextmanager
def namespaces(names: Iterable[str], steps: Callable[[str], str]) -> Iterator[dict[str, Namespace] | None]:
    """Make namespaces and their links; None where the kernel refuses, as in a container that is root in name only.

    `steps` is given a prefix that no others use and returns commands of ip(8), one a line; the namespace `router` is
    called `{prefix}router` in them. With a namespace the links into it disappear.
    """
    prefix = f"pn{os.getpid()}n{next(_counter)}"
    _remove_leftovers()
    made = {name: Namespace(f"{prefix}{name}") for name in names}
    batch = [f"netns add {each.name}" for each in made.values()]
    batch += [f"-n {each.name} link set lo up" for each in made.values()]
    batch += [line.strip() for line in steps(prefix).splitlines() if line.strip()]
    try:
        try:
            for line in batch:
                command("ip", *line.split())
            works = True
        except subprocess.CalledProcessError as refusal:
            print(f"ip refuses: {refusal.stderr}", file=sys.stderr)
            works = False
        yield made if works else None
    finally:
        for each in made.values():
            subprocess.run(["ip", "netns", "del", each.name], check=False, capture_output=True)


def _remove_leftovers() -> None:
    """Remove namespaces of test runs that were killed."""
    for path in FOLDER.glob("pn*") if FOLDER.is_dir() else ():
        owner = _OWNED.fullmatch(path.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            subprocess.run(["ip", "netns", "del", path.name], check=False, capture_output=True)
