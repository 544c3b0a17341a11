"""The number of rooms of each account, kept in rows: counting rooms would make every list slower with each room."""

from functools import cache

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from portico.db import schema
from portico.db.engine import Transaction
from portico.db.statements import Prepared

COUNTS = schema.room_counts
BUCKETS = 16
_TOTAL = select(func.coalesce(func.sum(COUNTS.c.rooms), 0)).where(COUNTS.c.account_id == bindparam("account"))


def add(tx: Transaction, account_id: str, room_id: str, rooms: int) -> None:
    """Add `rooms` (1 or -1) to the account's number, in the transaction that makes or deletes the room."""
    row = {"account_id": account_id, "bucket": int(room_id[:2], 16) % BUCKETS, "rooms": rooms}
    _adding(tx.dialect.name).run(tx, row)


def total(tx: Transaction, account_id: str) -> int:
    """The number of the account's rooms."""
    return int(tx.execute(_TOTAL, {"account": account_id}).scalar_one())


@cache
def _adding(dialect: str) -> Prepared:
    adding = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(COUNTS)
    more = {"rooms": COUNTS.c.rooms + adding.excluded.rooms}
    return Prepared(adding.on_conflict_do_update(index_elements=[COUNTS.c.account_id, COUNTS.c.bucket], set_=more))
