"""Fixtures of everything that calls the REST API."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from portico.db.connect import open_database
from portico.db.engine import Database
from tests.api.serving import Served, serving
from tests.api.world import World, world_on


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """The API on each kind of database."""
    async with world_on(database) as opened:
        yield opened


@pytest_asyncio.fixture
async def sqlite_world(sqlite_url: str) -> AsyncIterator[World]:
    """The API on SQLite, for what does not depend on the database."""
    database = open_database(sqlite_url)
    try:
        async with world_on(database) as opened:
            yield opened
    finally:
        await database.close()


@pytest.fixture
def served(sqlite_url: str) -> Iterator[Served]:
    """The API on SQLite behind a real server."""
    with serving(sqlite_url) as running:
        yield running
