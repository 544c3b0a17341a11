"""Reads sessions and participants; and the common parts of all lists: conditions, pages, embedded rows."""

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Label, Select, Table, and_, func, select

from portico.core.errors import NotFound
from portico.core.filters import Condition
from portico.core.model import Participant, Session
from portico.core.paging import Page
from portico.db import schema
from portico.db.engine import Transaction

EMBEDDED_PER_PARENT = 250
"""Sessions within a room, or participants within a session, that one answer embeds; the newest."""
EMBEDDED_PER_ANSWER = 10_000
"""Sessions, and likewise participants, that one answer embeds in all; the newest."""
EMBEDDED_CONTEXT_CHARS = 2_000_000
"""The most characters in contexts of embedded participants in one answer; the oldest participants are left out."""

SESSIONS = schema.room_sessions
PARTICIPANTS = schema.room_participants
_SESSION_MEMBERS = [SESSIONS.c[name] for name in ("id", "room_id", "active", "created_at", "updated_at", "ended_at")]
_PARTICIPANT_MEMBERS = [
    PARTICIPANTS.c[name] for name in ("id", "session_id", "context", "joined_at", "updated_at", "left_at", "label")
]
_COMPARE: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "eq": operator.eq,
    "ge": operator.ge,
    "le": operator.le,
    "in": lambda column, values: column.in_(values),
}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page of a list, and how many results the whole list has."""

    items: list[T]
    total_results: int


def matching(table: Table, conditions: Iterable[Condition]) -> list[ColumnElement[bool]]:
    """The conditions as SQL on the table's columns."""
    return [_COMPARE[c.comparison](table.c[c.column], c.value) for c in conditions]


def page_of(
    tx: Transaction,
    table: Table,
    where: Sequence[ColumnElement[bool]],
    page: Page,
    rows: Select[Any],
    newest_first: Column[Any],
    kind: Callable[..., T],
    total: int | None = None,
) -> Listed[T]:
    """One page of the rows that match `where`, newest first, as instances of `kind`; ties are broken by id.

    One query counts them all unless their number is given as `total`, and one reads the page unless it lies past the
    end. `kind` gets the columns of `rows` by name.
    """
    if total is None:
        total = tx.execute(select(func.count()).select_from(table).where(and_(*where))).scalar_one()
    if page.offset >= total:
        return Listed([], total)
    ordered = rows.where(and_(*where)).order_by(newest_first.desc(), table.c.id.desc())
    found = tx.execute(ordered.limit(page.size).offset(page.offset))
    return Listed([kind(**row._mapping) for row in found], total)


def list_sessions(
    tx: Transaction,
    account_id: str,
    page: Page,
    conditions: Sequence[Condition] = (),
    *,
    room_id: str | None = None,
    with_participants: bool = False,
) -> Listed[Session]:
    """The account's sessions, newest first. With `room_id` those of a room that exists, else NotFound."""
    where = [SESSIONS.c.account_id == account_id, *matching(SESSIONS, conditions)]
    if room_id is not None:
        _expect_room(tx, account_id, room_id)
        where.append(SESSIONS.c.room_id == room_id)
    listed = page_of(tx, SESSIONS, where, page, select(*_SESSION_MEMBERS), SESSIONS.c.created_at, Session)
    return Listed(embed_participants(tx, listed.items), listed.total_results) if with_participants else listed


def retrieve_session(tx: Transaction, account_id: str, session_id: str, *, with_participants: bool = False) -> Session:
    """The account's session, also when its room is gone; NotFound when there is none."""
    where = (SESSIONS.c.id == session_id) & (SESSIONS.c.account_id == account_id)
    row = tx.execute(select(*_SESSION_MEMBERS).where(where)).first()
    if row is None:
        raise NotFound
    session = Session(**row._mapping)
    return embed_participants(tx, [session])[0] if with_participants else session


def list_participants(
    tx: Transaction,
    account_id: str,
    page: Page,
    conditions: Sequence[Condition] = (),
    *,
    session_id: str | None = None,
) -> Listed[Participant]:
    """The account's participants, newest first. With `session_id` those of that session, which must exist."""
    where = [PARTICIPANTS.c.account_id == account_id, *matching(PARTICIPANTS, conditions)]
    if session_id is not None:
        retrieve_session(tx, account_id, session_id)
        where.append(PARTICIPANTS.c.session_id == session_id)
    return page_of(tx, PARTICIPANTS, where, page, select(*_PARTICIPANT_MEMBERS), PARTICIPANTS.c.joined_at, Participant)


def retrieve_participant(tx: Transaction, account_id: str, participant_id: str) -> Participant:
    """The account's participant; NotFound when there is none."""
    where = (PARTICIPANTS.c.id == participant_id) & (PARTICIPANTS.c.account_id == account_id)
    row = tx.execute(select(*_PARTICIPANT_MEMBERS).where(where)).first()
    if row is None:
        raise NotFound
    return Participant(**row._mapping)


def account_of_participant(tx: Transaction, participant_id: str) -> str | None:
    """The account of a participant; None when there is none."""
    row = tx.execute(select(PARTICIPANTS.c.account_id).where(PARTICIPANTS.c.id == participant_id)).first()
    return row.account_id if row else None


def sessions_by_room(
    tx: Transaction, room_ids: Sequence[str], *, with_participants: bool
) -> dict[str, tuple[Session, ...]]:
    """The newest sessions of each room, in one query (two with participants)."""
    if not room_ids:
        return {}
    newest = _newest_of_each(_SESSION_MEMBERS, SESSIONS.c.room_id, SESSIONS.c.created_at, room_ids)
    sessions = [Session(**row._mapping) for row in tx.execute(newest)]
    if with_participants:
        sessions = embed_participants(tx, sessions)
    found: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        found[session.room_id].append(session)
    return {room_id: tuple(found[room_id]) for room_id in room_ids}


def embed_participants(tx: Transaction, sessions: Sequence[Session]) -> list[Session]:
    """The same sessions with their newest participants, read in one query."""
    if not sessions:
        return []
    ids = [session.id for session in sessions]
    # Ranked without the contexts themselves: sorting those took most of the time.
    size = func.coalesce(func.length(PARTICIPANTS.c.context), 0).label("size")
    ranked: list[Column[Any] | Label[Any]] = [PARTICIPANTS.c.id, PARTICIPANTS.c.joined_at, size]
    chosen = _newest_of_each(ranked, PARTICIPANTS.c.session_id, PARTICIPANTS.c.joined_at, ids).subquery()
    newest = (chosen.c.joined_at.desc(), chosen.c.id.desc())
    chars = func.sum(chosen.c.size).over(order_by=newest, rows=(None, 0))
    counted = select(chosen.c.id, chars.label("chars")).subquery()
    fitting = (
        select(*_PARTICIPANT_MEMBERS)
        .join(counted, counted.c.id == PARTICIPANTS.c.id)
        .where(counted.c.chars <= EMBEDDED_CONTEXT_CHARS)
        .order_by(PARTICIPANTS.c.joined_at.desc(), PARTICIPANTS.c.id.desc())
    )
    found: dict[str, list[Participant]] = defaultdict(list)
    for row in tx.execute(fitting):
        found[row.session_id].append(Participant(**row._mapping))
    return [replace(session, participants=tuple(found[session.id])) for session in sessions]


def _newest_of_each(
    members: Sequence[Column[Any] | Label[Any]], parent: Column[Any], instant: Column[Any], parent_ids: Sequence[str]
) -> Select[Any]:
    """Children of many parents, newest first, at most EMBEDDED_PER_PARENT of each and EMBEDDED_PER_ANSWER in all."""
    newest = (instant.desc(), parent.table.c.id.desc())
    rank = func.row_number().over(partition_by=parent, order_by=newest).label("rank")
    ranked = select(*members, rank).where(parent.in_(parent_ids)).subquery()
    return (
        select(*(ranked.c[member.name] for member in members))
        .where(ranked.c.rank <= EMBEDDED_PER_PARENT)
        .order_by(ranked.c[instant.name].desc(), ranked.c.id.desc())
        .limit(EMBEDDED_PER_ANSWER)
    )


def _expect_room(tx: Transaction, account_id: str, room_id: str) -> None:
    rooms = schema.rooms.c
    where = (rooms.id == room_id) & (rooms.account_id == account_id) & rooms.deleted_at.is_(None)
    if tx.execute(select(rooms.id).where(where)).first() is None:
        raise NotFound
