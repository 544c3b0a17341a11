"""Other processes that use the same database: started from one that has the imports ready, spoken to through pipes."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
ANSWERS_WITHIN_SECS = 60.0
_BODIES = [
    "tests.cli.test_main",
    "tests.test_migrations",
    "tests.db.test_durability",
    "tests.services.test_races",
    "tests.contract.test_consistency",
]
_PRELOADED = ["portico.app.serve", "portico.db.postgres", "portico.db.sqlite", *_BODIES]
"""Imported once, so that each process begins at once; what is missing here only costs time."""
Body = Callable[[str, "Connection[Any, Any]"], None]


@dataclass(frozen=True, slots=True)
class Other:
    """A process that runs a function of (database URL, its end of a pipe)."""

    process: ForkServerProcess
    pipe: "Connection[Any, Any]"

    def ask(self) -> Any:
        """The next thing it says; fails when it says nothing in time, raises EOFError when it has ended."""
        assert self.pipe.poll(ANSWERS_WITHIN_SECS), "the other process says nothing"
        return self.pipe.recv()


@contextmanager
def others(count: int, body: Body, url: str) -> Iterator[list[Other]]:
    """So many processes; whatever happens, none is left."""
    _CONTEXT.set_forkserver_preload(["__main__", *_PRELOADED])
    with ExitStack() as ending:
        yield [ending.enter_context(_other(body, url)) for _ in range(count)]


@contextmanager
def _other(body: Body, url: str) -> Iterator[Other]:
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=body, args=(url, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Other(process, ours)
    finally:
        ours.close()
        process.join(ANSWERS_WITHIN_SECS if process.exitcode is None else 0)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()
