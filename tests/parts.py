"""The real parts that a test asks for by fixture, and the mark that each of them sets.

A test that needs Janus, Chromium or PostgreSQL asks for one of these fixtures, or for a fixture that does. So
`script/test fast` runs what needs none of them, in whatever folder it is.
"""

import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.e2e.loopback import media_interface
from tests.edge.turn_client import free_turn_port
from tests.servers import PorticoServer

if TYPE_CHECKING:
    from playwright.async_api import Browser

__all__ = [
    "browser",
    "chromium_program",
    "janus_binary",
    "loopback",
    "marks_of",
    "own_server",
    "portico",
    "relay_server",
    "shared_browser",
]

_MARKS = {
    "chromium_program": ("e2e",),
    "image": ("janus",),
    "shared_browser": ("e2e",),
    "janus_binary": ("janus", "every_janus"),
    "own_postgres": ("postgres",),
    "portico": ("janus",),
    "portico_inside": ("janus",),
    "postgres_cluster": ("postgres",),
}

BUILT = Path(__file__).parents[1] / ".janus" / "bin" / "janus"
FOUND = [Path(path) for path in (shutil.which("janus"), shutil.which(BUILT)) if path]


def marks_of(fixtures: Iterable[str]) -> set[str]:
    """The marks of a test that uses these fixtures, itself or through others."""
    return {mark for name in fixtures for mark in _MARKS.get(name, ())}


@pytest.fixture(scope="session")
def portico() -> type[PorticoServer]:
    """Makes servers with a real Janus: `with portico(folder / "data", log_level="debug") as server`."""
    return PorticoServer


@pytest.fixture(scope="module", params=FOUND, ids=lambda path: "built" if path == BUILT else "installed")
def janus_binary(request: pytest.FixtureRequest) -> Path:
    """Every Janus of this machine: the one that script/build-janus built and Debian's."""
    path: Path = request.param
    return path


@pytest.fixture(scope="session")
def loopback() -> Iterator[str | None]:
    """An interface for media that stays on this machine; None, for the default one, where it cannot be made."""
    with media_interface() as interface:
        yield interface


@pytest.fixture
def own_server(tmp_path: Path, loopback: str | None, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    """A server that a test may kill."""
    with portico(tmp_path / "data", media_interface=loopback) as server:
        yield server


@pytest.fixture(scope="module")
def relay_server(
    tmp_path_factory: pytest.TempPathFactory, loopback: str | None, portico: type[PorticoServer]
) -> Iterator[PorticoServer]:
    """A server with a relay on ports of its own."""
    if loopback is None:
        pytest.skip("no interface for media on loopback here")
    settings = {"turn": "on", "turn_port": str(free_turn_port()), "turn_tls_port": str(free_turn_port())}
    with portico(tmp_path_factory.mktemp("relay") / "data", media_interface=loopback, **settings) as server:
        yield server


@pytest.fixture(scope="session")
def chromium_program() -> str | None:
    """Debian's Chromium; None for the one that Playwright brought along."""
    from tests.e2e.browser import installed_chromium  # imports Playwright, which most test runs do without

    return installed_chromium()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_browser() -> "AsyncIterator[Browser]":
    """The one Chromium of a test run."""
    from tests.e2e.browser import chromium

    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def browser(shared_browser: "Browser") -> "AsyncIterator[Browser]":
    """The one Chromium, for a test in the session's event loop; what the test opens in it is closed at its end."""
    yield shared_browser
    for context in shared_browser.contexts:
        await context.close()
