"""Keep the schema of a release, with rows in every table: `python -m tests.db.keep_schema VERSION`.

It writes tests/db/schemas/VERSION.sqlite.sql and VERSION.postgresql.sql. Later versions are tested with them: a
database of a release has to be upgraded, whatever the migrations look like by then.
"""

import re
import sqlite3
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Transaction
from portico.db.migrate import upgrade
from portico.services import (
    api_keys,
    audit,
    compositions,
    media_rooms,
    nodes,
    signing_keys,
    tokens,
    webhook_queue,
)
from portico.services.nodes import NodeAddress
from tests.databases import PostgresCluster, postgres_server
from tests.factories import NOW, a_gateway, a_participant, a_room, an_account, rows
from tests.recorded import a_recorded_participant, a_recording, a_stream, over

SCHEMAS = Path(__file__).parent / "schemas"
API_KEY = "the key of the sample rows"


def sample_rows(tx: Transaction) -> str:
    """Make rows in every table, and return a room's id and its invitation, with a blank between them."""
    keys = tokens.load_keys(tx, NOW)
    signing_keys.ensure(tx, signing_keys.FILES, NOW)
    api_keys.admit(tx, API_KEY, "default", NOW)
    account_id, room_id = an_account(tx), a_room(tx, unique_name="stand-up", max_participants=7)
    a_participant(tx, room_id, context='{"username": "Anna"}')
    joined = a_recorded_participant(tx)
    a_recording(tx, joined.participant_id)
    a_stream(tx, joined.participant_id, key="presentation")
    over(tx, joined.session_id, now=NOW + timedelta(minutes=2))
    body = {"session_id": joined.session_id}
    compositions.create(tx, account_id, body, regions_max=16, sound_by_default=True, now=NOW + timedelta(minutes=3))
    audit.record(tx, account_id=account_id, key_id=None, operation="create_room", object_id=room_id, now=NOW)
    _rows_of_running_processes(tx, room_id, joined.participant_id)
    missing = [table.name for table in schema.metadata.sorted_tables if not rows(tx, table)]
    assert not missing, f"no rows in {missing}"
    return f"{room_id} {tokens.invite(keys, room_id)}"


def _rows_of_running_processes(tx: Transaction, room_id: str, participant_id: str) -> None:
    """What workers and gateways write while they run."""
    delivery = rows(tx, schema.webhook_deliveries)[0]
    webhook_queue.make_ready(tx, [delivery.id], now=NOW)
    attempt = {"delivery_id": delivery.id, "number": 1, "url": delivery.url, "started_at": NOW, "finished_at": NOW}
    answer = {"status_code": 503, "request_headers": {}, "response_headers": {"retry-after": "9"}, "response_body": "x"}
    tx.execute(schema.webhook_attempts.insert().values(delivered=False, **attempt, **answer))
    tx.execute(schema.participant_tokens.insert().values(participant_id=participant_id, grant_id="f" * 18))
    later = NOW + timedelta(days=1)
    tx.execute(schema.revoked_tokens.insert().values(grant_id="r" * 18, room_id=room_id, forget_at=later))
    tx.execute(schema.job_lanes.insert().values(lane="a lane", turn=3))
    tx.execute(schema.rate_buckets.insert().values(name="token x", full_at=10**18, granted=1))
    address = NodeAddress("ws://10.0.0.2:8188", "secret", "key", None, "/data/mjr", "1.4.1")
    nodes.register(tx, "0a1b2c3d", address, now=NOW)
    numbers, gateway_id = media_rooms.Numbers(1, 2, "secret"), a_gateway(tx)
    media_rooms.enter(tx, room_id, gateway_id, numbers, "a host", now=NOW)
    session_id = rows(tx, schema.room_sessions)[0].id
    stream = {"session_id": session_id, "stream_id": "a stream", "participant_id": participant_id, "claimed_at": NOW}
    tx.execute(schema.room_streams.insert().values(stream))
    if not rows(tx, schema.clock):
        tx.execute(schema.clock.insert().values(id=1, stepped_ms=250))


def _fill(url: str) -> str:
    database = open_database(url)
    try:
        upgrade(database.engine)
        with database.engine.begin() as connection:
            return sample_rows(connection)
    finally:
        database.engine.dispose()


def statements_of_sqlite(file: Path) -> str:
    """The statements that make this database."""
    with sqlite3.connect(file) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def statements_of_postgres(cluster: PostgresCluster, name: str) -> str:
    """The same, without comments and without what only some versions of PostgreSQL know."""
    command = [str(cluster.binaries / "pg_dump"), "--inserts", "--no-owner", "--no-privileges"]
    done = subprocess.run([*command, cluster.url(name)], check=True, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line and not re.match(r"--|SET |\\", line)]
    return "\n".join(lines) + "\n"


def main(version: str) -> None:
    """Write both files."""
    with tempfile.TemporaryDirectory() as folder:
        invitation = _fill(f"sqlite:///{folder}/kept.db")
        _write(version, "sqlite", invitation, statements_of_sqlite(Path(folder) / "kept.db"))
    with postgres_server() as cluster:
        cluster.execute("CREATE DATABASE kept")
        invitation = _fill(cluster.url("kept"))
        _write(version, "postgresql", invitation, statements_of_postgres(cluster, "kept"))


def _write(version: str, database: str, invitation: str, statements: str) -> None:
    (SCHEMAS / f"{version}.{database}.sql").write_text(f"-- {invitation}\n{statements}")


if __name__ == "__main__":
    main(sys.argv[1])
