"""The log of webhook deliveries with their attempts, and their replay."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Text, and_, cast, exists, func, or_, select, true

from portico.core.errors import NotFound
from portico.core.filters import Condition
from portico.core.paging import Page
from portico.db.engine import Transaction
from portico.services import webhooks
from portico.services.listing import Listed, matching, page_of
from portico.services.rows import ATTEMPT_ROWS, DELIVERY_ROWS, Attempt, Delivery
from portico.services.webhooks import ATTEMPTS, DELIVERIES

LISTED_ATTEMPTS = 10
"""The number of attempts, the newest, that a list shows of each of its up to 250 deliveries."""
SHOWN_ATTEMPTS = 250
"""The number of attempts, the newest, that are shown of one delivery. A day of retries makes about 60."""
SEARCHED = 10_000
"""Deliveries, the newest that match all else, in whose texts `contains` looks."""
REPLAYED_AT_ONCE = 50
"""The most replays of one transaction, for which all other writes wait on SQLite, about 50 ms."""
ATTEMPT_TEXT = "attempts"
"""The name in a condition on the texts of all attempts of a delivery; it is not a column."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A delivery and its newest attempts, newest first."""

    delivery: Delivery
    attempts: Sequence[Attempt]


def list_deliveries(
    tx: Transaction, account_id: str | None, page: Page, conditions: Sequence[Condition] = ()
) -> Listed[Logged]:
    """Deliveries of the account, or of all with None, newest first."""
    where = _where(tx, account_id, conditions)
    listed = page_of(tx, DELIVERIES, where, page, DELIVERY_ROWS.select(), DELIVERIES.c.created_at, Delivery)
    attempts = _newest_attempts(tx, [row.id for row in listed.items], LISTED_ATTEMPTS)
    return Listed([Logged(row, attempts[row.id]) for row in listed.items], listed.total_results)


def retrieve_delivery(tx: Transaction, account_id: str | None, delivery_id: str) -> Logged:
    """One delivery of the account, or of any with None; NotFound when there is none."""
    row = DELIVERY_ROWS.first(tx, DELIVERY_ROWS.select(DELIVERIES.c.id == delivery_id, *_owned_by(account_id)))
    if row is None:
        raise NotFound
    return Logged(row, _newest_attempts(tx, [row.id], SHOWN_ATTEMPTS)[row.id])


def next_matching(
    tx: Transaction,
    account_id: str | None,
    conditions: Sequence[Condition],
    *,
    now: datetime,
    after: int = 0,
    limit: int = REPLAYED_AT_ONCE,
) -> tuple[list[str], int | None]:
    """The ids of the next `limit` that match, oldest first, and `after` for the next call or None at the end.

    What is made after `now` stays out, and `after` only grows: what fails again meanwhile is not found again. It may
    look at every row of the account, and so it is a read of its own: on SQLite all other writes would wait for it.
    """
    where = [*_where(tx, account_id, conditions), DELIVERIES.c.seq > after, DELIVERIES.c.created_at <= now]
    found = tx.execute(select(DELIVERIES.c.id, DELIVERIES.c.seq).where(*where).order_by(DELIVERIES.c.seq).limit(limit))
    chosen = found.all()
    return [row.id for row in chosen], chosen[-1].seq if len(chosen) == limit else None


def replay_each(
    tx: Transaction, account_id: str | None, ids: Sequence[str], conditions: Sequence[Condition], *, now: datetime
) -> int:
    """Replay the deliveries among these ids that still match; returns their number."""
    where = [DELIVERIES.c.id.in_(ids), *_where(tx, account_id, conditions)]
    still = tx.execute(select(DELIVERIES.c.id).where(*where).order_by(DELIVERIES.c.seq)).scalars().all()
    for delivery_id in still:
        webhooks.replay(tx, account_id, delivery_id, now=now)
    return len(still)


def _owned_by(account_id: str | None) -> list[ColumnElement[bool]]:
    return [true() if account_id is None else DELIVERIES.c.account_id == account_id]


def _where(tx: Transaction, account_id: str | None, conditions: Sequence[Condition]) -> list[ColumnElement[bool]]:
    plain = [condition for condition in conditions if condition.comparison != "contains"]
    where = [*_owned_by(account_id), *matching(DELIVERIES, plain)]
    texts = [_contains(tx, c.column, str(c.value)) for c in conditions if c.comparison == "contains"]
    if not texts:
        return where
    searched = select(DELIVERIES.c.seq).where(*where).order_by(DELIVERIES.c.created_at.desc(), DELIVERIES.c.id.desc())
    return [*where, DELIVERIES.c.seq.in_(searched.limit(SEARCHED)), *texts]


def _contains(tx: Transaction, column: str, text: str) -> ColumnElement[bool]:
    """Whether a column contains the text, as it is or escaped as in JSON. LIKE would ignore case in SQLite only."""
    position = func.strpos if tx.dialect.name == "postgresql" else func.instr
    spellings = {text, json.dumps(text)[1:-1]}

    def somewhere(columns: Sequence[Column[Any]]) -> ColumnElement[bool]:
        return or_(*(position(cast(each, Text), spelling) > 0 for each in columns for spelling in sorted(spellings)))

    if column != ATTEMPT_TEXT:
        return somewhere([DELIVERIES.c[column]])
    columns = ("url", "status_code", "error", "request_headers", "response_headers", "response_body")
    return exists().where(ATTEMPTS.c.delivery_id == DELIVERIES.c.id, somewhere([ATTEMPTS.c[name] for name in columns]))


def _newest_attempts(tx: Transaction, delivery_ids: Sequence[str], each: int) -> dict[str, list[Attempt]]:
    """The newest `each` attempts of each delivery, newest first, in one query."""
    found: dict[str, list[Attempt]] = defaultdict(list)
    if not delivery_ids:
        return found
    newest = and_(
        ATTEMPTS.c.delivery_id == DELIVERIES.c.id,
        ATTEMPTS.c.number > DELIVERIES.c.attempts - each,
        DELIVERIES.c.id.in_(delivery_ids),
    )
    rows = ATTEMPT_ROWS.select().join(DELIVERIES, newest).order_by(ATTEMPTS.c.delivery_id, ATTEMPTS.c.number.desc())
    for row in ATTEMPT_ROWS.all(tx, rows):
        found[row.delivery_id].append(row)
    return found
