"""Statements that both databases have and that SQLAlchemy spells for each dialect."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ClauseElement, Dialect, Insert, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from portico.db.engine import Transaction


class Prepared:
    """A frequent statement, compiled once and then passed to the driver directly.

    SQLAlchemy's work for each execution takes twenty times as long as SQLite's. The values have the same names each
    time. Rows are as the driver returns them, so columns whose values need converting cannot be selected.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._spelled: dict[str, _Spelled] = {}

    def run(self, tx: Transaction, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows that it returns. Raises what SQLAlchemy does."""
        dialect = tx.dialect
        spelled = self._spelled.get(dialect.name)
        if spelled is None:
            spelled = self._spelled[dialect.name] = _Spelled(self._statement, list(values), dialect)
        return spelled.run(tx, values)


class _Spelled:
    """A statement compiled for one database."""

    def __init__(self, statement: ClauseElement, names: list[str], dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=names)
        self._text = str(compiled)
        converters: dict[str, Callable[[Any], Any] | None] = {
            name: parameter.type.dialect_impl(dialect).bind_processor(dialect)
            for parameter, name in compiled.bind_names.items()
        }
        self._is_positional = compiled.positional
        order = compiled.positiontup if compiled.positional else list(converters)
        self._converters = [(name, converters[name]) for name in order]

    def run(self, tx: Transaction, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        given: Any
        if self._is_positional:
            given = [convert(values[name]) if convert else values[name] for name, convert in self._converters]
        else:
            given = {name: convert(values[name]) if convert else values[name] for name, convert in self._converters}
        driver: Any = tx.connection.driver_connection
        try:
            cursor = driver.execute(self._text, given)
            return cursor.fetchall() if cursor.description else []
        except tx.dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(self._text, None, error, tx.dialect.loaded_dbapi.Error) from error


def ping(tx: Transaction) -> None:
    """Run a statement that reads nothing: it fails if the database does not answer."""
    tx.execute(select(1)).scalar_one()


def insert_if_absent(tx: Transaction, table: Table, **values: Any) -> bool:
    """Insert a row unless a unique index has one like it, also one that another transaction is just committing.

    Returns whether the row was inserted.
    """
    return tx.execute(_insert(table, tx.dialect.name), values).rowcount == 1


def insert_those_absent(tx: Transaction, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """As `insert_if_absent`, for many rows with the same columns."""
    if rows:
        tx.execute(_insert(table, tx.dialect.name), rows)


@cache  # building it costs as much as running it
def _insert(table: Table, dialect: str) -> Insert:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
