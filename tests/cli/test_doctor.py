"""`portico doctor` as people and programs run it: beside a running server, on a terminal, with wrong settings."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from tests.cli.here import run_here
from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.servers import PorticoServer

COMMAND = [sys.executable, "-m", "portico", "doctor"]
FINDING = {
    "type": "object",
    "required": ["area", "level", "text", "remedy"],
    "additionalProperties": False,
    "properties": {
        "area": {"type": "string", "minLength": 1},
        "level": {"enum": ["ok", "note", "warning", "problem"]},
        "text": {"type": "string", "minLength": 1},
        "remedy": {"type": "string"},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["ok", "findings"],
    "additionalProperties": False,
    "properties": {"ok": {"type": "boolean"}, "findings": {"type": "array", "minItems": 10, "items": FINDING}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    with portico(tmp_path_factory.mktemp("doctor") / "data") as server:
        yield server


def environment(**settings: str) -> dict[str, str]:
    """The environment with these settings only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTICO_")}
    return kept | {f"PORTICO_{name}": value for name, value in settings.items()}


def run(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**settings),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=ANSWERS_WITHIN_SECS,
        check=False,
    )


def test_beside_a_running_server_it_prints_one_object_for_programs(server: PorticoServer) -> None:
    done = run("--json", cwd=server.data_dir.parent, **server.settings)
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, SCHEMA)
    assert done.stderr == ""
    assert answer["ok"] is (done.returncode == 0)
    by_area = {finding["area"]: finding for finding in reversed(answer["findings"])}
    for area in ("settings", "server", "database", "storage"):
        assert by_area[area]["level"] == "ok", by_area[area]
    assert f"process {server.pid}" in by_area["server"]["text"]
    assert server.api_key not in done.stdout
    assert server._why_not_ready() is None, "the server is as it was"


def test_on_a_terminal_it_is_a_table_in_colour_and_its_status_says_whether_there_is_a_problem(tmp_path: Path) -> None:
    """With a wrong setting of the kind that is a problem, given as an option of `portico serve`."""
    screen, ours = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "--media-interface", "eth99", "--data-dir", str(tmp_path / "new")],
        env=environment() | {"TERM": "xterm-256color", "COLUMNS": "100", "LANG": "C.UTF-8"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=ours,
        stderr=ours,
    ) as process:
        os.close(ours)
        shown = _read(screen)
        assert process.wait(ANSWERS_WITHIN_SECS) == 1
    assert "\x1b[" in shown, "colour"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")
    assert "examining" in plain, "progress"
    table = plain[plain.rindex("\n", 0, plain.index("✗")) :]
    assert re.search(r"^ *✗ +settings +portico serve does not start: PORTICO_MEDIA_INTERFACE", table, re.MULTILINE)
    assert re.search(r"^ +→ Correct the setting", table, re.MULTILINE)
    texts = {found.start(1) for found in re.finditer(r"^ *[✓i!✗] +[A-Za-z]+(?: [a-z]+)? {2,}(\S)", table, re.MULTILINE)}
    lines = table.splitlines()
    assert len({index - table.rfind("\n", 0, index) for index in texts}) == 1, lines
    assert re.search(r"Portico [\d.]+: \d+ problems?, ", plain)
    assert list(tmp_path.iterdir()) == [], "nothing is made"


@pytest.mark.parametrize(
    ("settings", "arguments", "word"),
    [
        ({"PORT": "http"}, (), "PORTICO_PORT"),
        ({}, ("--rtp-ports", "5"), "PORTICO_RTP_PORTS"),
        ({"DATABASE_URL": "mysql://user:s3cret@host/name"}, (), "PORTICO_DATABASE_URL"),
    ],
    ids=["variable", "option", "with a password"],
)
def test_a_setting_that_cannot_be_read_is_named_and_nothing_is_examined(
    tmp_path: Path,
    settings: dict[str, str],
    arguments: tuple[str, ...],
    word: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run_here(monkeypatch, capsys, tmp_path, "doctor", *arguments, **settings)
    assert (status, out) == (2, "")
    assert word in err and "s3cret" not in err
    assert err.count("\n") == 1


def _read(descriptor: int) -> str:
    """What is written to a terminal until its last writer has ended."""
    found = b""
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:
            break
        if not chunk:
            break
        found += chunk
    os.close(descriptor)
    return found.decode(errors="replace")
