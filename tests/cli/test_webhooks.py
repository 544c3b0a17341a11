"""The commands for webhooks as people use them, beside a server and without one."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from portico.core.samples import EVENT_TYPES
from portico.db.connect import open_database
from portico.db.engine import Database, Transaction
from portico.services import event_feed, webhooks
from tests.factories import a_participant, a_room, an_event, rows
from tests.mounts import pseudo_terminal
from tests.receiver import Receiver, status
from tests.servers import PorticoServer
from tests.set_clock import SetClock

pytestmark = pytest.mark.slow

NOBODYS = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0"
WITHIN_SECS = 60.0
URL = "http://127.0.0.1:1/hook"


def _listen_to_ctrl_c() -> None:
    """Shells have what they start in the background ignore it, a test run among them, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Shell:
    """A data directory with a database, and the command that works on it."""

    data_dir: Path
    db: Database
    environment: Mapping[str, str] = field(default_factory=dict)

    async def start(self, *arguments: str, **how: Any) -> asyncio.subprocess.Process:
        environment = {name: value for name, value in os.environ.items() if name[:8] != "PORTICO_"}
        environment |= {"PORTICO_DATA_DIR": str(self.data_dir), "COLUMNS": "300", **self.environment}
        streams = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE} | how
        command = [sys.executable, "-m", "portico", *arguments]
        folder = self.data_dir.parent
        return await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment, preexec_fn=_listen_to_ctrl_c, **streams
        )

    async def run(self, *arguments: str) -> Done:
        process = await self.start(*arguments)
        async with asyncio.timeout(WITHIN_SECS):
            out, err = await process.communicate()
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return Done(process.returncode, out.decode(), err.decode())

    async def deliveries(self) -> dict[str, Any]:
        return {row.id: row for row in await self.db.read(lambda tx: rows(tx, webhooks.DELIVERIES))}

    async def public_key(self) -> str:
        return (await self.run("webhooks", "key")).out.split()[0]


@pytest_asyncio.fixture
async def shell(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Shell]:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (tmp_path / "portico.db").rename(data_dir / "portico.db")
    db = open_database(f"sqlite:///{data_dir}/portico.db")
    try:
        yield Shell(data_dir, db)
    finally:
        await db.close()


def joined(tx: Transaction, now: datetime, url: str | None = URL) -> str:
    """A participant joins a new room: two events."""
    room_id = a_room(tx, webhook_event_url=url, now=now)
    a_participant(tx, room_id, context="Alice", now=now)
    return room_id


async def join(shell: Shell, *, ago: timedelta = timedelta(), url: str | None = URL) -> str:
    return await shell.db.write(partial(joined, now=datetime.now(UTC) - ago, url=url))


def fail(tx: Transaction, room_id: str, now: datetime, body: str) -> None:
    """Each delivery of the room was tried once, and is given up."""
    for row in rows(tx, webhooks.DELIVERIES, room_id=room_id):
        webhooks.record_attempt(
            tx,
            row.id,
            number=1,
            url=row.url,
            started_at=now,
            finished_at=now + timedelta(milliseconds=12),
            delivered=False,
            status_code=500,
            error="answered 500",
            request_headers={},
            response_headers={},
            response_body=body,
        )
        webhooks.conclude_round(tx, row.id, delivered=False, next_due=None, now=now)


async def failed(shell: Shell, *, ago: timedelta = timedelta(), body: str = "") -> str:
    room_id = await join(shell, ago=ago)
    await shell.db.write(partial(fail, room_id=room_id, now=datetime.now(UTC) - ago, body=body))
    return room_id


async def test_list_is_made_for_programs(shell: Shell) -> None:
    await join(shell, ago=timedelta(hours=1))
    room_id = await failed(shell)
    done = await shell.run("webhooks", "list")
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert (done.status, done.err, len(lines)) == (0, "", 4)
    newest = next(line for line in lines if line[1] == "video.room.participant.joined")
    assert newest[2:5] == [room_id, "failed", "1"] and newest[6] == "answered 500, 12 ms"
    assert {line[0] for line in lines} == set(await shell.deliveries())
    chosen = await shell.run("webhooks", "list", "--status", "failed", "--room", room_id.upper(), "--limit", "1")
    assert len(chosen.out.splitlines()) == 1


async def test_list_is_a_table_on_a_terminal(shell: Shell) -> None:
    await failed(shell)
    screen, terminal = pseudo_terminal()
    process = await shell.start("webhooks", "list", stdout=terminal)
    os.close(terminal)
    shown = await asyncio.to_thread(read_all, screen)
    assert await process.wait() == 0
    assert "Last attempt" in shown and "answered 500, 12 ms" in shown


async def test_show_prints_everything_and_moves_no_cursor(shell: Shell) -> None:
    await failed(shell, body="\x1b[2Joops\nsecond line")
    delivery_id, row = next(iter((await shell.deliveries()).items()))
    done = await shell.run("webhooks", "show", delivery_id.upper())
    assert done.status == 0
    assert json.dumps(json.loads(row.data), indent=2) in done.out
    assert "answered 500, 12 ms" in done.out and URL in done.out
    assert "   | \\x1b[2Joops\n   | second line" in done.out


async def test_replay_of_one_and_of_those_that_failed(shell: Shell) -> None:
    old, recent = await failed(shell, ago=timedelta(hours=3)), await failed(shell)
    one = next(each for each, row in (await shell.deliveries()).items() if row.room_id == old)
    assert (await shell.run("webhooks", "replay", one)).out == "The event will be delivered once more by the server.\n"
    assert [each for each, row in (await shell.deliveries()).items() if row.status == "pending"] == [one]
    assert "2 events" in (await shell.run("webhooks", "replay", "--failed", "--since", "2h")).out
    pending = [row.room_id for row in (await shell.deliveries()).values() if row.status == "pending"]
    assert sorted(pending) == sorted([old, recent, recent])
    assert "1 event " in (await shell.run("webhooks", "replay", "--failed")).out
    assert {row.status for row in (await shell.deliveries()).values()} == {"pending"}


async def test_the_key_and_its_successor(shell: Shell) -> None:
    first = (await shell.run("webhooks", "key")).out
    assert len(first.splitlines()) == 1
    assert not (shell.data_dir / "webhook-keys.json").exists(), "the key is a row"
    announced = (await shell.run("webhooks", "rotate-key", "--overlap-hours", "1")).out
    assert (await shell.run("webhooks", "key")).out == first + announced
    at_once = (await shell.run("webhooks", "rotate-key", "--overlap-hours", "0")).out
    assert await shell.public_key() == at_once.split()[0] != first.strip()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["webhooks", "show", "x"], "There is no delivery x"),
        (["webhooks", "replay", NOBODYS], "There is no delivery"),
        (["webhooks", "replay"], "--failed"),
        (["webhooks", "replay", "x", "--failed"], "--failed"),
        (["webhooks", "replay", "x", "--since", "2h"], "--since"),
        (["webhooks", "replay", "--failed", "--since", "soon"], "started_at should be a date"),
        (["webhooks", "list", "--status", "lost"], "pending, delivered, failed"),
        (["webhooks", "list", "--room", "x"], "a UUID"),
        (["webhooks", "list", "--limit", "0"], "--limit"),
        (["listen", "--room", "x"], "There is no room x"),
        (["listen", "--room", NOBODYS], "There is no room"),
        (["listen", "--forward", "localhost:3000"], "http://"),
        (["trigger", "video.room.recording.ended"], "video.room.participant.joined, video.room.participant.left"),
        (["trigger", EVENT_TYPES[0], "--to", ""], "required"),
        (["trigger", EVENT_TYPES[0], "--to", URL], "connection refused"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
async def test_what_cannot_be_done_is_one_sentence(shell: Shell, arguments: list[str], named: str) -> None:
    done = await shell.run(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done
    assert done.err.startswith("portico: ") and named in done.err


async def test_a_directory_without_a_database_and_a_broken_key_file(shell: Shell, tmp_path: Path) -> None:
    nowhere = Shell(tmp_path / "nowhere", shell.db)
    assert "portico serve" in (await nowhere.run("webhooks", "list")).err
    assert not nowhere.data_dir.exists()
    (shell.data_dir / "webhook-keys.json").write_text("{}")
    broken = await shell.run("webhooks", "key")
    assert broken.status == 2 and "webhook-keys.json" in broken.err and broken.err.count("\n") == 1


@pytest.mark.parametrize("event_type", EVENT_TYPES)
async def test_trigger_sends_a_sample_as_a_real_webhook(shell: Shell, event_type: str) -> None:
    async with Receiver(status(200, b"thank\x1b you")) as receiver:
        done = await shell.run("trigger", event_type, "--to", receiver.url)
        (request,) = await receiver.wait_for(1, WITHIN_SECS)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("200 in ") and "thank\\x1b you" in done.out
    request.check_signature(await shell.public_key())
    assert request.event["event_type"] == event_type and request.event["record_type"] == "event"
    assert request.json["meta"] == {"attempt": 1, "delivered_to": receiver.url}


async def test_trigger_shows_what_the_receiver_does_not_like(shell: Shell) -> None:
    async with Receiver(status(400, b"bad signature")) as receiver:
        done = await shell.run("trigger", EVENT_TYPES[0], "--to", receiver.url)
    assert done.status == 2 and "bad signature" in done.out
    assert done.err == f"portico: Not delivered to {receiver.url}: answered 400.\n"


async def test_trigger_without_a_url_prints_what_it_would_send(shell: Shell) -> None:
    done = await shell.run("trigger", "video.room.participant.left")
    head, _, body = done.out.partition("\n\n")
    assert done.status == 0
    assert "telnyx-signature-ed25519: " in head
    assert set(json.loads(body)["data"]["payload"]) == {
        "session_id",
        "room_id",
        "participant_id",
        "context",
        "duration_secs",
        "left_reason",
    }


async def test_listen_prints_and_forwards_what_happens_from_now_on(shell: Shell) -> None:
    await join(shell)
    async with Receiver(status(200), status(500)) as receiver, listening(shell, "--forward", receiver.url) as output:
        room_id = await join(shell, url=None)  # forwarding needs no webhook
        lines = [await output() for _ in range(4)]
        requests = await receiver.wait_for(2, WITHIN_SECS)
    assert [line.split()[1] for line in lines[::2]] == ["video.room.session.started", "video.room.participant.joined"]
    assert lines[1].startswith("    -> 200 in ") and lines[3].startswith("    -> answered 500 in ")
    assert json.loads(lines[2].split(maxsplit=2)[2]) == requests[1].event["payload"]
    assert requests[1].event["payload"]["room_id"] == room_id
    assert requests[0].json["meta"] == {"attempt": 1, "delivered_to": receiver.url}
    public = await shell.public_key()
    for request in requests:
        request.check_signature(public)


async def test_listen_to_one_room(shell: Shell) -> None:
    room_id = await shell.db.write(partial(a_room, now=datetime.now(UTC)))
    async with listening(shell, "--room", room_id.upper()) as output:
        await join(shell)
        await shell.db.write(lambda tx: a_participant(tx, room_id, now=datetime.now(UTC)))
        for _ in range(2):
            assert room_id in await output()


async def test_listen_waits_for_a_missing_number_although_the_clock_is_set(shell: Shell, tmp_path: Path) -> None:
    """On PostgreSQL a transaction that commits late has an event with a smaller number than one that was shown."""
    clock = SetClock(tmp_path / "clock")
    room_id = await join(shell)
    async with listening(Shell(shell.data_dir, shell.db, clock.environment)) as output:
        newest = (await shell.db.read(event_feed.newest)).last
        for number, step in ((newest + 2, 3600), (newest + 1, 0)):
            await shell.db.write(partial(an_event, seq=number, room_id=room_id, number=number))
            assert str(number) in await output()
            clock.set(step)


async def test_what_is_forwarded_is_what_is_delivered(shell: Shell) -> None:
    async with Receiver() as receiver, listening(shell, "--forward", receiver.url):
        room_id = await join(shell)
        forwarded = await receiver.wait_for(2, WITHIN_SECS)
    queued = sorted(
        (row for row in (await shell.deliveries()).values() if row.room_id == room_id), key=lambda row: int(row.seq)
    )
    assert [each.data_bytes.decode() for each in forwarded] == [row.data for row in queued]


async def test_beside_a_server(tmp_path: Path, portico: type[PorticoServer]) -> None:
    with portico(tmp_path / "data") as server:
        db = open_database(f"sqlite:///{server.data_dir}/portico.db")
        shell = Shell(server.data_dir, db)
        try:
            async with Receiver() as receiver, listening(shell) as output:
                published = await asyncio.to_thread(server.get, "/v2/public_key")
                assert published["data"]["public"] == await shell.public_key()
                await join(shell, url=receiver.url)
                assert "session.started" in await output() and "participant.joined" in await output()
                (first, _) = await receiver.wait_for(2, WITHIN_SECS)
                first.check_signature(published["data"]["public"])

                await asyncio.to_thread(server.restart)  # ends the participant of before
                assert "participant.left" in await output() and "session.ended" in await output()
                await receiver.wait_for(4, WITHIN_SECS)
                await shell.run("webhooks", "rotate-key", "--overlap-hours", "0")
                oldest = min((await shell.deliveries()).values(), key=lambda row: int(row.seq))
                await shell.run("webhooks", "replay", oldest.id)
                again = (await receiver.wait_for(5, WITHIN_SECS))[-1]
                again.check_signature(await shell.public_key())
                assert again.data_bytes == first.data_bytes and again.json["meta"]["attempt"] == 2
        finally:
            await db.close()


@asynccontextmanager
async def listening(shell: Shell, *arguments: str) -> AsyncIterator[Callable[[], Any]]:
    """`portico listen` that is ready; what is given returns its next line. It ends with Ctrl-C and status 0."""
    process = await shell.start("listen", *arguments)
    assert process.stdout is not None and process.stderr is not None
    try:
        async with asyncio.timeout(WITHIN_SECS):
            ready = await process.stderr.readline()
        assert b"Listening" in ready, ready

        async def next_line() -> str:
            assert process.stdout is not None
            async with asyncio.timeout(WITHIN_SECS):
                return (await process.stdout.readline()).decode().rstrip("\n")

        yield next_line
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(WITHIN_SECS):
            _, err = await process.communicate()
        assert (process.returncode, err) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def read_all(descriptor: int) -> str:
    """A terminal's output until its last writer is gone, which Linux reports as an error."""
    chunks = []
    try:
        while chunk := os.read(descriptor, 4096):
            chunks.append(chunk)
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return b"".join(chunks).decode()
