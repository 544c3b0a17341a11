"""A real server and rooms on it."""

import contextlib
import json
import sqlite3
import urllib.request
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.answers import ANSWERS_WITHIN_SECS, checking_client
from tests.gateway.browser import SignalingBrowser
from tests.gateway.inside import RunsInside, inside
from tests.servers import PorticoServer


class Rooms:
    """Makes rooms, tokens and browsers, and reads the facts over REST."""

    def __init__(self, server: PorticoServer) -> None:
        self.server = server
        from telnyx import Telnyx  # takes a second, which tests without a server do without

        base_url, checked = f"{server.base_url}/v2", checking_client()
        self.rest = Telnyx(api_key=server.api_key, base_url=base_url, max_retries=0, http_client=checked)
        # Or the garbage collector closes its connections, with a warning, in whatever test comes next.
        weakref.finalize(self, self.rest.close)

    def create(self, **settings: Any) -> str:
        room = self.rest.rooms.create(**settings).data
        assert room is not None and room.id is not None
        return room.id

    def token(self, room_id: str, **settings: Any) -> str:
        answer = self.rest.rooms.actions.generate_join_client_token(room_id, **settings).data
        assert answer is not None and answer.token is not None
        return answer.token

    def browser(self, room_id: str, **options: Any) -> SignalingBrowser:
        token = options.pop("token", None)
        return SignalingBrowser(self.server, room_id, self.token(room_id) if token is None else token, **options)

    def sessions(self, room_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.get(f"/v2/room_sessions?filter[room_id]={room_id}")["data"]
        return found

    def figure(self, name: str) -> float:
        """One of those at /metrics."""
        with urllib.request.urlopen(f"{self.server.base_url}/metrics", timeout=ANSWERS_WITHIN_SECS) as answer:
            (line,) = [line for line in answer.read().decode().splitlines() if line.startswith(f"{name} ")]
        return float(line.split()[1])

    def participants(self, room_id: str) -> list[dict[str, Any]]:
        path = "/v2/room_sessions/{}/participants?page[size]=250"
        return [
            one for session in self.sessions(room_id) for one in self.server.get(path.format(session["id"]))["data"]
        ]

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the server's SQLite file, for facts that REST does not show."""
        with contextlib.closing(sqlite3.connect(f"file:{self.server.data_dir}/portico.db?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql, values)]

    def events(self, room_id: str) -> list[dict[str, Any]]:
        """The room's events, oldest first; each has `event_type`, `occurred_at` and `payload`."""
        found = self.rows("SELECT event_type, occurred_at, payload FROM events WHERE room_id = ? ORDER BY seq", room_id)
        return [{**event, "payload": json.loads(event["payload"])} for event in found]


@pytest.fixture(scope="session")
def portico_inside() -> RunsInside:
    """Runs the program with a real Janus in the test process: `async with portico_inside(data_dir) as program`."""
    return inside


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    with portico(tmp_path_factory.mktemp("gateway") / "data", empty_session_grace_secs="1") as server:
        yield server


@pytest.fixture
def rooms(server: PorticoServer) -> Rooms:
    return Rooms(server)
