"""The API on fresh databases."""

from tests.api.fixtures import served, sqlite_world, world

__all__ = ["served", "sqlite_world", "world"]
