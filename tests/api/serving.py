"""The REST API behind real uvicorn on a free port, in a thread, for callers that bring their own sockets.

Every answer is checked against both documents; the block that uses the server fails at its end if one was wrong.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import uvicorn

from portico.db.connect import open_database
from portico.db.lists import DEFAULT_SECS
from tests.api.world import World, world_on
from tests.contract.answers import Checked

STARTS_WITHIN_SECS = 20.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Served:
    """A world whose application answers at `base_url`; `run` executes coroutines on its loop."""

    world: World
    port: int
    loop: asyncio.AbstractEventLoop

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)


@contextlib.contextmanager
def serving(database_url: str, *, list_secs: float = DEFAULT_SECS, **settings: Any) -> Iterator[Served]:
    """Serve a new world until the block ends; the settings are those of add_api."""
    listening = socket.create_server(("127.0.0.1", 0))
    started: list[tuple[Served, uvicorn.Server]] = []
    failed: list[BaseException] = []
    checked: list[Checked] = []

    async def serve() -> None:
        database = open_database(database_url, list_secs=list_secs)
        try:
            async with world_on(database, **settings) as world:
                checked.append(Checked(world.app))
                config = uvicorn.Config(checked[0], log_config=None, lifespan="off", timeout_graceful_shutdown=2)
                server = uvicorn.Server(config)
                served = Served(world, listening.getsockname()[1], asyncio.get_running_loop())
                started.append((served, server))
                await server.serve([listening])
        finally:
            await database.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=run, name="uvicorn", daemon=True)
    thread.start()
    deadline = time.monotonic() + STARTS_WITHIN_SECS
    while not (started and started[0][1].started):
        if failed or time.monotonic() > deadline:
            raise RuntimeError("the server did not start") from (failed[0] if failed else None)
        time.sleep(0.005)
    try:
        yield started[0][0]
    finally:
        started[0][1].should_exit = True
        thread.join(STARTS_WITHIN_SECS)
        listening.close()
    assert not checked[0].faults, "\n".join(checked[0].faults)
