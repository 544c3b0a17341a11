"""The interface of a database: it runs functions, each with a connection in a transaction of its own."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine

from portico.db.wakeup import Commits

S = TypeVar("S")
T = TypeVar("T")
Transaction = Connection


class Database(Protocol):
    """SQLite or PostgreSQL; the same functions run on both.

    Refuses with Busy when too many of them wait, and with DatabaseUnavailable when the database does not answer.
    """

    engine: Engine
    """For migrations at start, before anything else runs."""
    commits: Commits
    """Wakes listeners after commits that leave work, of this process and, by PostgreSQL's NOTIFY, of all others."""

    async def write(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` and commit durably before returning. An exception rolls back exactly this function."""
        ...

    async def read(self, fn: Callable[[Transaction], T]) -> T:
        """Run `fn` against one snapshot, which contains every earlier write."""
        ...

    async def read_list(self, account_id: str, fn: Callable[[Transaction], S], then: Callable[[S], T]) -> T:
        """As `read`, for queries that may take long: in separate threads, accounts in turn, with a time limit (Busy).

        `then` makes the result of what `fn` found, in the same thread and after the transaction. A cancelled caller
        stops the query.
        """
        ...

    def beside(self) -> "Database":
        """A second Database of the same tables, whose calls do not wait behind those of this one; closed with it."""
        ...

    async def close(self) -> None:
        """Complete the calls that have begun; refuse later calls with Busy."""
        ...
