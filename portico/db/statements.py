"""Statements that both databases have and SQLAlchemy spells per dialect."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

from portico.db.engine import Transaction


def insert_if_absent(tx: Transaction, table: Table, **values: Any) -> bool:
    """Insert a row unless a unique index has one like it, also one that another transaction is just committing.

    Whether it was inserted.
    """
    return tx.execute(_insert(table, tx.dialect.name), values).rowcount == 1


def insert_those_absent(tx: Transaction, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """The same of many rows, which all have the same columns."""
    if rows:
        tx.execute(_insert(table, tx.dialect.name), rows)


@cache  # building it costs as much as running it
def _insert(table: Table, dialect: str) -> Insert:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
