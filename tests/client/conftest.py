"""Fixtures of the client's tests: a real server with each Janus, and rooms on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer], janus_binary: Path
) -> Iterator[PorticoServer]:
    folder = tmp_path_factory.mktemp("client")
    with portico(folder / "data", janus_bin=str(janus_binary), empty_session_grace_secs="1") as server:
        yield server


@pytest.fixture
def rooms(server: PorticoServer) -> Rooms:
    return Rooms(server)
