"""The API on a fresh database."""

from tests.api.fixtures import sqlite_world

__all__ = ["sqlite_world"]
