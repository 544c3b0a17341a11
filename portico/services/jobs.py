"""Jobs: work that outlasts a request, as rows that are made with the facts and worked off later by whoever is free."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, or_, select

from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent, insert_those_absent
from portico.db.wakeup import announce

JOBS = schema.jobs
FINISH_RECORDING = "finish_recording"
"""Its subject is a recording's id: make a file of what was dumped."""
COMPOSE = "compose"
"""Its subject is a composition's id: make its film."""
DELETE_OBJECT = "delete_object"
"""Its subject is a key in the store: nobody wants that object any more."""
ERROR_LENGTH_MAX = 2000
PLACE_LENGTH = 8


def finish_recording_at(dump: str) -> str:
    """The kind of the job for a dump. Of several servers only the one that has the files can do it: PLACE_NAME."""
    place, found, _ = dump.partition("_")
    return f"{FINISH_RECORDING}@{place[:PLACE_LENGTH]}" if found else FINISH_RECORDING


def enqueue(tx: Transaction, kind: str, subject: str, *, now: datetime, due_at: datetime | None = None) -> None:
    """Have a job done, now or at `due_at`; one that is queued already for the same subject stays as it is."""
    insert_if_absent(
        tx, JOBS, id=str(uuid4()), kind=kind, subject=subject, due_at=due_at or now, attempts=0, created_at=now
    )
    announce(tx, "jobs")


def enqueue_all(tx: Transaction, kind: str, subjects: Iterable[str], *, now: datetime) -> None:
    """`enqueue` for each of many subjects."""
    queued = {"kind": kind, "due_at": now, "attempts": 0, "created_at": now}
    insert_those_absent(tx, JOBS, [{"id": str(uuid4()), "subject": subject, **queued} for subject in subjects])
    announce(tx, "jobs")


def claim(tx: Transaction, kinds: Sequence[str], *, now: datetime, lease: timedelta, limit: int) -> list[Row[Any]]:
    """Lease up to `limit` due jobs of these kinds, oldest due first; `attempts` counts this claim already.

    A job whose lease is over is due again: its holder died, or lost the time.
    """
    free = or_(JOBS.c.leased_until.is_(None), JOBS.c.leased_until <= now)
    due = select(JOBS.c.id).where(JOBS.c.kind.in_(kinds), JOBS.c.due_at <= now, free)
    # By nothing else: the index has this order, and a hundred thousand may be due at the same instant.
    due = due.order_by(JOBS.c.due_at).limit(limit).with_for_update(skip_locked=True)
    chosen = JOBS.c.id.in_([row.id for row in tx.execute(due)])
    tx.execute(JOBS.update().where(chosen).values(leased_until=now + lease, attempts=JOBS.c.attempts + 1))
    return list(tx.execute(select(JOBS).where(chosen).order_by(JOBS.c.due_at, JOBS.c.id)))


def renew(tx: Transaction, job_id: str, attempt: int, *, now: datetime, lease: timedelta) -> bool:
    """Keep the lease that the claim numbered `attempt` gave. False: stop at once, the job is gone or another's."""
    ours = (JOBS.c.id == job_id) & (JOBS.c.attempts == attempt) & JOBS.c.leased_until.is_not(None)
    return tx.execute(JOBS.update().where(ours).values(leased_until=now + lease)).rowcount == 1


def done(tx: Transaction, job_id: str) -> None:
    """The job is no more. Only for who holds its lease."""
    tx.execute(JOBS.delete().where(JOBS.c.id == job_id))


def again(tx: Transaction, job_id: str, error: str | None, *, due_at: datetime) -> None:
    """Give the lease back, to be claimed again from `due_at` on. Only for who holds the lease.

    Without an error the job only has to wait for something: the claim does not count as an attempt.
    """
    job = JOBS.c.id == job_id
    if error is None:
        told: dict[str, Any] = {"attempts": JOBS.c.attempts - 1}
    else:
        told = {"last_error": error[:ERROR_LENGTH_MAX]}
    tx.execute(JOBS.update().where(job).values(leased_until=None, due_at=due_at, **told))
    announce(tx, "jobs")


def hurry(tx: Transaction, kind: str, subjects: Iterable[str]) -> None:
    """What these jobs may have waited for has happened; those that nobody is at become due."""
    waiting = JOBS.c.subject.in_(list(subjects)) & (JOBS.c.kind == kind) & JOBS.c.leased_until.is_(None)
    tx.execute(JOBS.update().where(waiting).values(due_at=JOBS.c.created_at))
    announce(tx, "jobs")


def cancel(tx: Transaction, kind: str, subject: str) -> None:
    """Nobody needs it any more. Who is at it hears so from `renew`."""
    tx.execute(JOBS.delete().where(JOBS.c.kind == kind, JOBS.c.subject == subject))


def take_over(tx: Transaction, place: str) -> None:
    """For a process that knows to be the only one: whatever was leased, its holder is gone, and all dumps are here."""
    tx.execute(JOBS.update().where(JOBS.c.leased_until.is_not(None)).values(leased_until=None))
    elsewhere = JOBS.c.kind.startswith(f"{FINISH_RECORDING}@", autoescape=True)
    tx.execute(JOBS.update().where(elsewhere).values(kind=finish_recording_at(f"{place}_")))
