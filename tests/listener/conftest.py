"""A real server whose deadlines are short, so that tests of them are."""

from collections.abc import Iterator

import pytest

from tests.gateway.conftest import Rooms
from tests.servers import PorticoServer

HEAD_SECS, BODY_SECS, ANSWER_SECS, IDLE_SECS = 2, 3, 3, 4
SETTINGS = {
    "request_head_secs": str(HEAD_SECS),
    "request_body_secs": str(BODY_SECS),
    "answer_secs": str(ANSWER_SECS),
    "idle_secs": str(IDLE_SECS),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    with portico(tmp_path_factory.mktemp("listener") / "data", **SETTINGS) as server:
        yield server


@pytest.fixture
def rooms(server: PorticoServer) -> Rooms:
    return Rooms(server)
