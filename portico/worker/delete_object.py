"""The job that deletes an object whose row is gone."""

from functools import partial

import structlog

from portico.db.engine import Database
from portico.services import files
from portico.services.rows import Job
from portico.storage.store import Store
from portico.worker.runner import JobKind

log = structlog.get_logger()


def kind(db: Database, store: Store, *, at_once: int = 2) -> JobKind:
    """The job kind, for the runner. A job's subject is the key of the object to delete."""

    async def run(job: Job) -> None:
        if await db.read(partial(files.is_kept, object_key=job.subject)):
            log.error("a row keeps an object that was to be deleted", key=job.subject)
            return
        await store.delete(job.subject)

    async def give_up(job: Job, reason: str) -> None:
        log.error("an object stays behind: delete it by hand", key=job.subject, why=reason)

    return JobKind(run, give_up, at_once)
