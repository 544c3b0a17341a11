"""`portico migrate-store`: from SQLite and a folder to PostgreSQL and a bucket, killed in between and run again."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from portico.core.object_keys import recording_key
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Transaction
from portico.services import api_keys, copying, gateways, tokens
from portico.services.clock import database_now
from tests.databases import PostgresCluster
from tests.db.keep_schema import sample_rows
from tests.factories import NOW, a_room, rows
from tests.recorded import a_recorded_participant, a_recording
from tests.servers import PorticoServer
from tests.storage.buckets import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Bucket, a_bucket

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
WITHIN_SECS = 60.0
CONTENT = b"OggS" + bytes(5000)
MANY = 3 * copying.BATCH


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    made = a_bucket()
    with made.up():
        yield made


@pytest.fixture
def target(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """An empty database."""
    name = f"target_{uuid4().hex}"
    postgres_cluster.execute(f"CREATE DATABASE {name}")
    yield postgres_cluster.url(name)
    postgres_cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def data_dir(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Path]:
    """An installation on SQLite: rows in every table, many rooms, and two recordings with their files."""
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "portico.db").rename(folder / "portico.db")
    db = open_database(f"sqlite:///{folder}/portico.db")

    def make(tx: Transaction) -> None:
        sample_rows(tx)
        joined = a_recorded_participant(tx)
        for _ in range(2):
            recording_id = a_recording(tx, joined.participant_id, "audio")
            key = recording_key(joined.session_id, recording_id, "ogg")
            content = CONTENT + recording_id.encode()
            of_file = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "object_key": key}
            changed = schema.room_recordings.update().where(schema.room_recordings.c.id == recording_id)
            tx.execute(changed.values(**of_file))
            file = folder / "files" / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        other = schema.room_recordings.c.object_key.not_in([file_key(folder, path) for path in files(folder)])
        tx.execute(schema.room_recordings.update().where(other).values(sha256=None))
        tx.execute(schema.room_compositions.update().values(sha256=None))
        account_id = rows(tx, schema.accounts)[0].id
        many = [{**_room(number), "account_id": account_id} for number in range(MANY)]
        tx.execute(schema.rooms.insert(), many)
        tx.execute(schema.events.delete().where(schema.events.c.seq == 1))

    try:
        await db.write(make)
        yield folder
    finally:
        await db.close()


def _room(number: int) -> dict[str, Any]:
    limits = {"max_participants": 10, "enable_recording": False, "webhook_event_failover_url": ""}
    return {"id": str(uuid4()), "unique_name": f"room {number}", "created_at": NOW, "updated_at": NOW, **limits}


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "files").rglob("*") if path.is_file()]


def file_key(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder / "files"))


async def start(data_dir: Path, bucket: Bucket, *arguments: str) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if name[:8] != "PORTICO_"}
    environment |= {
        "PORTICO_DATA_DIR": str(data_dir),
        "PORTICO_S3_ENDPOINT": bucket.endpoint,
        "PORTICO_S3_REGION": REGION,
        "PORTICO_S3_ACCESS_KEY_ID": ACCESS_KEY,
        "PORTICO_S3_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    command = [sys.executable, "-m", "portico", "migrate-store", *arguments]
    streams = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    return await asyncio.create_subprocess_exec(*command, cwd=data_dir.parent, env=environment, **streams)  # type: ignore[arg-type]


async def run(data_dir: Path, bucket: Bucket, *arguments: str) -> tuple[int | None, str, str]:
    process = await start(data_dir, bucket, *arguments)
    async with asyncio.timeout(WITHIN_SECS):
        out, err = await process.communicate()
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode(), err.decode()


async def everything(url: str) -> dict[str, list[Any]]:
    db = open_database(url)
    try:
        found = {}
        for table in copying.tables():
            found[table.name] = sorted(map(repr, await db.read(partial(rows, table=table))))
        return found
    finally:
        await db.close()


async def test_killed_in_between_and_run_again_all_is_there(data_dir: Path, target: str, bucket: Bucket) -> None:
    to_bucket = ("--to", target, "--storage", f"s3://{BUCKET}/moved")
    process = await start(data_dir, bucket, *to_bucket)
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN_SECS):
        while not (await process.stdout.readline()).startswith(b"rooms: "):
            assert process.returncode is None
    process.send_signal(signal.SIGKILL)
    await process.wait()

    for _ in range(2):
        status, out, err = await run(data_dir, bucket, *to_bucket)
        assert status == 0, err
        assert f"rooms: {MANY + 3} of {MANY + 3}" in out, out
        assert "files: 2 of 2" in out and "Done." in out
    assert "files: 2 of 2, 0 of them copied now" in out, "what is there is not copied again"
    assert await everything(target) == await everything(f"sqlite:///{data_dir}/portico.db")
    keys = {f"moved/{file_key(data_dir, path)}": path.read_bytes() for path in files(data_dir)}
    assert set(bucket.keys()) >= set(keys)
    for key, content in keys.items():
        assert bucket.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == content


async def test_a_server_goes_on_with_the_copy(
    data_dir: Path, target: str, bucket: Bucket, portico: type[PorticoServer]
) -> None:
    """Its keys open what they opened, and its events are numbered after those that were copied."""
    db = open_database(f"sqlite:///{data_dir}/portico.db")
    try:
        key = await db.write(lambda tx: api_keys.create(tx, "default", NOW))
        newest = max(row.seq for row in await db.read(partial(rows, table=schema.events)))
    finally:
        await db.close()
    assert (await run(data_dir, bucket, "--to", target))[0] == 0
    copy = open_database(target)
    try:
        keys = await copy.read(partial(tokens.read_keys, now=NOW + timedelta(hours=1)))
        assert keys.invite

        def go_on(tx: Transaction) -> int:
            found = api_keys.find(tx, key, now=NOW)
            assert found is not None
            a_recorded_participant(tx)
            return max(int(row.seq) for row in rows(tx, schema.events))

        assert await copy.write(go_on) > newest
    finally:
        await copy.close()


async def test_what_is_served_or_holds_other_data_is_refused(data_dir: Path, target: str, bucket: Bucket) -> None:
    copy = open_database(target)
    try:
        assert (await run(data_dir, bucket, "--to", target))[0] == 0
        before = await everything(target)
        await copy.write(a_room)
        status, out, err = await run(data_dir, bucket, "--to", target)
        assert (status, out) == (2, "") and "other data: 1 rows of room" in err
        assert len((await everything(target))["rooms"]) == len(before["rooms"]) + 1

        gateway_id = await copy.write(lambda tx: gateways.register(tx, database_now(tx)))
        assert "A server uses the target" in (await run(data_dir, bucket, "--to", target))[2]
        await copy.write(partial(gateways.retire, gateway_id=gateway_id, now=NOW))
    finally:
        await copy.close()


async def test_a_running_server_is_not_copied(portico: type[PorticoServer], tmp_path: Path, target: str) -> None:
    bucket = a_bucket()
    with portico(tmp_path / "served") as server:
        status, out, err = await run(server.data_dir, bucket, "--to", target)
        assert (status, out) == (2, "") and "stop it" in err


async def test_damaged_and_missing_files_are_named_and_the_others_copied(
    data_dir: Path, target: str, bucket: Bucket
) -> None:
    damaged, good = files(data_dir)
    damaged.write_bytes(damaged.read_bytes().replace(b"OggS", b"oggs"))
    storage = f"s3://{BUCKET}/damaged"
    status, _, err = await run(data_dir, bucket, "--to", target, "--storage", storage)
    assert status == 2 and f"{file_key(data_dir, damaged)} is damaged" in err
    keys = bucket.keys()
    copied = [key for key in keys if key.startswith("damaged/")]
    assert copied == [f"damaged/{file_key(data_dir, good)}"]
    damaged.unlink()
    assert "is missing" in (await run(data_dir, bucket, "--to", target, "--storage", storage))[2]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--to", "sqlite:////tmp/x.db"], "one machine"),
        (["--to", "mysql://x@y/z"], "DATABASE_URL"),
        (["--to", "postgresql://portico:secret@127.0.0.1/x"], "TARGET_DATABASE_URL"),
        ([], "--to"),
        (["--to", "postgresql://x@y/z", "--storage", "ftp://x"], "s3://"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_what_cannot_be_done_is_one_sentence(
    sqlite_url: str, tmp_path: Path, arguments: list[str], named: str
) -> None:
    (tmp_path / "data").mkdir()
    status, out, err = await run(tmp_path / "data", a_bucket(), *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1) and named in err, err
