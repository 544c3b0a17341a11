"""The command line as people use it: the first screen, keys, and one sentence for everything that is wrong."""

import http.client
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from portico import __version__
from portico.cli import main
from portico.config.secrets import is_secret
from portico.config.settings import Settings
from tests.db.processes import ANSWERS_WITHIN_SECS, others
from tests.servers import PorticoServer, free_port

HTTPX_KEEPS_SECS = 5.0
"""How long the official SDK keeps a connection that it does not need (httpx.Limits.keepalive_expiry)."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, portico: type[PorticoServer]) -> Iterator[PorticoServer]:
    """A running server that made its key itself, at its first start."""
    server = portico(tmp_path_factory.mktemp("serve") / "data")
    del server.settings["API_KEY"]
    with server:
        yield server


def test_the_first_screen_has_everything_that_a_developer_needs(server: PorticoServer) -> None:
    first = _screens(server)[0]
    assert f"Portico {__version__} is ready." in first
    assert f"{server.base_url}/v2" in first.split()
    assert f'<script src="{server.base_url}/connect.js"></script>' in first
    assert re.search(rf"{re.escape(server.base_url)}/meet/[0-9a-f-]{{36}}#[\w-]{{22}}\b", first)
    assert "Ctrl-C" in first
    assert _status(server, _key_of(first)) == 200


def test_what_the_first_screen_links_to_is_there(server: PorticoServer) -> None:
    first = _screens(server)[0]
    (meeting,) = re.findall(r"http\S+/meet/\S+", first)
    for address in (meeting.partition("#")[0], f"{server.base_url}/connect.js"):
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.status == 200


def test_a_connection_outlasts_the_pauses_of_clients(server: PorticoServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(connection):
        for pause_secs in (HTTPX_KEEPS_SECS + 1, 0):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            connection.auto_open = False
            time.sleep(pause_secs)


def test_keys_are_made_while_the_server_runs_and_are_at_once_good(server: PorticoServer) -> None:
    first, second, other = (
        _run("keys", "create", *more, **server.settings) for more in ([], [], ["--account", "other"])
    )
    keys = [done.stdout.split()[-1] for done in (first, second, other)]
    assert [done.returncode for done in (first, second, other)] == [0, 0, 0], first.stderr
    assert len(set(keys)) == 3
    assert [_status(server, key) for key in keys] == [200, 200, 200]
    own, foreign = ({room["id"] for room in _rooms(server, key)} for key in (keys[1], keys[2]))
    assert own, "the meeting room is the default account's"
    assert foreign == set(), "a new account sees nothing of others"


def test_a_second_server_on_the_same_data_is_refused(server: PorticoServer) -> None:
    refused = _run("serve", PORT=str(free_port()), DATA_DIR=str(server.data_dir))
    _is_one_sentence(refused, str(server.data_dir), "PORTICO_DATA_DIR")
    assert str(server.pid) in refused.stderr, "which process it is"


def test_a_port_in_use_is_named_and_nothing_is_started(server: PorticoServer, tmp_path: Path) -> None:
    refused = _run("serve", PORT=str(server.port), DATA_DIR=str(tmp_path / "data"))
    _is_one_sentence(refused, str(server.port), "PORTICO_PORT")
    assert not (tmp_path / "data" / "portico.db").exists()


def test_ctrl_c_ends_everything_and_a_second_start_finds_everything(
    tmp_path: Path, portico: type[PorticoServer]
) -> None:
    server = portico(tmp_path / "data")
    del server.settings["API_KEY"]
    with server:
        children = server.descendants()
        process = server._running()
        assert children, "Janus"
        server.stop()
        assert process.returncode == 0
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
        assert "Traceback" not in server.log

        server.restart()
        first, second = _screens(server)
        key = _key_of(first)
        assert server.log.count(key) == 1, "the key is shown at the first start only"
        assert _status(server, key) == 200
        assert re.findall(r"/meet/\S+", first) == re.findall(r"/meet/\S+", second)

        os.kill(server.pid, signal.SIGTERM)
        assert server._running().wait(ANSWERS_WITHIN_SECS) == 0, "as a service manager stops it"


def test_a_key_from_the_settings_is_not_printed(tmp_path: Path, portico: type[PorticoServer]) -> None:
    """A key that comes from a file is not shown either: not in the variables of a process, not in its options."""
    (tmp_path / "key").write_text("KEY-from-the-settings\n")
    server = portico(tmp_path / "data", api_key="KEY-from-the-settings")
    server.settings["API_KEY_FILE"] = str(tmp_path / "key")
    del server.settings["API_KEY"]
    with server:
        for pid in (server.pid, *server.descendants()):
            for kind in ("environ", "cmdline"):
                assert b"KEY-from-the-settings" not in Path(f"/proc/{pid}/{kind}").read_bytes()
        assert _status(server, "KEY-from-the-settings") == 200
        assert "KEY-from-the-settings" not in server.log
        assert "PORTICO_API_KEY" in server.log
        assert b"KEY-from-the-settings" not in b"".join(
            path.read_bytes() for path in server.data_dir.rglob("*") if path.is_file()
        )


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"PORT": "http"}, "PORTICO_PORT"),
        ({"LOG_LEVEL": "loud"}, "PORTICO_LOG_LEVEL"),
        ({"API_KEY": "short"}, "PORTICO_API_KEY"),
        ({"HOST": "203.0.113.7"}, "PORTICO_HOST"),
        ({"DATA_DIR": "/dev/null/data"}, "PORTICO_DATA_DIR"),
        ({"JANUS_BIN": "/nonexistent"}, "PORTICO_JANUS_BIN"),
        ({"JANUS_BIN": "/"}, "PORTICO_JANUS_BIN"),
        ({"JANUS_URL": "http://127.0.0.1:1"}, "PORTICO_JANUS_URL"),
        ({"MEDIA_INTERFACE": "eth99"}, "PORTICO_MEDIA_INTERFACE"),
        ({"MEDIA_ADDRESS": "nothing.invalid"}, "PORTICO_MEDIA_ADDRESS"),
        ({"PUBLIC_URL": "https://video.example.com/?room=1"}, "PORTICO_PUBLIC_URL"),
        ({"HOST": "nothing.invalid"}, "PORTICO_HOST"),
        ({"DATABASE_URL": "mysql://user:s3cret@host/name"}, "PORTICO_DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://user:s3cret@127.0.0.1:1/name"}, "PORTICO_DATABASE_URL"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_setting_with_which_nothing_can_start(tmp_path: Path, wrong: dict[str, str], named: str) -> None:
    settings = {"PORT": str(free_port()), "DATA_DIR": str(tmp_path / "data")} | wrong
    refused = _run("serve", cwd=tmp_path, **settings)
    _is_one_sentence(refused, named)
    assert "s3cret" not in refused.stderr


@pytest.mark.parametrize("line", ["JANUS_BIN=/nonexistent", "MEDIA_INTERFACE=eth99", "PUBLIC_URL=example.com"])
def test_a_wrong_setting_in_the_file_is_refused_as_well(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"PORTICO_{line}\n")
    refused = _run("serve", cwd=tmp_path, PORT=str(free_port()), DATA_DIR=str(tmp_path / "data"))
    _is_one_sentence(refused, f"PORTICO_{line.partition('=')[0]}")
    assert not (tmp_path / "data" / "portico.db").exists()


def test_what_is_misspelt_or_useless_is_warned_of_at_start(tmp_path: Path, portico: type[PorticoServer]) -> None:
    """And what is empty is unset: the server starts."""
    misspelt = {"RECORDING_DAY": "30"}
    useless = {"S3_ENDPOINT": "http://127.0.0.1:9000"}
    empty = {"DATABASE_URL": "", "JANUS_URL": "", "PUBLIC_URL": "", "MEDIA_ADDRESS": "", "RATE_LIMIT": ""}
    with portico(tmp_path / "data", **misspelt, **useless, **empty) as server:
        log = server.log
    assert "PORTICO_RECORDING_DAY in the environment" in log
    assert "did you mean PORTICO_RECORDING_DAYS?" in log
    assert "PORTICO_S3_ENDPOINT has no effect" in log


def test_other_commands_warn_of_misspelt_variables_too(tmp_path: Path) -> None:
    done = _run("keys", "create", cwd=tmp_path, DATA_DIR=str(tmp_path), DATABSE_URL="postgresql://nowhere/name")
    assert done.returncode == 0
    assert "did you mean PORTICO_DATABASE_URL?" in done.stderr


@pytest.mark.parametrize("arguments", [["serve"], ["keys", "create"]], ids=" ".join)
@pytest.mark.parametrize("problem", ["no database", "a newer version's"])
def test_a_database_file_that_is_not_ours(
    tmp_path: Path, sqlite_template: Path, arguments: list[str], problem: str
) -> None:
    file = tmp_path / "portico.db"
    if problem == "no database":
        file.write_bytes(b"This is a letter to my aunt. " * 100)
    else:
        file.write_bytes(sqlite_template.read_bytes())
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'ffff'")
        connection.close()
    before = file.read_bytes()
    refused = _run(*arguments, cwd=tmp_path, PORT=str(free_port()), DATA_DIR=str(tmp_path))
    _is_one_sentence(refused, "database")
    assert problem == "a newer version's" or file.read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"DATA_DIR": "/dev/null/data"}, "PORTICO_DATA_DIR"),
        ({"DATABASE_URL": "mysql://user:s3cret@host/name"}, "PORTICO_DATABASE_URL"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_keys_cannot_be_made_without_a_database(tmp_path: Path, wrong: dict[str, str], named: str) -> None:
    _is_one_sentence(_run("keys", "create", cwd=tmp_path, **wrong), named)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["server"], "server"),
        (["serve", "--nope"], "--nope"),
        (["serve", "--port", "http"], "port"),
        (["serve", "--port"], "--port"),
        (["serve", "extra"], "extra"),
        (["serve", "--api-key", "s3cret-key"], "api-key"),
        (["serve", "--webhook-private-key", "s3cret-key"], "webhook-private-key"),
        (["serve", "--database-url", "postgresql://portico:s3cret@host/name"], "PORTICO_DATABASE_URL_FILE"),
        (["keys", "crate"], "crate"),
        (["keys", "create", "--account", ""], "account"),
        (["keys", "create", "--account", "x" * 256], "account"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else None,
)
def test_a_command_that_does_not_exist(tmp_path: Path, arguments: list[str], named: str) -> None:
    refused = _run(*arguments, cwd=tmp_path)
    _is_one_sentence(refused, named)
    assert "s3cret" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_can_read_the_data(tmp_path: Path) -> None:
    """The data folder has the keys that sign tokens."""
    made = _run("keys", "create", DATA_DIR=str(tmp_path / "new" / "data"))
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "new" / "data").stat().st_mode & 0o077 == 0


def test_help_names_every_command_and_setting() -> None:
    assert {"serve", "keys", "version"} <= set(_run("--help").stdout.split())
    serve = _run("serve", "--help")
    assert serve.returncode == 0
    words = set(re.split(r"[\s/,]+", serve.stdout))
    options = {f"--{name.replace('_', '-')}" for name, field in Settings.model_fields.items() if not is_secret(field)}
    assert options <= words
    assert not {"--s3-secret-access-key", "--webhook-private-key"} & words, "a process list would show them"
    assert "--webhook-internal-addresses true|false" in serve.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--recording-days", "many"], "PORTICO_RECORDING_DAYS"),
        (["--storage-url", "bucket"], "PORTICO_STORAGE_URL"),
        (["--composition-audio", "some"], "PORTICO_COMPOSITION_AUDIO"),
        (["--rate-limit", "20"], "PORTICO_RATE_LIMIT"),
        (["--media-interface", "eth99"], "PORTICO_MEDIA_INTERFACE"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_every_option_is_read_as_its_variable(tmp_path: Path, arguments: list[str], named: str) -> None:
    _is_one_sentence(_run("serve", *arguments, cwd=tmp_path), named)


def test_an_option_of_the_server_wins_over_its_variable(tmp_path: Path) -> None:
    right, wrong = f"--port={free_port()}", str(free_port())
    refused = _run("serve", right, "--host=203.0.113.7", "--log-level=", cwd=tmp_path, PORT=wrong)
    _is_one_sentence(refused, "PORTICO_HOST", right.partition("=")[2])


def test_the_package_can_be_run_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "portico", "version"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{__version__}\n", "")


def test_version() -> None:
    assert _run("version") == Done(0, f"{__version__}\n", "")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def _run(*arguments: str, cwd: Path | str = "/", **settings: str) -> Done:
    """`portico ARGUMENTS` with these settings only, in a process that has the imports ready."""
    environment = {f"PORTICO_{name}": value for name, value in settings.items()} | {"COLUMNS": "200"}
    with TemporaryDirectory() as folder:
        with others(1, run_command, f"{folder}/output") as (command,):
            command.pipe.send((arguments, environment, str(cwd)))
            command.process.join(ANSWERS_WITHIN_SECS)
            code = command.process.exitcode
        assert code is not None, "the command does not end"
        return Done(code, *(Path(f"{folder}/output.{stream}").read_text() for stream in ("out", "err")))


def run_command(output: str, pipe: "Connection[Any, Any]") -> None:
    """In the other process: what the script `portico` does."""
    arguments, environment, cwd = pipe.recv()
    for number, stream in [(1, "out"), (2, "err")]:
        with Path(f"{output}.{stream}").open("wb") as file:
            os.dup2(file.fileno(), number)
    for name in [name for name in os.environ if name.startswith("PORTICO_")]:
        del os.environ[name]
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["portico", *arguments]
    main.main()


def _is_one_sentence(done: Done, *named: str) -> None:
    """One sentence on stderr, exit status 2, and no other output."""
    error = done.stderr
    assert "Traceback" not in error, error
    assert done.returncode == 2, error
    assert done.stdout == ""
    assert error.count("\n") == 1, error
    assert error.startswith("portico: ")
    for name in named:
        assert name.lower() in error.lower()


def _screens(server: PorticoServer) -> list[str]:
    """The first screen of each start, from its first line to its last."""
    return re.findall(r"Portico \S+ is ready\..*?Ctrl-C[^\n]*", server.log, re.DOTALL)


def _key_of(screen: str) -> str:
    found = re.search(r"API key\s+(\S+)\s+\(shown only this once\)", screen)
    assert found, screen
    return found[1]


def _status(server: PorticoServer, key: str) -> int:
    request = urllib.request.Request(f"{server.base_url}/v2/rooms", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code


def _rooms(server: PorticoServer, key: str) -> list[dict[str, str]]:
    asked, server.api_key = server.api_key, key
    try:
        rooms: list[dict[str, str]] = server.get("/v2/rooms")["data"]
        return rooms
    finally:
        server.api_key = asked
