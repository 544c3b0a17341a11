"""One lab for all tests, whose servers and browsers they share."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.namespaces import missing
from tests.networks import lab as networks
from tests.networks import world as worlds
from tests.networks.lab import Lab
from tests.networks.world import World
from tests.servers import PorticoServer


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    if lacks := missing("nft", "unshare", "mount", "certutil", "caddy", "haproxy", "turnserver"):
        pytest.skip(lacks)
    with networks.lab() as made:
        if made is None:
            pytest.skip("The kernel makes no network namespaces for this process.")
        yield made


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """The lab, whose router is open again at the end of the test."""
    yield shared_lab
    shared_lab.set_filter()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_world(
    shared_lab: Lab,
    chromium_program: str | None,
    portico: type[PorticoServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    async with worlds.world(shared_lab, tmp_path_factory.mktemp("networks")) as world:
        yield world


@pytest.fixture
def world(shared_world: World, lab: Lab) -> World:
    """The servers and browsers; the router is open again at the end of the test."""
    return shared_world
