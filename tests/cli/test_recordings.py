"""`portico recordings` and `portico compositions` beside a running server, whose worker the tests stand in for."""

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from portico.core.object_keys import composition_key
from portico.db import schema
from portico.db.engine import Transaction
from portico.services import compositions
from portico.services.compositions import CompositionFile
from portico.services.participants import Joined
from tests.cli.test_webhooks import WITHIN_SECS, Shell, read_all, shell
from tests.factories import NOW, row, rows
from tests.mounts import pseudo_terminal
from tests.recorded import a_recorded_participant, a_recording, a_stream, link, over

pytestmark = pytest.mark.slow

NOBODYS = "0ccc7b54-4df3-4bca-a65a-35a1ecc777f0"
__all__ = ["shell"]

SECONDS = 83


def recorded(tx: Transaction) -> tuple[Joined, str]:
    """A session that is over, with one recording."""
    joined = a_recorded_participant(tx)
    recording_id = a_recording(tx, joined.participant_id)
    over(tx, joined.session_id, now=NOW + timedelta(minutes=2))
    return joined, recording_id


def complete(tx: Transaction, composition_id: str) -> None:
    ended_at = NOW + timedelta(seconds=SECONDS)
    file = CompositionFile(1_230_000, "0" * 64, composition_key(composition_id), NOW, ended_at)
    assert compositions.complete(tx, composition_id, file, link, now=NOW)


async def do(shell: Shell, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await shell.db.write(lambda tx: function(tx, *args, **kwargs))


async def created_composition(shell: Shell, *options: str) -> str:
    """A composition that was created at the command line."""
    joined, _ = await do(shell, recorded)
    done = await shell.run("compositions", "create", joined.session_id.upper(), *options)
    assert (done.status, done.err) == (0, "")
    return done.out.split()[-1]


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN_SECS):
        return (await process.stdout.readline()).decode().rstrip("\n")


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(WITHIN_SECS):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_recordings_are_listed_as_the_api_shows_them(shell: Shell) -> None:
    joined, recording_id = await do(shell, recorded)
    await do(shell, lambda tx: a_stream(tx, a_recorded_participant(tx).participant_id))  # has no recording so far
    done = await shell.run("recordings", "list")
    expected = [recording_id, joined.session_id, joined.participant_id, "video", "completed"]
    assert done.out == "\t".join([*expected, "2026-02-02T22:25:27Z", "1:00", "5.6"]) + "\n"
    _, other_id = await do(shell, recorded)
    chosen = (await shell.run("recordings", "list", "--session", joined.session_id, "--links")).out.split("\t")
    assert chosen[0] == recording_id and chosen[-1].startswith("http://127.0.0.1:8080/files/recordings/")
    assert len((await shell.run("recordings", "list")).out.splitlines()) == 2
    newest = (await shell.run("recordings", "list", "--limit", "1")).out.splitlines()
    assert [line.split("\t")[0] for line in newest] == [max(recording_id, other_id)]  # both of one instant: by id


async def test_a_composition_is_created_and_listed(shell: Shell) -> None:
    composition_id = await created_composition(shell, "--resolution", "640x360")
    made = await shell.db.read(partial(row, table=schema.room_compositions, row_id=composition_id))
    assert (made.status, made.resolution, made.audio_sources) == ("enqueued", "640x360", ["*"])
    assert len(await shell.db.read(partial(rows, table=schema.jobs, kind="compose", subject=composition_id))) == 1
    await do(shell, compositions.fail, composition_id, "The disk\x1b[2J was full.", now=NOW)
    listed = (await shell.run("compositions", "list", "--session", made.session_id)).out.rstrip("\n").split("\t")
    assert listed[:5] == [composition_id, made.session_id, "failed", "0 %", "640x360"]
    assert listed[-1] == "The disk\\x1b[2J was full."


async def test_watching_shows_each_step_and_ends_with_the_link(shell: Shell) -> None:
    composition_id = await created_composition(shell)
    process = await shell.start("compositions", "watch", composition_id.upper())
    assert await line_of(process) == "enqueued"
    await do(shell, compositions.begin, composition_id, now=NOW)
    assert await line_of(process) == "processing 0 %"
    await do(shell, compositions.set_progress, composition_id, 0.429, now=NOW)
    assert await line_of(process) == "processing 42 %"
    await do(shell, complete, composition_id)
    status, out, err = await ended(process)
    assert (status, err) == (0, "")
    assert out.startswith("completed\n1:23, 1.23 MB: ")
    assert out.split()[-1].startswith("http://127.0.0.1:8080/files/compositions/")
    assert composition_id in out.split()[-1]


async def test_watching_from_the_beginning(shell: Shell) -> None:
    joined, _ = await do(shell, recorded)
    process = await shell.start("compositions", "create", joined.session_id, "--watch")
    composition_id = (await line_of(process)).split()[-1]
    assert await line_of(process) == "enqueued"
    await do(shell, compositions.fail, composition_id, "No recording could be read.", now=NOW)
    assert await ended(process) == (1, "failed\n", "portico: No recording could be read.\n")


async def test_a_terminal_has_a_bar(shell: Shell) -> None:
    composition_id = await created_composition(shell)
    await do(shell, compositions.begin, composition_id, now=NOW)
    await do(shell, complete, composition_id)
    screen, terminal = pseudo_terminal()
    process = await shell.start("compositions", "watch", composition_id, stdout=terminal)
    os.close(terminal)
    # Read while it runs: on a busy machine it draws more often, and a terminal that is not read is soon full.
    async with asyncio.timeout(WITHIN_SECS):
        shown = await asyncio.to_thread(read_all, screen)
        assert await process.wait() == 0
    assert "━" in shown and "100%" in shown and shown.split()[-1].startswith("http://")


async def test_ctrl_c_ends_the_watch_and_not_the_composition(shell: Shell) -> None:
    composition_id = await created_composition(shell)
    process = await shell.start("compositions", "watch", composition_id)
    assert await line_of(process) == "enqueued"
    process.send_signal(signal.SIGINT)
    status, out, err = await ended(process)
    assert (status, out) == (130, "")
    again = f"portico compositions watch {composition_id} shows its progress again."
    assert err == f"The server goes on with the composition: {again}\n"
    made = await shell.db.read(partial(row, table=schema.room_compositions, row_id=composition_id))
    assert made.status == "enqueued"


async def test_watching_a_composition_that_is_deleted(shell: Shell) -> None:
    composition_id = await created_composition(shell)
    process = await shell.start("compositions", "watch", composition_id)
    assert await line_of(process) == "enqueued"
    account_id = (await shell.db.read(partial(row, table=schema.room_compositions, row_id=composition_id))).account_id
    await do(shell, compositions.delete, account_id, composition_id, now=NOW)
    status, _, err = await ended(process)
    assert status == 2 and err.startswith("portico: There is no composition") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["recordings", "list", "--session", "x"], "There is no session x"),
        (["recordings", "list", "--limit", "0"], "--limit"),
        (["compositions", "list", "--session", NOBODYS], "There is no session"),
        (["compositions", "watch", NOBODYS], "There is no composition"),
        (["compositions", "watch", "\x1b"], "There is no composition \\x1b"),
        (["compositions", "watch"], "ID"),
        (["compositions", "create", NOBODYS], "There is no session"),
        (["compositions", "create"], "SESSION_ID"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
async def test_what_cannot_be_done_is_one_sentence(shell: Shell, arguments: list[str], named: str) -> None:
    done = await shell.run(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done
    assert done.err.startswith("portico: ") and named in done.err


async def test_a_wrong_resolution_is_refused(shell: Shell) -> None:
    joined, _ = await do(shell, recorded)
    done = await shell.run("compositions", "create", joined.session_id, "--resolution", "4000x3000")
    assert (done.status, done.out) == (2, "")
    assert done.err == "portico: Width and height should be from 16 to 1280.\n"
    assert await shell.db.read(partial(rows, table=schema.room_compositions)) == []
