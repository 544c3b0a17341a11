"""Jobs: queued once, claimed by one, given back, and gone for who has lost them."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from portico.db.engine import Database, Transaction
from portico.services import jobs
from portico.services.jobs import COMPOSE, CONVERT_RECORDING, DELETE_OBJECT, JOBS
from portico.services.rows import Job
from tests.factories import NOW, rows

SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=30)


def claim(tx: Transaction, *kinds: str, after: timedelta = timedelta(0), limit: int = 10) -> list[Job]:
    return jobs.claim(tx, kinds or (COMPOSE,), now=NOW + after, lease=LEASE, limit=limit)


async def test_a_job_is_queued_once(database: Database) -> None:
    def check(tx: Transaction) -> None:
        jobs.enqueue(tx, COMPOSE, "a", now=NOW)
        jobs.enqueue(tx, COMPOSE, "a", now=NOW + SECOND)
        jobs.enqueue(tx, CONVERT_RECORDING, "a", now=NOW)
        found = sorted((row.kind, row.subject, row.due_at, row.attempts) for row in rows(tx, JOBS))
        assert found == [(COMPOSE, "a", NOW, 0), (CONVERT_RECORDING, "a", NOW, 0)]

    await database.write(check)


async def test_a_worker_that_waits_for_jobs_is_woken(database: Database) -> None:
    woken = asyncio.Event()
    database.commits.listen("jobs", woken)
    await database.write(lambda tx: jobs.enqueue(tx, COMPOSE, "a", now=NOW))
    await asyncio.wait_for(woken.wait(), 5)


async def test_what_is_due_is_claimed_in_order(database: Database) -> None:
    def check(tx: Transaction) -> None:
        jobs.enqueue(tx, COMPOSE, "late", now=NOW, due_at=NOW + SECOND)
        jobs.enqueue(tx, COMPOSE, "second", now=NOW)
        jobs.enqueue(tx, DELETE_OBJECT, "first", now=NOW - SECOND)
        jobs.enqueue(tx, CONVERT_RECORDING, "another kind", now=NOW)
        claimed = claim(tx, COMPOSE, DELETE_OBJECT)
        assert [(row.subject, row.attempts, row.leased_until) for row in claimed] == [
            ("first", 1, NOW + LEASE),
            ("second", 1, NOW + LEASE),
        ]
        assert claim(tx, COMPOSE, DELETE_OBJECT) == []
        assert [row.subject for row in claim(tx, COMPOSE, after=SECOND)] == ["late"]

    await database.write(check)


async def test_accounts_take_turns_however_many_jobs_one_has(database: Database) -> None:
    def check(tx: Transaction) -> None:
        for number in range(200):
            jobs.enqueue(tx, COMPOSE, f"a{number:03}", now=NOW, lane="a")
        jobs.enqueue(tx, COMPOSE, "b0", now=NOW + SECOND, lane="b")
        jobs.enqueue(tx, COMPOSE, "b1", now=NOW + SECOND, lane="b")
        jobs.enqueue(tx, COMPOSE, "c0", now=NOW + SECOND, lane="c")

        def next_one(limit: int = 1) -> list[str]:
            claimed = jobs.claim_in_turn(tx, COMPOSE, now=NOW + SECOND, lease=LEASE, limit=limit)
            assert all((job.attempts, job.leased_until) == (1, NOW + SECOND + LEASE) for job in claimed)
            return sorted(job.subject[0] for job in claimed)

        assert [next_one() for _ in range(5)] == [["a"], ["b"], ["c"], ["a"], ["b"]]
        jobs.enqueue(tx, COMPOSE, "d0", now=NOW + SECOND, lane="d")
        assert next_one() == ["d"]  # it was never served, and is not behind 198 others
        assert next_one(3) == ["a", "a", "a"]  # the others have no more
        jobs.enqueue(tx, COMPOSE, "c1", now=NOW + SECOND, lane="c")
        assert next_one(2) == ["a", "c"]
        assert next_one(500) == ["a"] * 194 and next_one() == []

    await database.write(check)


async def test_no_more_are_claimed_than_asked_for(database: Database) -> None:
    def check(tx: Transaction) -> None:
        for number in range(3):
            jobs.enqueue(tx, COMPOSE, str(number), now=NOW + number * SECOND)
        assert [row.subject for row in claim(tx, after=LEASE, limit=2)] == ["0", "1"]

    await database.write(check)


async def test_who_lost_the_lease_cannot_renew_it(database: Database) -> None:
    def check(tx: Transaction) -> None:
        jobs.enqueue(tx, COMPOSE, "a", now=NOW)
        (mine,) = claim(tx)
        assert jobs.renew(tx, mine.id, mine.attempts, now=NOW + SECOND, lease=LEASE)
        assert claim(tx, after=LEASE) == []
        (theirs,) = claim(tx, after=LEASE + SECOND)
        assert theirs.attempts == 2
        assert not jobs.renew(tx, mine.id, mine.attempts, now=NOW + LEASE + SECOND, lease=LEASE)
        assert jobs.renew(tx, theirs.id, theirs.attempts, now=NOW + LEASE + SECOND, lease=LEASE)

    await database.write(check)


async def test_a_lease_that_is_over_and_not_taken_over_can_be_renewed(database: Database) -> None:
    def check(tx: Transaction) -> None:
        jobs.enqueue(tx, COMPOSE, "a", now=NOW)
        (mine,) = claim(tx)
        assert jobs.renew(tx, mine.id, mine.attempts, now=NOW + 2 * LEASE, lease=LEASE)
        assert claim(tx, after=2 * LEASE) == []

    await database.write(check)


@pytest.mark.parametrize("end", [jobs.done, lambda tx, _: jobs.cancel(tx, COMPOSE, "a")])
async def test_what_is_done_or_cancelled_is_gone(database: Database, end: Any) -> None:
    def check(tx: Transaction) -> None:
        jobs.enqueue(tx, COMPOSE, "a", now=NOW)
        jobs.enqueue(tx, COMPOSE, "b", now=NOW)
        job = next(row for row in claim(tx) if row.subject == "a")
        end(tx, job.id)
        assert not jobs.renew(tx, job.id, job.attempts, now=NOW, lease=LEASE)
        assert [row.subject for row in rows(tx, JOBS)] == ["b"]

    await database.write(check)


async def test_failures_are_counted_and_waits_are_not(database: Database) -> None:
    def check(tx: Transaction) -> None:
        jobs.enqueue(tx, COMPOSE, "a", now=NOW)
        for _ in range(3):
            (job,) = claim(tx)
            assert job.attempts == 1
            jobs.again(tx, job.id, None, due_at=NOW)
            assert not jobs.renew(tx, job.id, job.attempts, now=NOW, lease=LEASE), "the lease is given back"
        (job,) = claim(tx)
        jobs.again(tx, job.id, "x" * 10_000, due_at=NOW + SECOND)
        assert claim(tx) == []
        (job,) = claim(tx, after=SECOND)
        assert (job.attempts, job.last_error) == (2, "x" * jobs.ERROR_LENGTH_MAX)
        jobs.again(tx, job.id, None, due_at=NOW)
        (job,) = claim(tx)
        assert (job.attempts, job.last_error) == (2, "x" * jobs.ERROR_LENGTH_MAX)

    await database.write(check)


async def test_a_job_is_woken_by_what_it_waits_for(database: Database) -> None:
    def check(tx: Transaction) -> None:
        queued = {"waits": "s1", "is being done": "s1", "of another": "s2", "for nothing": None}
        for subject, waits_for in queued.items():
            jobs.enqueue(tx, COMPOSE, subject, now=NOW, waits_for=waits_for)
        for job in claim(tx):
            if job.subject != "is being done":
                jobs.again(tx, job.id, None, due_at=NOW + LEASE)
        jobs.wake(tx, "s1")
        assert [row.subject for row in claim(tx)] == ["waits"]
        jobs.stop_waiting(tx, COMPOSE, "of another")
        jobs.wake(tx, "s2")
        assert claim(tx) == [], "it waits no more, and has its pause"

    await database.write(check)


async def test_a_job_that_is_running_is_due_again_when_it_was_woken_meanwhile(database: Database) -> None:
    def check(tx: Transaction) -> None:
        jobs.enqueue(tx, COMPOSE, "a", now=NOW, waits_for="s1")
        (running,) = claim(tx)
        jobs.wake(tx, "s1")
        assert claim(tx) == [], "it is running"
        jobs.again(tx, running.id, None, due_at=NOW + LEASE)
        (job,) = claim(tx)
        assert job.attempts == 1
        jobs.again(tx, job.id, None, due_at=NOW + LEASE)
        assert claim(tx) == [], "it is woken once, not for ever"
        (job,) = claim(tx, after=LEASE)
        jobs.wake(tx, "s1")
        jobs.again(tx, job.id, "it failed", due_at=NOW + 3 * LEASE)
        assert claim(tx, after=2 * LEASE) == [], "what failed has its pause all the same"
        assert len(claim(tx, after=3 * LEASE)) == 1

    await database.write(check)


async def test_the_only_process_takes_everything_over(database: Database) -> None:
    def check(tx: Transaction) -> None:
        jobs.enqueue(tx, COMPOSE, "a", now=NOW)
        (lost,) = claim(tx)
        jobs.take_over(tx, "0a1b2c3d")
        (job,) = claim(tx)
        assert (job.id, job.attempts) == (lost.id, 2)

    await database.write(check)


async def test_workers_at_the_same_time_get_different_jobs(database: Database) -> None:
    def fill(tx: Transaction) -> None:
        for number in range(40):
            jobs.enqueue(tx, COMPOSE, str(number), now=NOW)

    await database.write(fill)
    claimed = [
        job.id for part in await asyncio.gather(*[database.write(partial(claim)) for _ in range(8)]) for job in part
    ]
    assert len(claimed) == len(set(claimed))
    while more := await database.write(claim):
        claimed += [job.id for job in more]
    assert len(claimed) == len(set(claimed)) == 40


async def test_who_is_alone_takes_over_what_was_recorded_elsewhere(database: Database) -> None:
    def check(tx: Transaction) -> None:
        for mjr_name in ("99999999_first", "0a1b2c3d_second"):
            jobs.enqueue(tx, jobs.convert_recording_at(mjr_name), mjr_name, now=NOW)
        jobs.enqueue(tx, COMPOSE, "a", now=NOW)
        jobs.take_over(tx, "0a1b2c3d")
        kinds = sorted((each.kind, each.subject) for each in rows(tx, JOBS))
        here = "convert_recording@0a1b2c3d"
        assert kinds == [(COMPOSE, "a"), (here, "0a1b2c3d_second"), (here, "99999999_first")]

    await database.write(check)
