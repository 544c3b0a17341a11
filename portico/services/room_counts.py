"""How many rooms an account has, kept with the rooms: counting them anew would cost every list more with each room."""

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
    """One room more (1) or less (-1), in the transaction that makes or deletes it."""
    row = {"account_id": account_id, "bucket": int(room_id[:2], 16) % BUCKETS, "rooms": rooms}
    _adding(tx.dialect.name).run(tx, row)


def total(tx: Transaction, account_id: str) -> int:
    """The account's rooms."""
    return int(tx.execute(_TOTAL, {"account": account_id}).scalar_one())


@cache
def _adding(dialect: str) -> Prepared:
    adding = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(COUNTS)
    more = {"rooms": COUNTS.c.rooms + adding.excluded.rooms}
    return Prepared(adding.on_conflict_do_update(index_elements=[COUNTS.c.account_id, COUNTS.c.bucket], set_=more))
