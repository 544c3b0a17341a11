"""What a child may do that starts without privileges, asked of the kernel by programs that try."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portico.runtime import child, confine
from portico.runtime.child import Confinement, Protection, confined, protect

_TRIES = """
import json, os, signal, socket, sys, tempfile

def tried(what):
    try:
        return what() or "done"
    except OSError as error:
        return type(error).__name__

def write(path):
    with open(path, "w") as file:
        file.write("x")

def elsewhere():
    with tempfile.TemporaryFile(dir="/var/tmp"):
        pass

def connect():
    with socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=5):
        pass

folder = sys.argv[1]
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(json.dumps({
    "own file": tried(lambda: write(folder + "/work/own")),
    "given file": tried(lambda: open(folder + "/dumps/given").read()),
    "changing it": tried(lambda: write(folder + "/dumps/given")),
    "database": tried(lambda: open(folder + "/portico.db").read()),
    "listing": tried(lambda: os.listdir(folder)),
    "other mjr file": tried(lambda: open(folder + "/dumps/other").read()),
    "system's secrets": tried(lambda: open("/etc/shadow").read()),
    "elsewhere": tried(elsewhere),
    "parent's environment": tried(lambda: open(f"/proc/{os.getppid()}/environ", "rb").read().hex()),
    "signal": tried(lambda: os.kill(os.getppid(), 0)),
    "connection": tried(connect),
    "user": os.getuid(),
    "groups": os.getgroups(),
    "capabilities": int(status["CapEff"], 16) | int(status["CapPrm"], 16) | int(status["CapBnd"], 16),
    "no new privileges": status["NoNewPrivs"].strip(),
    "umask": status["Umask"].strip(),
}))
"""

needs_root = pytest.mark.skipif(not protect().own_view, reason=f"children have no user: {protect().why or 'not root'}")
needs_landlock = pytest.mark.skipif(not protect().landlock, reason="this kernel has no Landlock")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """As on a server whose files were made readable by mistake."""
    folder = tmp_path / "data"
    for name in ("work", "dumps"):
        (folder / name).mkdir(parents=True)
    for name in ("portico.db", "dumps/given", "dumps/other"):
        (folder / name).write_text("content")
        (folder / name).chmod(0o644)
    folder.chmod(0o755)
    child.give(folder / "work")
    return folder


@pytest.fixture
def listening() -> Iterator[int]:
    """A TCP port of the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def tries(data_dir: Path, port: int, protection: Protection, *, network: bool = False) -> dict[str, Any]:
    rules = Confinement(
        write=[data_dir / "work"],
        read=[data_dir / "dumps" / "given"],
        runs_python=True,
        hide=[data_dir],
        network=network,
    )
    command = confined([sys.executable, "-c", _TRIES, str(data_dir), str(port)], rules, protection)
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=child.environment())
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@needs_root
@pytest.mark.parametrize("landlock", [False, pytest.param(True, marks=needs_landlock)])
def test_a_child_of_root_has_a_user_and_a_view_of_its_own(data_dir: Path, listening: int, landlock: bool) -> None:
    protection = protect() if landlock else replace(protect(), landlock=0)
    found = tries(data_dir, listening, protection)
    assert (found["own file"], found["given file"]) == ("done", "content")
    assert found["changing it"] in ("PermissionError", "OSError")  # the mount is read-only, and Landlock says no
    assert found["database"] in ("FileNotFoundError", "PermissionError")
    assert found["other mjr file"] in ("FileNotFoundError", "PermissionError")
    assert sorted(found["listing"]) == ["dumps", "work"] if not landlock else found["listing"] == "PermissionError"
    assert {found[name] for name in ("system's secrets", "parent's environment", "signal")} == {"PermissionError"}
    assert found["connection"] in ("OSError", "PermissionError")
    assert found["user"] == protect().owner[0] != 0  # type: ignore[index]
    assert (found["groups"], found["capabilities"]) == ([], 0)
    assert (found["no new privileges"], found["umask"]) == ("1", "0077")
    assert found["elsewhere"] == ("PermissionError" if landlock else "done")


@needs_landlock
def test_where_nothing_may_be_mounted_landlock_alone_denies_other_files(data_dir: Path, listening: int) -> None:
    """As the same user, be it root: no capabilities, and no files but those of the child."""
    child.take_back(data_dir / "work")
    found = tries(data_dir, listening, replace(protect(), own_view=False))
    assert (found["own file"], found["given file"]) == ("done", "content")
    denied = ("changing it", "database", "listing", "other mjr file", "elsewhere", "parent's environment")
    assert {name: found[name] for name in denied} == dict.fromkeys(denied, "PermissionError")
    assert found["no new privileges"] == "1"
    if protect().drop_capabilities:
        assert found["capabilities"] == 0
    if protect().landlock >= 4:
        assert found["connection"] == "PermissionError"
    if protect().landlock >= 6:
        assert found["signal"] == "PermissionError"


def test_a_child_that_needs_the_network_has_it(data_dir: Path, listening: int) -> None:
    assert tries(data_dir, listening, protect(), network=True)["connection"] == "done"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a capability to another user")
@pytest.mark.parametrize("low_ports", [False, True])
def test_of_the_capabilities_that_a_service_manager_gives_children_keep_none_but_that_for_low_ports(
    low_ports: bool,
) -> None:
    """As a unit with AmbientCapabilities does for a server that is not root; they pass from program to program."""
    given = "+net_bind_service,+sys_nice"
    manager = ["setpriv", "--reuid=64163", "--regid=64163", "--clear-groups", "--inh-caps", given]
    rules = Confinement(write=[], low_ports=low_ports)
    *_, specification, word, file = confined(["cat", "/proc/self/status"], rules, Protection())
    # The user may not be able to read our files.
    program = ["/usr/bin/python3", "-I", "-S", "-c", Path(confine.__file__).read_text(), specification]
    command = [*manager, "--ambient-caps", given, "--", *program, word, file]
    status = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    found = {name: int(re.findall(rf"{name}:\t(\w+)", status)[0], 16) for name in ("CapAmb", "CapPrm", "CapEff")}
    assert set(found.values()) == {1 << 10 if low_ports else 0}


def test_what_this_machine_does_not_offer_is_named() -> None:
    assert protect().missing == [] or not protect().own_view or not protect().landlock
    nothing = Protection(why="mount /: Operation not permitted")
    assert any("Landlock" in lack for lack in nothing.missing)
    assert any("Operation not permitted" in lack for lack in nothing.missing) == (os.geteuid() == 0)


@needs_root
def test_why_root_may_not_mount_is_reported() -> None:
    """As in a container without CAP_SYS_ADMIN."""
    asks = "from portico.runtime.child import protect; print(protect().missing)"
    command = ["setpriv", "--bounding-set", "-sys_admin", "--", sys.executable, "-c", asks]
    missing = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert "root may not mount here: [Errno 1] unshare: Operation not permitted" in missing


def test_memory_is_limited(data_dir: Path) -> None:
    rules = Confinement(write=[data_dir / "work"], runs_python=True, limits={"AS": 400 << 20})
    command = confined([sys.executable, "-c", "x = bytearray(500 << 20)"], rules)
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=child.environment())
    assert ended.returncode == 1 and "MemoryError" in ended.stderr


def test_a_program_that_is_not_there_is_named(data_dir: Path) -> None:
    command = confined([str(data_dir / "nothing")], Confinement(write=[data_dir / "work"]))
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 125 and f"{data_dir / 'nothing'} cannot be started" in ended.stderr


@needs_root
def test_a_link_that_a_child_left_is_not_followed(data_dir: Path, tmp_path: Path) -> None:
    """What is changed for the sake of a child must not be another file of the server's."""
    (tmp_path / "key").touch(0o600)
    (data_dir / "work" / "link").symlink_to(tmp_path / "key")
    with pytest.raises(OSError, match="symbolic links"):
        child.let_read(data_dir / "work" / "link")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@needs_root
def test_files_of_an_earlier_start_go_to_the_user_that_children_have_now(data_dir: Path, tmp_path: Path) -> None:
    """Such as certificates of a Caddy that ran without a user of its own. What a link leads to stays as it is."""
    (tmp_path / "key").touch(0o600)
    work = data_dir / "work"
    (work / "certificates").mkdir(0o700)
    (work / "certificates" / "one").touch(0o600)
    (work / "link").symlink_to(tmp_path / "key")
    (work / "second name").hardlink_to(tmp_path / "key")
    for path in (work, work / "certificates", work / "certificates" / "one"):
        os.chown(path, 0, 0)
    child.give(work)
    owner = protect().owner
    assert owner is not None
    for path in (work, work / "certificates", work / "certificates" / "one", work / "link"):
        assert (path.lstat().st_uid, path.lstat().st_gid) == owner
    assert (tmp_path / "key").stat().st_uid == 0


def test_secrets_are_not_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORTICO_API_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in child.environment().values()
    assert child.environment()["PATH"] == os.environ["PATH"]
