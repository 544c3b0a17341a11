"""Statements that both databases have and SQLAlchemy spells per dialect."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from portico.db.engine import Transaction


def insert_if_absent(tx: Transaction, table: Table, **values: Any) -> None:
    """Insert a row unless a unique index has one like it, also one that another transaction is just committing."""
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    tx.execute(insert(table).values(**values).on_conflict_do_nothing())
