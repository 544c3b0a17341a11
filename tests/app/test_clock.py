"""The one clock of the program, set while several processes share a database."""

import time
from datetime import timedelta
from functools import partial

from portico.app.clock import DRIFT, Clock, ClockKeeper
from portico.db.engine import Database
from portico.services import clock as clock_rows
from tests.waiting import until

HOUR = timedelta(hours=1)


async def test_a_step_from_before_a_process_began_is_not_taken_off_the_next_one(database: Database) -> None:
    """The wall clock was set by an hour, a process started, and only then did another one move the rows."""
    clock = Clock()
    keeper = ClockKeeper(database, clock)
    await keeper.start()

    async def is_right() -> bool:
        return abs(clock().timestamp() - time.time()) < DRIFT.total_seconds()

    async def is_moved() -> bool:
        return await database.read(clock_rows.stepped) != HOUR

    try:
        await database.write(partial(clock_rows.step, by=HOUR, known=timedelta(0)))
        clock.set(-4 * DRIFT)
        await until(is_right)  # it has looked
        clock.set(-2 * HOUR)
        await until(is_moved)
    finally:
        await keeper.stop()
    assert abs(await database.read(clock_rows.stepped) - 3 * HOUR) < 4 * DRIFT
