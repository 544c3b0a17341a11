"""Compositions of sessions: from the request for one to its file and its event."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from portico.core import composition_request, object_keys
from portico.core.composition_request import CompositionRequest
from portico.core.errors import Fault, Invalid, NotFound
from portico.core.events import CompositionCompleted, CompositionFailed, megabytes, whole_seconds
from portico.core.filters import Condition
from portico.core.model import Composition
from portico.core.paging import Page
from portico.db import schema
from portico.db.engine import Transaction
from portico.runtime.ids import new_id
from portico.services import events, jobs
from portico.services.composition_sources import Work, goes_on, participants_of, region_of, sources_of, videos_of
from portico.services.listing import Listed, matching, page_of
from portico.services.locks import hold_session, lock_room
from portico.services.rows import COMPOSITION_ROWS, CompositionRow, SessionRow
from portico.services.webhooks import Destination

COMPOSITIONS = schema.room_compositions
ON_ITS_WAY = timedelta(minutes=10)
"""How long a worker may still be storing the file of a composition that was deleted meanwhile."""
ENQUEUED, PROCESSING, COMPLETED, FAILED = "enqueued", "processing", "completed", "failed"
_MEMBERS = [COMPOSITIONS.c[name] for name in Composition.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class CompositionFile:
    """The file of a composition, and the part of the session that it shows."""

    size_bytes: int
    sha256: str
    object_key: str
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Shared:
    """The outcome of an identical request: the composition's file, or why it could not be made."""

    file: CompositionFile | None
    failure: str


def create(
    tx: Transaction, account_id: str, body: object, *, regions_max: int, sound_by_default: bool, now: datetime
) -> Composition:
    """Insert a requested composition and its job. Raises Invalid with every fault of the request's body."""
    session = _session(tx, account_id, composition_request.session_id(body))
    requested = composition_request.parse(
        body,
        videos=None if session is None else videos_of(tx, session.id),
        regions_max=regions_max,
        sound_by_default=sound_by_default,
    )
    assert session is not None, "without a session the request was refused"
    _expect_sources(tx, session.id, requested)
    composition_id = new_id()
    tx.execute(
        COMPOSITIONS.insert().values(
            id=composition_id,
            account_id=account_id,
            room_id=session.room_id,
            status=ENQUEUED,
            progress=0.0,
            created_at=now,
            updated_at=now,
            **asdict(requested),
        )
    )
    jobs.enqueue(tx, jobs.COMPOSE, composition_id, now=now, lane=account_id, waits_for=session.id)
    return retrieve(tx, account_id, composition_id)


def list_compositions(
    tx: Transaction, account_id: str, page: Page, conditions: Sequence[Condition] = ()
) -> Listed[Composition]:
    """The account's compositions, newest first."""
    where = [COMPOSITIONS.c.account_id == account_id, *matching(COMPOSITIONS, conditions)]
    return page_of(tx, COMPOSITIONS, where, page, select(*_MEMBERS), COMPOSITIONS.c.created_at, Composition)


def retrieve(tx: Transaction, account_id: str, composition_id: str) -> Composition:
    """The account's composition; NotFound when there is none (any more)."""
    ours = (COMPOSITIONS.c.id == composition_id) & (COMPOSITIONS.c.account_id == account_id)
    row = tx.execute(select(*_MEMBERS).where(ours)).first()
    if row is None:
        raise NotFound
    return Composition(**row._mapping)


def delete(tx: Transaction, account_id: str, composition_id: str, *, now: datetime) -> None:
    """Delete a composition of any status: its job is cancelled, and a job deletes its file. Raises NotFound."""
    composition = _locked(tx, composition_id)
    if composition is None or composition.account_id != account_id:
        raise NotFound
    tx.execute(COMPOSITIONS.delete().where(COMPOSITIONS.c.id == composition_id))
    jobs.cancel(tx, jobs.COMPOSE, composition_id)
    if composition.object_key is not None:
        jobs.enqueue(tx, jobs.DELETE_OBJECT, composition.object_key, now=now)
    elif composition.status == PROCESSING:
        # The job finds that the composition is gone and deletes its parts: they outlast an attempt,
        # and no worker may be running it just now.
        jobs.enqueue(tx, jobs.COMPOSE, composition_id, now=now, lane=account_id)
        # A worker may be putting its file into the store right now, and this transaction cannot know when it ends.
        key = object_keys.composition_key(composition_id)
        jobs.enqueue(tx, jobs.DELETE_OBJECT, key, now=now, due_at=now + ON_ITS_WAY)
        jobs.wake(tx, composition.session_id)  # an identical one may have waited for it


def delete_of_session(tx: Transaction, session_id: str, *, now: datetime) -> int:
    """Delete every composition of a session; how many. The room is locked by the caller."""
    found = select(COMPOSITIONS.c.id, COMPOSITIONS.c.account_id).where(COMPOSITIONS.c.session_id == session_id)
    compositions = tx.execute(found.order_by(COMPOSITIONS.c.id)).all()
    for composition in compositions:
        delete(tx, composition.account_id, composition.id, now=now)
    return len(compositions)


def delete_old(tx: Transaction, *, before: datetime, now: datetime, limit: int) -> int:
    """Delete up to `limit` compositions that were completed before that; how many. Call again until it returns 0."""
    rows = COMPOSITIONS.c
    # In the order of their rooms, in which they are locked everywhere.
    old = select(rows.account_id, rows.id).where(rows.completed_at <= before).order_by(rows.room_id, rows.id)
    found = tx.execute(old.limit(limit)).all()
    for each in found:
        try:
            delete(tx, each.account_id, each.id, now=now)
        except NotFound:
            continue  # another transaction has just deleted it
    return len(found)


def unfinished(tx: Transaction) -> set[str]:
    """The ids of all compositions that are neither completed nor failed."""
    rows = COMPOSITIONS.c
    return set(tx.execute(select(rows.id).where(rows.status.in_((ENQUEUED, PROCESSING)))).scalars())


def is_completed(tx: Transaction, composition_id: str) -> bool:
    """Whether the composition is completed; False also when there is none (any more)."""
    completed = (COMPOSITIONS.c.id == composition_id) & (COMPOSITIONS.c.status == COMPLETED)
    return tx.execute(select(COMPOSITIONS.c.id).where(completed)).first() is not None


def find(tx: Transaction, composition_id: str) -> Composition | None:
    """The composition of any account; None when there is none (any more)."""
    row = tx.execute(select(*_MEMBERS).where(COMPOSITIONS.c.id == composition_id)).first()
    return None if row is None else Composition(**row._mapping)


def newest(tx: Transaction, *, session_id: str | None, limit: int) -> list[Composition]:
    """The newest compositions of all accounts, or those of one session."""
    rows = COMPOSITIONS.c
    where = [] if session_id is None else [rows.session_id == session_id]
    found = tx.execute(select(*_MEMBERS).where(*where).order_by(rows.created_at.desc(), rows.id.desc()).limit(limit))
    return [Composition(**row._mapping) for row in found]


def begin(tx: Transaction, composition_id: str, *, now: datetime) -> Work | Shared | None:
    """Set the composition to processing and return its inputs; None while its session or a recording of it goes on.

    Of identical compositions only one is made: returns None while an identical one is being made, and Shared when that
    is over. Raises NotFound when the composition was deleted, is completed or has failed. A composition that another
    worker began and left is begun again.
    """
    composition = _locked(tx, composition_id)
    if composition is None or composition.status not in (ENQUEUED, PROCESSING):
        raise NotFound
    if goes_on(tx, composition.session_id):
        return None
    regions = tuple(region_of(name, members) for name, members in composition.video_layout.items())
    sound = composition.audio_sources is not None
    width, height = composition_request.size(composition.resolution)
    sources = sources_of(tx, composition.session_id, regions, sound=sound)
    participants = participants_of(tx, composition.session_id) if composition.show_placeholders else ()
    work = Work(composition_id, width, height, regions, sound, composition.show_placeholders, sources, participants)
    digest = _digest(composition, work)
    identical = _identical(tx, composition, digest)
    if identical is not None and identical.status == PROCESSING:
        return None
    begun = {"status": PROCESSING, "progress": 0.0, "digest": digest, "updated_at": now}
    tx.execute(COMPOSITIONS.update().where(COMPOSITIONS.c.id == composition_id).values(**begun))
    jobs.stop_waiting(tx, jobs.COMPOSE, composition_id)
    return work if identical is None else _shared(identical)


def set_progress(tx: Transaction, composition_id: str, progress: float, *, now: datetime) -> bool:
    """Write how much of the composition is made, from 0 to 1. False if it was deleted or has ended."""
    making = (COMPOSITIONS.c.id == composition_id) & (COMPOSITIONS.c.status == PROCESSING)
    reached = {"progress": min(max(progress, 0.0), 1.0), "updated_at": now}
    return tx.execute(COMPOSITIONS.update().where(making).values(**reached)).rowcount == 1


def complete(
    tx: Transaction, composition_id: str, file: CompositionFile, link: Callable[[str, str], str], *, now: datetime
) -> bool:
    """Complete a composition whose file is in the store, with its event. False if it has ended before or was deleted.

    `link` makes a URL of an object key and a file name.
    """
    composition = _locked(tx, composition_id)
    if composition is None or composition.status != PROCESSING:
        return False
    duration = whole_seconds(file.started_at, file.ended_at)
    tx.execute(
        COMPOSITIONS.update()
        .where(COMPOSITIONS.c.id == composition_id)
        .values(
            status=COMPLETED, progress=1.0, duration_secs=duration, completed_at=now, updated_at=now, **asdict(file)
        )
    )
    saved = retrieve(tx, composition.account_id, composition_id)
    event = CompositionCompleted(
        composition_id=composition_id,
        download_url=link(file.object_key, saved.file_name),
        duration_secs=duration,
        format=saved.format,
        resolution=saved.resolution,
        room_id=saved.room_id,
        session_id=saved.session_id,
        size_mb=megabytes(file.size_bytes),
    )
    events.record(tx, saved.account_id, event, now, _destination(saved))
    jobs.wake(tx, saved.session_id)
    return True


def fail(tx: Transaction, composition_id: str, failure: str, *, now: datetime) -> bool:
    """Mark a composition as failed for this reason, with its event. False if it has ended before or was deleted."""
    composition = _locked(tx, composition_id)
    if composition is None or composition.status not in (ENQUEUED, PROCESSING):
        return False
    failed = {"status": FAILED, "failure": failure, "updated_at": now}
    tx.execute(COMPOSITIONS.update().where(COMPOSITIONS.c.id == composition_id).values(**failed))
    saved = retrieve(tx, composition.account_id, composition_id)
    event = CompositionFailed(composition_id, failure, saved.room_id, saved.session_id)
    events.record(tx, saved.account_id, event, now, _destination(saved))
    jobs.wake(tx, saved.session_id)
    return True


def _destination(composition: Composition) -> Destination:
    return Destination(
        composition.webhook_event_url,
        composition.webhook_event_failover_url,
        composition.webhook_timeout_secs,
    )


def _expect_sources(tx: Transaction, session_id: str, request: CompositionRequest) -> None:
    """Raise Invalid when the session has, and will have, no recording that the composition could contain."""
    if goes_on(tx, session_id):
        return
    regions = [region_of(name, members) for name, members in request.video_layout.items()]
    if not sources_of(tx, session_id, regions, sound=request.audio_sources is not None):
        detail = "The session is over, and nothing of it was recorded that the composition could contain."
        raise Invalid(Fault("10027", "Unprocessable Entity", detail, pointer="/session_id"))


def _locked(tx: Transaction, composition_id: str) -> CompositionRow | None:
    """Lock the room, then the composition, and return the composition; None when there is none (any more)."""
    this = COMPOSITIONS.c.id == composition_id
    found = tx.execute(select(COMPOSITIONS.c.room_id).where(this)).first()
    if found is None:
        return None
    lock_room(tx, found.room_id)
    return COMPOSITION_ROWS.first(tx, COMPOSITION_ROWS.select(this).with_for_update())


def _digest(composition: CompositionRow, work: Work) -> str:
    """A digest that is equal for two compositions of the same recordings with the same layout and settings."""
    made_of = (composition.account_id, composition.session_id, composition.format, composition.resolution)
    # The order of the regions counts.
    how = (composition.video_layout, work.sound, work.show_placeholders, [asdict(source) for source in work.sources])
    return hashlib.sha256(json.dumps([made_of, how], default=str).encode()).hexdigest()


def _identical(tx: Transaction, composition: CompositionRow, digest: str) -> CompositionRow | None:
    """Another composition with this digest that is completed, processing, or has failed since this one's request."""
    rows = COMPOSITIONS.c
    failed = (rows.status == FAILED) & (rows.updated_at >= composition.created_at)
    which = or_(rows.status == PROCESSING, (rows.status == COMPLETED) & rows.object_key.is_not(None), failed)
    same = (rows.session_id == composition.session_id) & (rows.digest == digest) & (rows.id != composition.id)
    # Completed before failed before processing, as it happens in the alphabet.
    return COMPOSITION_ROWS.first(tx, COMPOSITION_ROWS.select(same, which).order_by(rows.status, rows.id).limit(1))


def _shared(identical: CompositionRow) -> Shared:
    if identical.status == FAILED:
        return Shared(None, identical.failure or "")
    members = ("size_bytes", "sha256", "object_key", "started_at", "ended_at")
    return Shared(CompositionFile(*(getattr(identical, name) for name in members)), "")


def _session(tx: Transaction, account_id: str, session_id: str | None) -> SessionRow | None:
    session = None if session_id is None else hold_session(tx, session_id)
    return session if session is not None and session.account_id == account_id else None
