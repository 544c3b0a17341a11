"""`portico import-telnyx` from a second Portico in the role of the hosted service, which limits requests."""

import asyncio
import hashlib
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from portico.core.object_keys import composition_key, recording_key
from portico.db import schema
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import api_keys, compositions
from tests.api.world import World, world_on
from tests.cli.test_webhooks import Shell
from tests.factories import NOW, a_participant, a_room, row, rows
from tests.recorded import a_recorded_participant, a_recording, over

pytestmark = pytest.mark.slow
PEOPLE = 3
WITHIN_SECS = 60.0


class Hosted:
    """The hosted service: lets through what it is asked for, after each `limited`th request answered with 429."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.requests = 0
        self.refused = 0
        self.limited_each = 3

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        if scope["type"] == "http" and self.requests % self.limited_each == 0:
            self.refused += 1
            await PlainTextResponse("slow down", 429, {"Retry-After": "0"})(scope, receive, send)
            return
        await self._app(scope, receive, send)


@dataclass
class Account:
    """An account of it, and where it is reached."""

    base_url: str
    key: str
    hosted: Hosted
    world: World
    files: dict[str, bytes]


def of_length(kind: str, number: int) -> bytes:
    return f"{kind} {number} ".encode() * 1000


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def account(sqlite_url: str) -> AsyncIterator[Account]:
    """Rooms, two ended sessions, one that goes on, recordings with their files, and a composition."""
    db = open_database(sqlite_url)
    files: dict[str, bytes] = {}

    async def file(request: Request) -> Response:
        return Response(files[request.path_params["key"]])

    try:
        async with world_on(db) as world:
            world.app.router.routes.insert(0, Route("/files/{key:path}", file))
            hosted = Hosted(world.app)
            async with served(hosted) as port:
                base = f"http://127.0.0.1:{port}"
                world.app.state.api = _with_link(world.app.state.api, lambda key, name: f"{base}/files/{key}")
                await db.write(partial(_fill, files=files))
                yield Account(f"{base}/v2", world.key, hosted, world, files)
    finally:
        await db.close()


def _with_link(context: Any, link: Callable[[str, str], str]) -> Any:
    return replace(context, link=link)


def _fill(tx: Transaction, files: dict[str, bytes]) -> None:
    for number in range(PEOPLE):
        joined = a_recorded_participant(tx, account="one")
        for kind, ending in (("audio", "ogg"), ("video", "webm")):
            recording_id = a_recording(tx, joined.participant_id, kind)
            files[recording_key(joined.session_id, recording_id, ending)] = of_length(kind, number)
        over(tx, joined.session_id, now=NOW + timedelta(minutes=2))
    made = compositions.create(
        tx,
        row(tx, schema.room_sessions, joined.session_id).account_id,
        {"session_id": joined.session_id},
        regions_max=16,
        sound_by_default=True,
        now=NOW,
    )
    of_file = {"object_key": composition_key(made.id), "size_bytes": 1_230_000, "sha256": "0" * 64, "duration_secs": 83}
    times = {"started_at": NOW, "ended_at": NOW + timedelta(seconds=83), "completed_at": NOW}
    done = schema.room_compositions.update().where(schema.room_compositions.c.id == made.id)
    tx.execute(done.values(status="completed", progress=1.0, **of_file, **times))
    files[composition_key(made.id)] = of_length("composition", 0)
    a_participant(tx, a_room(tx, account="one", unique_name="goes on"))


async def test_killed_in_between_and_run_again_all_is_there_once(
    account: Account, tmp_path: Path, sqlite_template: Path
) -> None:
    data_dir = tmp_path / "here"
    data_dir.mkdir()
    shell = Shell(data_dir, account.world.db, {"TELNYX_API_KEY": account.key})
    process = await shell.start("import-telnyx", "--base-url", account.base_url)
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN_SECS):
        while not (line := await process.stdout.readline()).startswith(b"room_recordings: "):
            assert line or process.returncode is None
    process.send_signal(signal.SIGKILL)
    await process.wait()

    first = await shell.run("import-telnyx", "--base-url", account.base_url)
    assert first.status == 0, first.err
    assert account.hosted.refused > 3 and "asks to wait" in first.out
    again = await shell.run("import-telnyx", "--base-url", account.base_url)
    assert again.status == 0 and "room_recordings: 6 read, 0 new" in again.out

    db = open_database(f"sqlite:///{data_dir}/portico.db")
    try:
        for table in (schema.rooms, schema.room_recordings, schema.room_compositions):
            here = {each.id for each in await db.read(partial(rows, table=table))}
            found = await account.world.db.read(partial(rows, table=table))
            there = {each.id for each in found if table is schema.rooms or each.object_key is not None}
            assert here == there, table.name
        (goes_on,) = [
            each for each in await account.world.db.read(partial(rows, table=schema.room_sessions)) if each.active
        ]
        sessions = {each.id: each for each in await db.read(partial(rows, table=schema.room_sessions))}
        assert len(sessions) == PEOPLE and goes_on.id not in sessions
        assert len(await db.read(partial(rows, table=schema.room_participants))) == PEOPLE
        for recording in await db.read(partial(rows, table=schema.room_recordings)):
            content = (data_dir / "files" / recording.object_key).read_bytes()
            assert content == account.files[recording.object_key]
            assert recording.sha256 == hashlib.sha256(content).hexdigest() and recording.size_bytes == len(content)
        await _same_answers(account, db)
    finally:
        await db.close()


async def _same_answers(account: Account, db: Database) -> None:
    """The API here answers as the hosted one does, but for what is different by nature."""
    async with world_on(db) as here:
        key = await db.write(lambda tx: api_keys.create(tx, "default", NOW))
        headers = {"Authorization": f"Bearer {key}"}
        for path in ("room_recordings", "room_compositions", "room_participants"):
            theirs = (await account.world.k1.get(f"/v2/{path}")).json()["data"]
            ours = {each["id"]: each for each in (await here.k1.get(f"/v2/{path}", headers=headers)).json()["data"]}
            for each in theirs:
                if each["id"] not in ours:
                    assert path == "room_participants"  # of the session that goes on
                    continue
                differs = {"download_url", "size_mb", "user_id"}
                assert {k: v for k, v in ours[each["id"]].items() if k not in differs} == {
                    k: v for k, v in each.items() if k not in differs
                }


async def test_a_refused_key_and_a_server_that_is_away_are_sentences(account: Account, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    shell = Shell(tmp_path / "here", account.world.db)
    wrong = await shell.run("import-telnyx", "--api-key", "wrong", "--base-url", account.base_url)
    assert wrong.status == 2 and "key is refused" in wrong.err and wrong.err.count("\n") == 1
    assert (await shell.run("import-telnyx", "--api-key", "x", "--base-url", "ftp://x")).status == 2
