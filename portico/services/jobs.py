"""Jobs: work that outlasts a request, as rows that are written with a fact and run later by any worker."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select

from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import insert_if_absent, insert_those_absent
from portico.db.wakeup import announce
from portico.runtime.ids import new_id
from portico.services.rows import JOB_ROWS, Job

JOBS = schema.jobs
LANES = schema.job_lanes
NODES = schema.media_nodes
CONVERT_RECORDING = "convert_recording"
"""Convert the mjr file of a recording. The subject is the recording's id."""
COMPOSE = "compose"
"""Make a composition. The subject is the composition's id."""
DELETE_OBJECT = "delete_object"
"""Delete an object that no row names any more. The subject is its key in the store."""
ERROR_LENGTH_MAX = 2000
NODE_ID_LENGTH = 8


def convert_recording_at(mjr_name: str) -> str:
    """The kind of the job that converts `mjr_name`, NODE-ID_NAME: only the node that has the files claims it."""
    node_id, found, _ = mjr_name.partition("_")
    return f"{CONVERT_RECORDING}@{node_id[:NODE_ID_LENGTH]}" if found else CONVERT_RECORDING


def enqueue(
    tx: Transaction,
    kind: str,
    subject: str,
    *,
    now: datetime,
    due_at: datetime | None = None,
    lane: str | None = None,
    waits_for: str | None = None,
) -> None:
    """Queue a job that is due now or at `due_at`. A job that is queued already for the same subject stays as it is.

    Of a kind whose jobs have lanes, `claim_in_turn` takes a job of each lane in turn. `waits_for` is the id with which
    `wake` makes the job due.
    """
    job = {"kind": kind, "subject": subject, "lane": lane, "due_at": due_at or now, "attempts": 0, "created_at": now}
    insert_if_absent(tx, JOBS, id=new_id(), woken=False, waits_for=waits_for, **job)
    announce(tx, "jobs")


def enqueue_all(tx: Transaction, kind: str, subjects: Iterable[str], *, now: datetime) -> None:
    """Queue a job for each of the subjects, as `enqueue` does."""
    queued = {"kind": kind, "due_at": now, "attempts": 0, "woken": False, "created_at": now}
    insert_those_absent(tx, JOBS, [{"id": new_id(), "subject": subject, **queued} for subject in subjects])
    announce(tx, "jobs")


def next_due_at(tx: Transaction, kinds: Sequence[str], *, now: datetime) -> datetime | None:
    """The due time, past or future, of the first job of these kinds that is not leased; None when there is none."""
    first = select(func.min(JOBS.c.due_at)).where(JOBS.c.kind.in_(kinds), _is_free(now))
    due: datetime | None = tx.execute(first).scalar_one()
    return due


def claim(tx: Transaction, kinds: Sequence[str], *, now: datetime, lease: timedelta, limit: int) -> list[Job]:
    """Lease up to `limit` due jobs of these kinds, oldest due first; `attempts` counts this claim already.

    A job whose lease is over is due again: its worker has died or is too slow.
    """
    # By nothing else: the index has this order, and a hundred thousand may be due at the same instant.
    due = select(JOBS.c.id).where(_is_due(kinds, now)).order_by(JOBS.c.due_at)
    due = due.limit(limit).with_for_update(skip_locked=True)
    return _take(tx, [row.id for row in tx.execute(due)], now=now, lease=lease)


def claim_in_turn(tx: Transaction, kind: str, *, now: datetime, lease: timedelta, limit: int) -> list[Job]:
    """As `claim`, but lane by lane in turn: a lane waits for one job of each other lane, however many they have."""
    chosen: list[str] = []
    while len(chosen) < limit:
        due = (
            select(JOBS.c.id, JOBS.c.lane)
            .outerjoin(LANES, LANES.c.lane == JOBS.c.lane)
            .where(_is_due([kind], now), JOBS.c.id.not_in(chosen))
            .order_by(func.coalesce(LANES.c.turn, 0), JOBS.c.due_at)
            .limit(1)
            .with_for_update(of=JOBS, skip_locked=True)
        )
        found = tx.execute(due).first()
        if found is None:
            break
        chosen.append(found.id)
        if found.lane is not None:
            _end_turn(tx, found.lane)
    return _take(tx, chosen, now=now, lease=lease)


def _end_turn(tx: Transaction, lane: str) -> None:
    """Move the lane behind all others."""
    turn = tx.execute(select(func.coalesce(func.max(LANES.c.turn), 0))).scalar_one() + 1
    insert_if_absent(tx, LANES, lane=lane, turn=turn)
    tx.execute(LANES.update().where(LANES.c.lane == lane).values(turn=turn))


def _is_due(kinds: Sequence[str], now: datetime) -> ColumnElement[bool]:
    return and_(JOBS.c.kind.in_(kinds), JOBS.c.due_at <= now, _is_free(now))


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(JOBS.c.leased_until.is_(None), JOBS.c.leased_until <= now)


def _take(tx: Transaction, ids: Sequence[str], *, now: datetime, lease: timedelta) -> list[Job]:
    chosen = JOBS.c.id.in_(ids)
    taken = {"leased_until": now + lease, "attempts": JOBS.c.attempts + 1, "woken": False}
    tx.execute(JOBS.update().where(chosen).values(taken))
    return JOB_ROWS.all(tx, JOB_ROWS.select(chosen).order_by(JOBS.c.due_at, JOBS.c.id))


def renew(tx: Transaction, job_id: str, attempt: int, *, now: datetime, lease: timedelta) -> bool:
    """Renew the lease of the claim numbered `attempt`. False if the job was deleted or claimed by another worker."""
    ours = (JOBS.c.id == job_id) & (JOBS.c.attempts == attempt) & JOBS.c.leased_until.is_not(None)
    return tx.execute(JOBS.update().where(ours).values(leased_until=now + lease)).rowcount == 1


def done(tx: Transaction, job_id: str) -> None:
    """Delete a job that is done. Only for the worker that holds its lease."""
    tx.execute(JOBS.delete().where(JOBS.c.id == job_id))


def again(tx: Transaction, job_id: str, error: str | None, *, due_at: datetime) -> None:
    """End the lease: the job is due again at `due_at`. Only for the worker that holds the lease.

    Without an error the job only has to wait: the claim does not count as an attempt, and a job that was woken since
    the claim is due at once.
    """
    job = JOBS.c.id == job_id
    returned: dict[str, Any]
    if error is None:
        due = case((JOBS.c.woken, JOBS.c.created_at), else_=literal(due_at, JOBS.c.due_at.type))
        returned = {"attempts": JOBS.c.attempts - 1, "due_at": due}
    else:
        returned = {"last_error": error[:ERROR_LENGTH_MAX], "due_at": due_at}
    tx.execute(JOBS.update().where(job).values(leased_until=None, woken=False, **returned))
    announce(tx, "jobs")


def wake(tx: Transaction, waits_for: str) -> None:
    """Make the jobs due now that wait for this id. A job that is running becomes due when its worker gives it back."""
    waiting = JOBS.c.waits_for == waits_for
    free, leased = JOBS.c.leased_until.is_(None), JOBS.c.leased_until.is_not(None)
    tx.execute(JOBS.update().where(waiting, leased).values(woken=True))
    if tx.execute(JOBS.update().where(waiting, free).values(due_at=JOBS.c.created_at)).rowcount:
        announce(tx, "jobs")


def of_lost_nodes(tx: Transaction, before: datetime, limit: int) -> list[tuple[str, str]]:
    """(Kind, recording id) of the conversions of nodes that have been lost since `before`, or for longer."""
    kind = literal(f"{CONVERT_RECORDING}@") + NODES.c.id
    lost = and_(~NODES.c.is_up, NODES.c.lost_at <= before)
    wanted = select(JOBS.c.kind, JOBS.c.subject).join(NODES, JOBS.c.kind == kind).where(lost)
    return [(row.kind, row.subject) for row in tx.execute(wanted.order_by(JOBS.c.due_at).limit(limit))]


def stop_waiting(tx: Transaction, kind: str, subject: str) -> None:
    """Clear what the job waits for: it has happened, and the job needs no `wake` any more."""
    tx.execute(JOBS.update().where(JOBS.c.kind == kind, JOBS.c.subject == subject).values(waits_for=None))


def cancel(tx: Transaction, kind: str, subject: str) -> None:
    """Delete the job, whose result is not needed any more. A worker that runs it learns so from `renew`."""
    tx.execute(JOBS.delete().where(JOBS.c.kind == kind, JOBS.c.subject == subject))


def take_over(tx: Transaction, node_id: str) -> None:
    """End all leases and give every conversion to this node. Only for the single process of an installation."""
    tx.execute(JOBS.update().where(JOBS.c.leased_until.is_not(None)).values(leased_until=None))
    elsewhere = JOBS.c.kind.startswith(f"{CONVERT_RECORDING}@", autoescape=True)
    tx.execute(JOBS.update().where(elsewhere).values(kind=convert_recording_at(f"{node_id}_")))
