"""A real database that returns the result of one function late."""

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from portico.db.engine import Database, Transaction
from portico.db.wakeup import Commits


class LateAnswer:
    """All is done at once; the caller of `what` gets a result that is not empty only after `let_go` is set."""

    def __init__(self, database: Database, what: Callable[..., Any]) -> None:
        self.engine: Engine = database.engine
        self.commits: Commits = database.commits
        self.done, self.let_go = asyncio.Event(), asyncio.Event()
        self._database, self._what = database, what

    async def write(self, fn: Callable[[Transaction], Any]) -> Any:
        result = await self._database.write(fn)
        if getattr(fn, "func", None) is self._what and result:
            self.done.set()
            await self.let_go.wait()
        return result

    async def read(self, fn: Callable[[Transaction], Any]) -> Any:
        return await self._database.read(fn)

    async def read_list(self, account_id: str, fn: Callable[[Transaction], Any], then: Callable[[Any], Any]) -> Any:
        return await self._database.read_list(account_id, fn, then)

    def beside(self) -> Database:
        return self._database.beside()

    async def close(self) -> None:
        await self._database.close()
