"""Two servers on one PostgreSQL, each with a real Janus; and two processes of each role on another."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.cluster.cluster import Cluster
from tests.cluster.pairs import Pairs, running_pairs
from tests.databases import PostgresCluster
from tests.servers import PorticoServer


@pytest.fixture(scope="module")
def cluster(
    own_postgres: PostgresCluster, tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]
) -> Iterator[Cluster]:
    own_postgres.execute("CREATE DATABASE shared")
    folder = tmp_path_factory.mktemp("cluster")
    settings = {
        "api_key": "KEY-of-all-processes",
        "database_url": own_postgres.url("shared"),
        "empty_session_grace_secs": "1",
        "sockets_per_address": "1000",
        "requests_per_address": "1000",
    }
    with portico(folder / "a", **settings) as one, portico(folder / "b", **settings) as other:
        yield Cluster(own_postgres, "shared", [one, other])


@pytest_asyncio.fixture
async def room(cluster: Cluster) -> AsyncIterator[str]:
    """A room; at the end of the test nothing of it may be left open."""
    made = cluster.rooms[0].create()
    yield made
    await cluster.settles(made)


@pytest.fixture(scope="module")
def pairs(
    own_postgres: PostgresCluster, tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]
) -> Iterator[Pairs]:
    with running_pairs(own_postgres, tmp_path_factory.mktemp("pairs"), portico) as running:
        yield running
