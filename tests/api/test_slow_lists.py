"""Lists that take long delay no other request, have a limit, and end with their caller."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from portico.db.lists import LIST_THREADS, PER_ACCOUNT
from tests.api.serving import Served, serving

WITHIN_SECS = 20.0


@pytest.fixture
def served(postgres_url: str) -> Iterator[Served]:
    """The API on PostgreSQL, where a lock makes lists take as long as a test wants."""
    with serving(postgres_url, list_secs=60) as running:
        yield running


@contextmanager
def slow_participants(url: str) -> Iterator["psycopg.Connection[tuple[int]]"]:
    """Until the block ends, lists of participants wait."""
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE room_participants IN ACCESS EXCLUSIVE MODE")
        yield connection


def waiting_lists(connection: "psycopg.Connection[tuple[int]]") -> int:
    """How many queries of this database wait for the lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%room_participants%' "
        "AND datname = current_database()"
    )
    row = connection.execute(query).fetchone()
    assert row is not None
    connection.execute("SELECT pg_stat_clear_snapshot()")
    return row[0]


def ask_for_a_list(served: Served) -> socket.socket:
    """A request whose answer is not read."""
    parts = urlsplit(served.base_url)
    asking = socket.create_connection((str(parts.hostname), parts.port or 80))
    asking.sendall(
        f"GET /v2/room_participants HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.world.key}\r\n\r\n".encode()
    )
    return asking


def test_abandoned_lists_of_one_account_hold_up_no_other(served: Served, postgres_url: str) -> None:
    room = served.run(served.world.room())
    other_key = served.world.k2.headers["authorization"]
    with slow_participants(postgres_url) as watching, ExitStack() as stack:
        asking = [stack.enter_context(ask_for_a_list(served)) for _ in range(150)]
        _wait_for(lambda: waiting_lists(watching) == PER_ACCOUNT)
        with httpx.Client(base_url=served.base_url, timeout=WITHIN_SECS) as client:
            ours = {"Authorization": f"Bearer {served.world.key}"}
            token = client.post(f"/v2/rooms/{room['id']}/actions/generate_join_client_token", headers=ours)
            assert token.status_code == 201
            assert client.get(f"/v2/rooms/{room['id']}", headers=ours).status_code == 200
            assert client.get("/v2/rooms", headers={"Authorization": other_key}).status_code == 200
        assert LIST_THREADS > PER_ACCOUNT == waiting_lists(watching)
        for each in asking:
            each.close()
        _wait_for(lambda: waiting_lists(watching) == 0)
    with httpx.Client(base_url=served.base_url, timeout=WITHIN_SECS) as client:
        assert client.get("/v2/room_participants", headers=ours).status_code == 200


def test_a_list_that_takes_too_long_is_refused_for_now(postgres_url: str) -> None:
    with serving(postgres_url, list_secs=0.2) as served, slow_participants(postgres_url):
        ours = {"Authorization": f"Bearer {served.world.key}"}
        answer = httpx.get(f"{served.base_url}/v2/room_participants", headers=ours, timeout=WITHIN_SECS)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "longer than 0.2 s" in answer.json()["errors"][0]["detail"]


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_SECS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
