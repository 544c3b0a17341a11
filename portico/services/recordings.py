"""Recordings: one row for each track that a participant publishes, from its first packet to its file and its end."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select

from portico.core.errors import NotFound
from portico.core.events import RecordingCompleted, RecordingStarted, megabytes, whole_seconds
from portico.core.filters import Condition
from portico.core.model import Recording
from portico.core.paging import Page
from portico.db import schema
from portico.db.engine import Transaction
from portico.runtime.ids import new_id
from portico.services import events, jobs
from portico.services.listing import Listed, matching, page_of
from portico.services.locks import lock_room
from portico.services.rows import PARTICIPANT_ROWS, RECORDING_ROWS, RecordingRow, Shown

RECORDINGS = schema.room_recordings
PARTICIPANTS = schema.room_participants
AUDIO, VIDEO = "audio", "video"
PROCESSING, COMPLETED = "processing", "completed"
DELETED_AT_ONCE = 200
"""The most recordings deleted in one transaction, for which all other writes wait on SQLite."""
_MEMBERS = [RECORDINGS.c[name] for name in Recording.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class ConversionOutcome:
    """The outcome of a conversion. `object_key` is None without a file; `failure` says what is missing, and why."""

    codec: str | None
    size_bytes: int
    sha256: str | None
    object_key: str | None
    started_at: datetime
    ended_at: datetime
    failure: str | None


def find(tx: Transaction, recording_id: str) -> RecordingRow | None:
    """The recording of any account and status, also one without media; None when there is none (any more)."""
    return RECORDING_ROWS.first(tx, RECORDING_ROWS.select(RECORDINGS.c.id == recording_id))


def begin(tx: Transaction, participant_id: str, stream_key: str, mjr_name: str, *, now: datetime) -> bool:
    """Insert the recordings of both tracks of a stream, with their mjr files. False if the participant has left.

    REST shows a recording from its first packet on. A second call changes nothing.
    """
    row = tx.execute(select(PARTICIPANTS.c.room_id).where(PARTICIPANTS.c.id == participant_id)).first()
    if row is None:
        return False
    lock_room(tx, row.room_id)
    here = (PARTICIPANTS.c.id == participant_id) & PARTICIPANTS.c.left_at.is_(None)
    participant = PARTICIPANT_ROWS.first(tx, PARTICIPANT_ROWS.select(here))
    if participant is None:
        return False
    if tx.execute(select(RECORDINGS.c.id).where(RECORDINGS.c.mjr_name == mjr_name)).first() is not None:
        return True
    expected = {
        "account_id": participant.account_id,
        "room_id": participant.room_id,
        "session_id": participant.session_id,
        "participant_id": participant_id,
        "stream_key": stream_key,
        "mjr_name": mjr_name,
        "status": PROCESSING,
        "shown": [],
        "created_at": now,
        "updated_at": now,
    }
    tx.execute(RECORDINGS.insert(), [{"id": new_id(), "type": kind, **expected} for kind in (AUDIO, VIDEO)])
    return True


def first_media(tx: Transaction, mjr_name: str, type: str, shown: Shown, *, now: datetime) -> bool:
    """Start a recording at its track's first packet, with its event. False if it has started before or is over."""
    track = (RECORDINGS.c.mjr_name == mjr_name) & (RECORDINGS.c.type == type)
    recording = _locked(tx, track)
    if recording is None or recording.started_at is not None or recording.ended_at is not None:
        return False
    _start(tx, recording, started_at=now, now=now)
    tx.execute(RECORDINGS.update().where(track).values(shown=_plain(shown)))
    return True


def show(tx: Transaction, mjr_name: str, type: str, shown: Shown, *, now: datetime) -> None:
    """Replace the timeline of a track that was enabled or disabled. Nothing happens once the recording is over."""
    track = (RECORDINGS.c.mjr_name == mjr_name) & (RECORDINGS.c.type == type) & RECORDINGS.c.ended_at.is_(None)
    tx.execute(RECORDINGS.update().where(track).values(shown=_plain(shown), updated_at=now))


def end(tx: Transaction, mjr_name: str, *, now: datetime) -> None:
    """End the recordings of a stream that is no longer published, and queue the conversion of their mjr files."""
    stream = RECORDINGS.c.mjr_name == mjr_name
    if _locked(tx, stream) is not None:
        _end(tx, stream, now)


def end_of_participant(tx: Transaction, participant_id: str, now: datetime) -> None:
    """End all recordings of a participant who leaves. The caller has locked the room."""
    _end(tx, RECORDINGS.c.participant_id == participant_id, now)


def complete(
    tx: Transaction, recording_id: str, outcome: ConversionOutcome, link: Callable[[str, str], str], *, now: datetime
) -> bool:
    """Complete a recording, with or without a file, with its event. False if it is completed already or was deleted.

    `link` makes a URL of an object key and a file name. A recording whose first packet was never reported starts first.
    """
    recording = _locked(tx, RECORDINGS.c.id == recording_id)
    if recording is None or recording.status == COMPLETED:
        return False
    if recording.started_at is None:
        _start(tx, recording, started_at=outcome.started_at, now=now)
    _save(tx, recording, outcome, now)
    saved = Recording(**tx.execute(select(*_MEMBERS).where(RECORDINGS.c.id == recording_id)).one()._mapping)
    event = RecordingCompleted(
        session_id=saved.session_id,
        room_id=saved.room_id,
        participant_id=saved.participant_id,
        recording_id=recording_id,
        type=saved.type,
        size_mb=megabytes(outcome.size_bytes),
        download_url=None if saved.object_key is None else link(saved.object_key, saved.file_name),
        codec=outcome.codec,
        duration_secs=whole_seconds(outcome.started_at, outcome.ended_at),
    )
    events.record(tx, recording.account_id, event, now)
    jobs.wake(tx, saved.session_id)
    return True


def give_up_lost(tx: Transaction, kind: str, recording_id: str, *, now: datetime) -> bool:
    """Complete a recording without a file, as its media node is lost with it; False when there is nothing to complete.

    `kind` is that of its conversion, which is given up.
    """
    jobs.cancel(tx, kind, recording_id)
    recording = _locked(tx, RECORDINGS.c.id == recording_id)
    if recording is None or recording.status == COMPLETED or discard(tx, recording_id):
        return False
    assert recording.started_at is not None
    ended_at = recording.ended_at or now
    failure = "The media server that recorded it was lost."
    outcome = ConversionOutcome(None, 0, None, None, recording.started_at, ended_at, failure)
    return complete(tx, recording_id, outcome, lambda *_: "", now=now)


def discard(tx: Transaction, recording_id: str) -> bool:
    """Delete the recording of a track without media. False if its start is an event, so that it must be completed."""
    recording = _locked(tx, RECORDINGS.c.id == recording_id)
    if recording is not None and recording.started_at is not None:
        return False
    if recording is not None:
        tx.execute(RECORDINGS.delete().where(RECORDINGS.c.id == recording_id))
        jobs.wake(tx, recording.session_id)
    return True


def is_unfinished(tx: Transaction, recording_id: str) -> bool:
    """Whether the recording is processing; False also when there is none (any more)."""
    unfinished = (RECORDINGS.c.id == recording_id) & (RECORDINGS.c.status == PROCESSING)
    return tx.execute(select(RECORDINGS.c.id).where(unfinished)).first() is not None


def newest(tx: Transaction, *, session_id: str | None, limit: int) -> list[Recording]:
    """The newest recordings with media of all accounts, or those of one session."""
    where: list[ColumnElement[bool]] = [RECORDINGS.c.started_at.is_not(None)]
    if session_id is not None:
        where.append(RECORDINGS.c.session_id == session_id)
    ordered = select(*_MEMBERS).where(*where).order_by(RECORDINGS.c.created_at.desc(), RECORDINGS.c.id.desc())
    return [Recording(**row._mapping) for row in tx.execute(ordered.limit(limit))]


def unfinished_mjr_names(tx: Transaction) -> set[str]:
    """The mjr files that a recording still needs."""
    wanted = select(RECORDINGS.c.mjr_name).where(RECORDINGS.c.status == PROCESSING).distinct()
    return {row.mjr_name for row in tx.execute(wanted)}


def tracks_of(tx: Transaction, mjr_names: Sequence[str]) -> set[tuple[str, str]]:
    """The tracks in these mjr files that have a recording of any status, as (mjr file, type)."""
    found = select(RECORDINGS.c.mjr_name, RECORDINGS.c.type).where(RECORDINGS.c.mjr_name.in_(mjr_names))
    return {(row.mjr_name, row.type) for row in tx.execute(found)}


def list_recordings(
    tx: Transaction, account_id: str, page: Page, conditions: Sequence[Condition] = ()
) -> Listed[Recording]:
    """The account's recordings, newest first."""
    where = [*_visible(account_id), *matching(RECORDINGS, conditions)]
    return page_of(tx, RECORDINGS, where, page, select(*_MEMBERS), RECORDINGS.c.created_at, Recording)


def retrieve(tx: Transaction, account_id: str, recording_id: str) -> Recording:
    """The account's recording; NotFound when there is none (any more)."""
    row = tx.execute(select(*_MEMBERS).where(RECORDINGS.c.id == recording_id, *_visible(account_id))).first()
    if row is None:
        raise NotFound
    return Recording(**row._mapping)


def delete(tx: Transaction, account_id: str, recording_id: str, *, now: datetime) -> None:
    """Delete a recording of any status; a job deletes its file. Raises NotFound when there is none."""
    ours = [RECORDINGS.c.id == recording_id, *_visible(account_id)]
    recording = RECORDING_ROWS.first(tx, RECORDING_ROWS.select(*ours).with_for_update())
    if recording is None:
        raise NotFound
    _delete(tx, [recording], now)
    jobs.cancel(tx, jobs.convert_recording_at(recording.mjr_name), recording_id)
    jobs.wake(tx, recording.session_id)


def delete_of_participant(tx: Transaction, participant_id: str, *, now: datetime) -> int:
    """Delete every recording of a participant, whatever its status; how many. The room is locked by the caller."""
    theirs = RECORDING_ROWS.select(RECORDINGS.c.participant_id == participant_id).order_by(RECORDINGS.c.id)
    found = RECORDING_ROWS.all(tx, theirs.with_for_update())
    _delete(tx, found, now)
    for recording in found:
        jobs.cancel(tx, jobs.convert_recording_at(recording.mjr_name), recording.id)
    for session_id in {recording.session_id for recording in found}:
        jobs.wake(tx, session_id)
    return len(found)


def delete_page(
    tx: Transaction, account_id: str, page: Page, conditions: Sequence[Condition] = (), *, now: datetime
) -> int:
    """Delete the completed recordings on one page of the list; how many."""
    listed = list_recordings(tx, account_id, page, conditions)
    return _delete_completed(tx, [recording.id for recording in listed.items], now)


def delete_some(
    tx: Transaction,
    account_id: str,
    conditions: Sequence[Condition],
    *,
    now: datetime,
    limit: int = DELETED_AT_ONCE,
) -> tuple[int, bool]:
    """Delete up to `limit` completed recordings that match: how many, and whether to call again.

    What is made after `now` stays out, so that a busy account comes to an end.
    """
    where = [*_visible(account_id), *matching(RECORDINGS, conditions), RECORDINGS.c.created_at <= now]
    chosen = select(RECORDINGS.c.id).where(*where, RECORDINGS.c.status == COMPLETED).limit(limit)
    ids = [row.id for row in tx.execute(chosen)]
    return _delete_completed(tx, ids, now), len(ids) == limit


def _visible(account_id: str) -> list[ColumnElement[bool]]:
    return [RECORDINGS.c.account_id == account_id, RECORDINGS.c.started_at.is_not(None)]


def _locked(tx: Transaction, which: ColumnElement[bool]) -> RecordingRow | None:
    """Lock the room of a recording that matches, then the recording, and return it; None when there is none."""
    found = tx.execute(select(RECORDINGS.c.room_id).where(which).limit(1)).first()
    if found is None:
        return None
    lock_room(tx, found.room_id)
    return RECORDING_ROWS.first(tx, RECORDING_ROWS.select(which).limit(1).with_for_update())


def _save(tx: Transaction, recording: RecordingRow, outcome: ConversionOutcome, now: datetime) -> None:
    duration = whole_seconds(outcome.started_at, outcome.ended_at)
    shown = _to_the_end(recording, outcome)
    others = {"status": COMPLETED, "duration_secs": duration, "completed_at": now, "updated_at": now, "shown": shown}
    tx.execute(RECORDINGS.update().where(RECORDINGS.c.id == recording.id).values(**asdict(outcome), **others))


def _to_the_end(recording: RecordingRow, outcome: ConversionOutcome) -> Shown:
    """The timeline extended to the end of the media, if the leave was written for a crash.

    Then the participant left when its gateway was last seen, but Janus recorded media after that.
    """
    shown = _plain(recording.shown)
    if shown and recording.ended_at is not None and shown[-1][1] == _milliseconds(recording.ended_at):
        shown[-1][1] = max(_milliseconds(outcome.ended_at), shown[-1][1] or 0)
    return shown


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _start(tx: Transaction, recording: RecordingRow, *, started_at: datetime, now: datetime) -> None:
    started = {"started_at": started_at, "created_at": now, "updated_at": now}
    tx.execute(RECORDINGS.update().where(RECORDINGS.c.id == recording.id).values(**started))
    event = RecordingStarted(
        recording.session_id, recording.room_id, recording.participant_id, recording.id, recording.type
    )
    events.record(tx, recording.account_id, event, now)


def _end(tx: Transaction, which: ColumnElement[bool], now: datetime) -> None:
    going_on = select(RECORDINGS.c.id, RECORDINGS.c.shown, RECORDINGS.c.mjr_name).where(
        which, RECORDINGS.c.ended_at.is_(None)
    )
    for recording in tx.execute(going_on.order_by(RECORDINGS.c.id)).all():
        shown = _closed(recording.shown, now)
        this = RECORDINGS.c.id == recording.id
        tx.execute(RECORDINGS.update().where(this).values(ended_at=now, shown=shown, updated_at=now))
        jobs.enqueue(tx, jobs.convert_recording_at(recording.mjr_name), recording.id, now=now)


def _closed(shown: Shown, now: datetime) -> list[list[int | None]]:
    """The timeline with its open interval ended at `now`, or at its beginning if a clock was set back since."""
    closed = _plain(shown)
    if closed and closed[-1][1] is None:
        closed[-1][1] = max(_milliseconds(now), closed[-1][0] or 0)
    return closed


def _plain(shown: Shown) -> list[list[int | None]]:
    return [list(interval) for interval in shown]


def _delete_completed(tx: Transaction, ids: Sequence[str], now: datetime) -> int:
    completed = RECORDINGS.c.id.in_(ids) & (RECORDINGS.c.status == COMPLETED)
    # In one order, so that two who delete the same do not wait for each other.
    chosen = RECORDING_ROWS.select(completed).order_by(RECORDINGS.c.id)
    found = RECORDING_ROWS.all(tx, chosen.with_for_update())
    _delete(tx, found, now)
    return len(found)


def _delete(tx: Transaction, recordings: Sequence[RecordingRow], now: datetime) -> None:
    keys = [recording.object_key for recording in recordings if recording.object_key is not None]
    jobs.enqueue_all(tx, jobs.DELETE_OBJECT, keys, now=now)
    tx.execute(RECORDINGS.delete().where(RECORDINGS.c.id.in_([recording.id for recording in recordings])))
