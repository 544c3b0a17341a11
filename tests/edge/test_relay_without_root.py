"""The relay of a server without privileges: what keeps it to Janus' ports, and what it does where nothing can."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portico.edge.relay_library import INSTALLED
from tests.edge import relay_of_user
from tests.edge.relay_of_user import LISTEN, PEER, SECRET
from tests.edge.turn_client import WITHIN_SECS, free_turn_port, reached

LOW = 18_000 + os.getpid() % 1_000
MEDIA = LOW + 300
ROOT = Path(__file__).parents[2]
_UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--")
"""Makes root a user without any capability, as in a container."""


@contextlib.contextmanager
def relay_without_root(data: Path, peer_ports: str, **environment: str) -> Iterator[tuple[str, tuple[str, int]]]:
    """The first line of the program, and where the relay listens if it runs."""
    port = free_turn_port()
    command = [sys.executable, "-m", relay_of_user.__name__, str(data), str(port), str(LOW), peer_ports]
    process = subprocess.Popen(
        [*(_UNPRIVILEGED if os.geteuid() == 0 else ()), *command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert process.stdout is not None
    lines = (line.strip() for line in process.stdout if line.startswith(("runs", "refused")))
    try:
        yield next(lines), (LISTEN, port)
    finally:
        process.communicate(timeout=WITHIN_SECS)


@pytest.fixture
def without_compiler(tmp_path: Path) -> str:
    """A PATH with coturn and without a C compiler."""
    if INSTALLED.exists():
        pytest.skip(f"{INSTALLED} serves without a compiler")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("turnserver", "setpriv"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return str(programs)


async def test_other_services_of_the_machine_are_not_reached(tmp_path: Path) -> None:
    """One that listens on Janus' address, and one that listens on all."""
    with relay_without_root(tmp_path / "data", "media") as (line, server):
        assert line == "runs None"
        for address in (PEER, "0.0.0.0"):
            assert not await reached(server, SECRET, peer=PEER, media=MEDIA, service_on=address)


def test_where_nothing_keeps_it_to_media_there_is_no_relay(tmp_path: Path, without_compiler: str) -> None:
    with relay_without_root(tmp_path / "data", "media", PATH=without_compiler) as (line, _):
        assert line.startswith("refused PORTICO_TURN: the relay would reach all UDP services on Janus' addresses (")
        assert "PORTICO_RELAY_PEER_PORTS=all" in line


async def test_an_operator_may_accept_that_it_reaches_all(tmp_path: Path, without_compiler: str) -> None:
    with relay_without_root(tmp_path / "data", "all", PATH=without_compiler) as (line, server):
        assert line.startswith("runs coturn has no user of its own here; there is neither a C compiler nor")
        assert await reached(server, SECRET, peer=PEER, media=MEDIA, service_on=PEER)
