"""The node with a real Janus: requests, and every way in which Janus can be lost."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
import time
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from portico.janus.child import let_janus_in, spawn
from portico.janus.config import ECHOTEST, EVENT_HANDLER, PLUGINS, TRANSPORT, JanusSecrets, write_config
from portico.janus.link import ADMIN_SUBPROTOCOL, SUBPROTOCOL
from portico.janus.node import (
    AUDIOBRIDGE,
    TEXTROOM,
    VIDEOROOM,
    JanusError,
    JanusNode,
    JanusSettings,
    JanusUnavailable,
)
from portico.runtime.child import protect
from portico.runtime.child_process import free_port
from tests.janus.conftest import Losses, MakeNode
from tests.waiting import until_at_pace as until

BEGINS_WITHIN_SECS = 60.0
"""How long a test waits for a Janus or a Python that begins, which a busy machine delays."""
_ROOM_EXISTS = {VIDEOROOM: 427, AUDIOBRIDGE: 486, TEXTROOM: 418}


def running(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended before or while this was read
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def with_folder(folder: Path) -> list[int]:
    """Processes whose command line names a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def pid_of(node: JanusNode) -> int:
    assert node.pid is not None
    return node.pid


async def test_starts_in_less_than_a_second(make_node: MakeNode, janus_binary: Path) -> None:
    node = make_node(binary=janus_binary)
    took = []
    for _ in range(3):  # the best of three, because a busy machine may delay any one of them
        await node.stop()
        begun = time.monotonic()
        await node.start()
        took.append(time.monotonic() - begun)
    assert min(took) < 1
    assert node.is_up
    assert str(node.version).startswith("1.")
    assert "janus" in Path(f"/proc/{pid_of(node)}/comm").read_text()


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_rooms_are_created_with_the_admin_key_only(node: JanusNode, plugin: str) -> None:
    create = {"request": "create", "room": 7, "permanent": False, "admin_key": node.admin_key}
    assert (await node.request(plugin, create))["room"] == 7
    with pytest.raises(JanusError) as exists:
        await node.request(plugin, create)
    assert exists.value.code == _ROOM_EXISTS[plugin]
    with pytest.raises(JanusError):
        await node.request(plugin, {**create, "room": 8, "admin_key": "wrong"})


async def test_many_requests_at_once_get_their_own_answers(node: JanusNode) -> None:
    rooms = range(1, 201)
    create = {"request": "create", "permanent": False, "admin_key": node.admin_key}
    answers = await asyncio.gather(*(node.request(TEXTROOM, {**create, "room": room}) for room in rooms))
    assert [answer["room"] for answer in answers] == list(rooms)


async def test_only_the_plugins_we_use_and_one_transport_are_loaded(node: JanusNode) -> None:
    answer = await node.core_request({"janus": "info"})
    assert set(answer["plugins"]) == {ECHOTEST, *PLUGINS}
    assert set(answer["transports"]) == {TRANSPORT}
    assert answer["ice-lite"] is False
    assert answer["reclaim-session-timeout"] == 0


async def test_the_api_needs_the_secret(node: JanusNode) -> None:
    async with aiohttp.ClientSession() as client, client.ws_connect(node.url, protocols=(SUBPROTOCOL,)) as socket:
        for secret, expected in (
            ({}, "error"),
            ({"apisecret": "x"}, "error"),
            ({"apisecret": node.api_secret}, "success"),
        ):
            await socket.send_json({"janus": "create", "transaction": "t", **secret})
            assert (await socket.receive_json(timeout=5))["janus"] == expected


async def test_the_admin_api_needs_its_own_secret(node: JanusNode) -> None:
    url, protocols = node._admin_url, (ADMIN_SUBPROTOCOL,)
    async with aiohttp.ClientSession() as client, client.ws_connect(url, protocols=protocols) as socket:
        for secret, expected in (
            ({}, "error"),
            ({"admin_secret": "x"}, "error"),
            ({"admin_secret": node.api_secret}, "error"),
            ({"admin_secret": node._secrets.admin_secret}, "success"),
        ):
            await socket.send_json({"janus": "list_sessions", "transaction": "t", **secret})
            assert (await socket.receive_json(timeout=5))["janus"] == expected


async def test_janus_listens_on_loopback_only(node: JanusNode) -> None:
    inodes = set()
    for path in Path(f"/proc/{node.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile: the connection that asked whether it listens
            inodes.add(str(path.readlink()))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    assert [address.partition(":")[0] for address in listening] == ["0100007F"] * 2  # the API and the Admin API


async def test_files_and_folder_are_private(node: JanusNode, tmp_path: Path) -> None:
    folder = tmp_path / "janus"
    read_by_janus = 0o040 if protect().owner else 0  # by its group; nothing is written by it, or seen by others
    assert stat.S_IMODE(folder.stat().st_mode) == (0o750 if protect().owner else 0o700)
    configured = (TRANSPORT, EVENT_HANDLER, ECHOTEST, *PLUGINS)
    names = {"janus.jcfg", "janus.log", "lock", *(f"{name}.jcfg" for name in configured)}
    assert {path.name for path in folder.iterdir()} == names
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {name: 0o600 | read_by_janus * name.endswith(".jcfg") for name in names}
    assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {os.geteuid()}


async def test_the_child_may_open_many_files_and_knows_no_key_of_ours(
    make_node: MakeNode, janus_binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTICO_API_KEY", "not for janus")
    node = make_node(binary=janus_binary)
    await node.start()
    limits = Path(f"/proc/{node.pid}/limits").read_text()
    soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
    assert soft == hard
    assert b"PORTICO_" not in Path(f"/proc/{node.pid}/environ").read_bytes()


async def test_janus_runs_without_privileges(node: JanusNode, tmp_path: Path) -> None:
    lines = Path(f"/proc/{node.pid}/status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert status["NoNewPrivs"] == ["1"]
    assert {status[name][0] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    owner = protect().owner
    if owner is not None:
        assert set(status["Uid"]) == {str(owner[0])} and owner[0] != os.geteuid()
        (tmp_path / "portico.db").touch()
        seen = Path(f"/proc/{node.pid}/root") / tmp_path.relative_to("/")
        assert {path.name for path in seen.iterdir()} == {"janus", "dumps"}


async def test_a_killed_janus_is_noticed_and_replaced(node: JanusNode, losses: Losses) -> None:
    first = pid_of(node)
    os.kill(first, signal.SIGKILL)
    await until(lambda: bool(losses), 2)
    assert not node.is_up
    with pytest.raises(JanusUnavailable):
        await node.request(VIDEOROOM, {"request": "list"})
    await until(lambda: node.is_up, 5)
    assert pid_of(node) != first
    assert (await node.request(VIDEOROOM, {"request": "exists", "room": 1}))["exists"] is False
    assert losses == ["Janus was killed by SIGKILL"]


async def test_a_hanging_janus_is_noticed_killed_and_replaced(node: JanusNode, losses: Losses) -> None:
    first = pid_of(node)
    os.kill(first, signal.SIGSTOP)
    await until(lambda: bool(losses), 10)
    assert not running(first)
    await until(lambda: node.is_up, 5)
    assert losses == ["Janus does not answer any more"]


async def test_a_request_to_a_hanging_janus_ends_with_its_deadline(node: JanusNode) -> None:
    os.kill(pid_of(node), signal.SIGSTOP)
    while Path(f"/proc/{pid_of(node)}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        await asyncio.sleep(0.01)  # its threads stop one after the other
    with pytest.raises(JanusUnavailable, match=r"within 0\.2 s"):
        await node.request(VIDEOROOM, {"request": "list"}, timeout=0.2)
    os.kill(pid_of(node), signal.SIGCONT)
    assert (await node.request(VIDEOROOM, {"request": "exists", "room": 1}))["exists"] is False


async def test_a_slow_or_failing_on_lost_does_not_stop_the_restart(
    janus_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portico.janus.node.LOST_DEADLINE", 0.3)
    calls: list[str] = []
    never = asyncio.Event()

    async def on_lost(reason: str) -> None:
        calls.append(reason)
        if len(calls) == 1:
            raise RuntimeError("the database is gone")
        await never.wait()

    ups: list[bool] = []

    async def on_up() -> None:
        ups.append(node.is_up)

    node = JanusNode(JanusSettings(tmp_path, binary=janus_binary), on_lost=on_lost, on_up=on_up)
    await node.start()
    try:
        for losses in (1, 2):
            os.kill(pid_of(node), signal.SIGKILL)
            await until(partial(lambda wanted: len(ups) == wanted, losses), BEGINS_WITHIN_SECS)
        assert len(calls) == 2
        assert ups == [True, True]
    finally:
        await node.stop()


async def test_stop_leaves_no_process(node: JanusNode, tmp_path: Path) -> None:
    pid = pid_of(node)
    begun = time.monotonic()
    await node.stop()
    assert time.monotonic() - begun < 2
    assert not running(pid)
    assert with_folder(tmp_path) == []
    assert not node.is_up
    assert node.pid is None
    await node.stop()


async def test_stop_ends_even_a_janus_that_hangs(node: JanusNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portico.runtime.child_process.STOP_DEADLINE", 0.2)
    pid = pid_of(node)
    os.kill(pid, signal.SIGSTOP)
    await node.stop()
    assert not running(pid)


async def test_stop_while_restarting_leaves_no_process(node: JanusNode, losses: Losses, tmp_path: Path) -> None:
    os.kill(pid_of(node), signal.SIGKILL)
    await until(lambda: bool(losses) and node.pid is not None, BEGINS_WITHIN_SECS)
    await node.stop()
    assert with_folder(tmp_path) == []


async def test_a_node_can_be_started_again(node: JanusNode) -> None:
    await node.stop()
    await node.start()
    assert node.is_up


async def test_two_nodes_do_not_share_a_folder(node: JanusNode, make_node: MakeNode, janus_binary: Path) -> None:
    with pytest.raises(JanusUnavailable, match="Another Portico already runs"):
        await make_node(binary=janus_binary).start()
    assert running(pid_of(node))


async def test_a_failed_start_leaves_nothing_and_says_why(make_node: MakeNode, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text(
        '#!/bin/sh\necho "[Sun Nov 22 08:12:23 2026] [FATAL] [janus.c:main:1] No ports left."\necho Bye\nexit 3\n'
    )
    broken.chmod(0o755)
    with pytest.raises(JanusUnavailable) as failure:
        await make_node(binary=broken).start()
    assert str(failure.value) == f"{broken} exited with status 3; its last log line: No ports left."


async def test_a_start_without_an_answer_ends(
    make_node: MakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portico.janus.child.START_DEADLINE", 0.2)
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    with pytest.raises(JanusUnavailable, match="does not answer"):
        await make_node(binary=silent).start()
    assert with_folder(tmp_path) == []


async def test_janus_own_complaint_is_what_is_quoted(janus_binary: Path, tmp_path: Path) -> None:
    settings = JanusSettings(tmp_path)
    settings.folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        write_config(settings, JanusSecrets(), janus_binary, taken.getsockname())
        process = await spawn(janus_binary, settings.folder, let_janus_in(settings, janus_binary))
        assert await asyncio.wait_for(process.wait(), BEGINS_WITHIN_SECS) == "exited with status 1"
    assert process.last_error() == "No Janus API transport is available... enable at least one and restart Janus"


_PARENT = """
import asyncio, sys
from pathlib import Path
from portico.janus.node import JanusNode, JanusSettings

async def main():
    async def on_lost(reason): ...
    node = JanusNode(JanusSettings(Path(sys.argv[1]), binary=Path(sys.argv[2])), on_lost=on_lost)
    await node.start()
    print(node.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_janus_dies_with_a_killed_parent(janus_binary: Path, tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PARENT,
        str(tmp_path),
        str(janus_binary),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    pid = 0
    async with asyncio.timeout(BEGINS_WITHIN_SECS):
        while not pid:  # log lines come before the number
            line = await parent.stdout.readline()
            pid = int(line) if line.strip().isdigit() else 0
    assert running(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: not running(pid), 2)


async def test_an_orphan_of_a_killed_parent_is_ended_at_start(
    make_node: MakeNode, janus_binary: Path, tmp_path: Path
) -> None:
    first = make_node(binary=janus_binary)
    await first.start()
    await first.stop()
    folder = tmp_path / "janus"
    # What is left when the parent dies before setpriv has run: the same command, and no parent that watches it.
    orphan = await asyncio.create_subprocess_exec(
        janus_binary,
        f"--config={folder}/janus.jcfg",
        f"--configs-folder={folder}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    second = make_node(binary=janus_binary)
    await second.start()
    assert await asyncio.wait_for(orphan.wait(), BEGINS_WITHIN_SECS) == -signal.SIGKILL
    assert second.is_up


async def test_the_log_is_bounded_and_the_last_one_kept(
    node: JanusNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portico.runtime.child_process.LOG_LIMIT", 100)
    log = tmp_path / "janus" / "janus.log"
    await until(lambda: log.with_suffix(".log.1").exists() and log.stat().st_size <= 100, BEGINS_WITHIN_SECS)
    assert "Janus version" in log.with_suffix(".log.1").read_text()


@pytest.fixture
def external(node: JanusNode) -> JanusNode:
    """A Janus that is not the child of the node under test."""
    return node


async def test_an_external_janus_is_watched_but_never_ended(
    external: JanusNode, make_node: MakeNode, losses: Losses
) -> None:
    outside = make_node(url=external.url, api_secret=external.api_secret, admin_key=external.admin_key)
    await outside.start()
    assert outside.pid is None
    assert outside.version == external.version
    create = {"request": "create", "room": 9, "permanent": False, "admin_key": outside.admin_key}
    assert (await outside.request(AUDIOBRIDGE, create))["room"] == 9
    await outside.stop()
    assert running(pid_of(external))
    await outside.start()
    await external.stop()
    await until(lambda: bool(losses), 2)
    assert losses == ["Janus closed the control connection"]
    assert not outside.is_up


async def test_an_external_janus_that_is_not_there_or_refuses_us(external: JanusNode, make_node: MakeNode) -> None:
    unused_url = f"ws://127.0.0.1:{free_port()}"
    with pytest.raises(JanusUnavailable, match=f"does not answer on {unused_url}"):
        await make_node(url=unused_url).start()
    with pytest.raises(JanusUnavailable, match="refuses us: Unauthorized"):
        await make_node(url=external.url).start()
