"""Group commit, isolation of failures, order, bounds and shutdown, on both databases."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portico.core.errors import Busy
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.db.postgres import POSTGRES_THREADS
from portico.db.sqlite import MAX_BATCH
from portico.db.threads import MAX_WAITING
from tests.factories import NOW

SECS = 20.0
"""The deadline of everything that must not hang."""
ACCOUNTS = schema.accounts


class Crash(Exception):
    """What a function under test raises."""


def insert(tx: Transaction, name: str, account_id: str | None = None) -> str:
    tx.execute(ACCOUNTS.insert().values(id=account_id or f"id of {name}", name=name, created_at=NOW))
    return name


def names(tx: Transaction) -> list[str]:
    return list(tx.execute(select(ACCOUNTS.c.name).order_by(ACCOUNTS.c.name)).scalars())


def count(tx: Transaction) -> int:
    return tx.execute(select(func.count()).select_from(ACCOUNTS)).scalar_one()


@pytest.fixture
def gate() -> "Gate":
    return Gate()


class Gate:
    """A write that holds whatever thread runs it until it is let go."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, tx: Transaction) -> str:
        self.entered.set()
        assert self.opened.wait(SECS)
        return "held"

    async def hold(self, database: Database, threads: int = 1) -> list[asyncio.Task[str]]:
        held = [asyncio.create_task(database.write(self)) for _ in range(threads)]
        await asyncio.to_thread(self.entered.wait, SECS)
        return held


async def test_a_write_returns_what_its_function_returns(database: Database) -> None:
    assert await database.write(partial(insert, name="a")) == "a"
    assert await database.write(lambda tx: tx.execute(select(ACCOUNTS.c.id)).scalar_one()) == "id of a"


async def test_of_many_writes_exactly_the_wrong_ones_fail(database: Database) -> None:
    wrong = set(range(3, 199, 4))
    assert len(wrong) == 49
    await database.write(partial(insert, name="taken"))
    writes = [
        database.write(partial(insert, name="taken" if n in wrong else str(n), account_id=str(n))) for n in range(200)
    ]
    async with asyncio.timeout(SECS):
        results = await asyncio.gather(*writes, return_exceptions=True)
    assert {n for n, result in enumerate(results) if isinstance(result, IntegrityError)} == wrong
    assert [result for n, result in enumerate(results) if n not in wrong] == [
        str(n) for n in range(200) if n not in wrong
    ]
    assert await database.read(count) == 152


async def test_a_failure_takes_back_everything_that_it_wrote_and_nothing_else(database: Database) -> None:
    def write_and_crash(tx: Transaction) -> None:
        insert(tx, "lost 1")
        insert(tx, "lost 2")
        raise Crash

    results = await asyncio.gather(
        database.write(partial(insert, name="before")),
        database.write(write_and_crash),
        database.write(partial(insert, name="after")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [str, Crash, str]
    assert await database.read(names) == ["after", "before"]


async def test_a_violated_constraint_spoils_nothing_for_the_neighbours(database: Database) -> None:
    def violate_and_raise(tx: Transaction) -> None:
        try:
            insert(tx, "taken", account_id="other")
        except IntegrityError as error:
            raise Crash from error

    await database.write(partial(insert, name="taken"))
    results = await asyncio.gather(
        *(database.write(violate_and_raise) for _ in range(10)),
        *(database.write(partial(insert, name=str(n))) for n in range(10)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Crash] * 10 + [str] * 10


@pytest.mark.parametrize(
    "error",
    [StopIteration("x"), StopAsyncIteration(), TimeoutError(), KeyError("x"), RecursionError(), MemoryError()],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_function_raises_all_callers_get_an_answer(
    database: Database, gate: Gate, error: Exception
) -> None:
    """Neighbours of the same group commit must neither hang nor fail."""

    def crash(tx: Transaction) -> None:
        insert(tx, "lost")
        raise error

    held = await gate.hold(database)
    before = asyncio.create_task(database.write(partial(insert, name="before")))
    crashing = asyncio.create_task(database.write(crash))
    after = asyncio.create_task(database.write(partial(insert, name="after")))
    await asyncio.sleep(0)
    gate.opened.set()
    done, hanging = await asyncio.wait([*held, before, crashing, after], timeout=SECS)
    for task in hanging:
        task.cancel()
    assert crashing in done, "the caller of the function that raised waits for ever"
    assert not hanging, "another caller waits for ever"
    assert (before.result(), after.result()) == ("before", "after")
    assert crashing.cancelled() or crashing.exception() is not None
    assert await database.read(names) == ["after", "before"]


async def test_a_read_sees_every_write_that_was_answered(database: Database) -> None:
    for n in range(50):
        await database.write(partial(insert, name=str(n)))
        assert await database.read(count) == n + 1


async def test_many_readers_beside_writers(database: Database) -> None:
    async def write_then_read(n: int) -> None:
        await database.write(partial(insert, name=str(n)))
        assert str(n) in await database.read(names)

    async with asyncio.timeout(SECS):
        await asyncio.gather(*(write_then_read(n) for n in range(100)))
    assert await database.read(count) == 100


async def test_a_read_of_several_statements_sees_one_snapshot(database: Database) -> None:
    """A page and its total must belong together, also while others write."""
    counted, written = threading.Event(), threading.Event()

    def count_twice(tx: Transaction) -> tuple[int, int]:
        first = count(tx)
        counted.set()
        assert written.wait(SECS)
        return first, count(tx)

    reading = asyncio.create_task(database.read(count_twice))
    await asyncio.to_thread(counted.wait, SECS)
    await database.write(partial(insert, name="meanwhile"))
    written.set()
    assert await reading == (0, 0)
    assert await database.read(count) == 1


async def test_a_waiter_that_gives_up_disturbs_no_other(database: Database, gate: Gate) -> None:
    held = await gate.hold(database)
    writes = [asyncio.create_task(database.write(partial(insert, name=str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    for task in writes[::2]:
        task.cancel()
    gate.opened.set()
    async with asyncio.timeout(SECS):
        await asyncio.gather(*held)
        results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, str] * 10
    found = await database.read(names)
    assert {str(n) for n in range(1, 20, 2)} <= set(found)
    assert await database.write(partial(insert, name="later")) == "later"


async def test_a_running_write_whose_waiter_gave_up_is_whole_or_absent(database: Database, gate: Gate) -> None:
    def two(tx: Transaction) -> None:
        insert(tx, "1 of 2")
        gate(tx)
        insert(tx, "2 of 2")

    task = asyncio.create_task(database.write(two))
    await asyncio.to_thread(gate.entered.wait, SECS)
    task.cancel()
    await asyncio.wait([task], timeout=SECS)
    gate.opened.set()
    await database.write(partial(insert, name="later"))
    await database.close()  # waits for threads
    assert await _reopened(database, names) in (["later"], ["1 of 2", "2 of 2", "later"])


@pytest.mark.parametrize("operation", ["write", "read"])
async def test_more_work_than_may_wait_is_refused_at_once(database: Database, gate: Gate, operation: str) -> None:
    """Every thread is held, then as many wait as may (a constant); the next is Busy, and no caller is lost."""
    run: Callable[..., Any] = getattr(database, operation)
    held = [asyncio.create_task(run(gate)) for _ in range(POSTGRES_THREADS)]
    await asyncio.to_thread(gate.entered.wait, SECS)
    waiting = [asyncio.create_task(run(_nothing)) for _ in range(MAX_WAITING + MAX_BATCH)]
    await asyncio.sleep(0)
    refused = [task for task in waiting if task.done()]
    assert refused, "nothing bounds what waits"
    assert all(isinstance(task.exception(), Busy) for task in refused)
    accepted = [task for task in waiting if not task.done()]
    assert len(accepted) >= MAX_WAITING - POSTGRES_THREADS
    patient = accepted[:50] + accepted[-50:]
    for task in accepted[50:-50]:
        task.cancel()
    gate.opened.set()
    async with asyncio.timeout(SECS):
        await asyncio.gather(*held, *accepted, return_exceptions=True)
    assert [task.result() for task in patient] == ["done"] * 100
    assert await run(_nothing) == "done", "and when the crowd is gone there is room again"


async def test_closing_finishes_what_was_begun(database: Database, gate: Gate) -> None:
    held = await gate.hold(database)
    writes = [asyncio.create_task(database.write(partial(insert, name=str(n)))) for n in range(300)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    gate.opened.set()
    async with asyncio.timeout(SECS):
        await closing
        await asyncio.gather(*held)
        assert len(await asyncio.gather(*writes)) == 300
    assert await _reopened(database, count) == 300


async def test_closing_twice_or_unused_is_harmless(database_url: str) -> None:
    database = open_database(database_url)
    async with asyncio.timeout(SECS):
        await database.close()
        await database.close()
        used = open_database(database_url)
        await used.write(partial(insert, name="a"))
        await used.close()
        await used.close()


@pytest.mark.parametrize("operation", ["write", "read"])
async def test_a_closed_database_refuses_instead_of_hanging(database: Database, operation: str) -> None:
    await database.write(partial(insert, name="a"))
    await database.close()
    task = asyncio.create_task(getattr(database, operation)(_nothing))
    await asyncio.wait([task], timeout=SECS)
    hangs = not task.done()
    task.cancel()
    assert not hangs
    assert task.exception() is not None


async def test_two_event_loops_may_share_a_database(database: Database) -> None:
    """Nothing of ours does, but the writer hands each result to the loop that waits for it."""

    def elsewhere() -> str:
        return asyncio.run(asyncio.wait_for(database.write(partial(insert, name="elsewhere")), SECS))

    other = asyncio.to_thread(elsewhere)
    results = await asyncio.gather(other, *(database.write(partial(insert, name=str(n))) for n in range(20)))
    assert results[0] == "elsewhere"
    assert await database.read(count) == 21


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "mysql://localhost/x", "postgres://localhost/x", "oracle://x"]
)
def test_unsupported_urls_are_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        open_database(url)


def _nothing(tx: Transaction) -> str:
    return "done"


async def _reopened(database: Database, fn: Callable[[Transaction], Any]) -> Any:
    """What a database that was opened anew says."""
    again = open_database(database.engine.url.render_as_string(hide_password=False))
    try:
        return await again.read(fn)
    finally:
        await again.close()
