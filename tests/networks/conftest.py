"""The lab, its servers and its browsers, each made when the first test asks for it."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.namespaces import missing
from tests.networks import lab as networks
from tests.networks.calls import Client, Reach
from tests.networks.lab import Lab
from tests.networks.machines import chromium_on, serving, site_on
from tests.servers import PorticoServer


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    if lacks := missing("nft", "unshare", "mount"):
        pytest.skip(lacks)
    with networks.lab() as made:
        if made is None:
            pytest.skip("The kernel makes no network namespaces for this process.")
        yield made


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """The lab, whose router is open again at the end of the test."""
    yield shared_lab
    shared_lab.set_filter(networks.OPEN)


@pytest.fixture(scope="session")
def direct(
    shared_lab: Lab, portico: type[PorticoServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PorticoServer]:
    """A server of both families without a name."""
    with serving(shared_lab["server"], tmp_path_factory.mktemp("direct") / "data", host="::") as server:
        yield server


@pytest.fixture
def direct_4(direct: PorticoServer) -> Reach:
    return Reach(direct, f"http://{networks.SERVER}")


@pytest.fixture
def direct_6(direct: PorticoServer) -> Reach:
    return Reach(direct, f"http://[{networks.SERVER_6}]")


@pytest.fixture(scope="session")
def inside(shared_lab: Lab, portico: type[PorticoServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reach]:
    """A server with a private address, which 1:1 NAT maps to a public one in the filter TWO_NATS."""
    data_dir = tmp_path_factory.mktemp("inside") / "data"
    settings = {"host": "0.0.0.0", "media_address": networks.INSIDE_PUBLIC}
    with serving(shared_lab["inside"], data_dir, **settings) as server:
        yield Reach(server, f"http://{networks.INSIDE_PUBLIC}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def clients(
    shared_lab: Lab, chromium_program: str | None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator["Clients"]:
    async with contextlib.AsyncExitStack() as stack:
        yield Clients(shared_lab, tmp_path_factory.mktemp("browsers"), stack)


class Clients:
    """The browsers of the lab by machine, each started at its first use."""

    def __init__(self, lab: Lab, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self._lab, self._folder, self._stack = lab, folder, stack
        self._started: dict[str, Client] = {}

    async def on(self, name: str) -> Client:
        """The browser on that machine."""
        if name not in self._started:
            machine = self._lab[name]
            browser = await self._stack.enter_async_context(chromium_on(machine, self._folder / name, {}))
            self._started[name] = Client(browser, self._stack.enter_context(site_on(machine)))
        return self._started[name]
