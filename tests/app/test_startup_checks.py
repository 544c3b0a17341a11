"""Settings against this machine: what is resolved, what is refused, and what is warned of."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from portico.app.startup_checks import checked, warnings
from portico.config.settings import Settings, SettingsError, load
from portico.janus.errors import JanusUnavailable
from tests.contract.answers import ANSWERS_WITHIN_SECS
from tests.mounts import with_file

NOW = datetime(2026, 11, 27, tzinfo=UTC)
RESOLVE = """
import sys
from portico.config.settings import SettingsError, load
from portico.app.startup_checks import checked
for name in sys.argv[1:]:
    try:
        print(checked(load(media_address=name, janus_bin=sys.executable)).media_address)
    except SettingsError as error:
        print(error)
"""
"""A program that says in a line for each media address what becomes of it."""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings without those of the environment; any program does for Janus."""
    for name in [name for name in os.environ if name.upper().startswith("PORTICO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def make(**options: object) -> Settings:
        return load(**{"janus_bin": sys.executable} | options)

    return make


@pytest.mark.parametrize("given", ["203.0.113.7", "2001:db8::7", "203.0.113.7,2001:db8::7", "203.0.113.7, 2001:db8::7"])
def test_a_media_address_stays_as_it_is(settings: Callable[..., Settings], given: str) -> None:
    assert checked(settings(media_address=given)).media_address == given.replace(" ", "")


@pytest.mark.parametrize("given", ["0.0.0.0", "::", "224.0.0.1", "localhost", "nothing.invalid", "a b", "x" * 300, "."])
def test_a_media_address_that_no_browser_reaches_is_refused(settings: Callable[..., Settings], given: str) -> None:
    with pytest.raises(SettingsError, match="PORTICO_MEDIA_ADDRESS") as refused:
        checked(settings(media_address=given))
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a mount namespace with an /etc/hosts of its own")
def test_a_host_name_as_media_address_is_resolved(tmp_path: Path) -> None:
    known = {
        "v4.example.com": (["203.0.113.7"], "203.0.113.7"),
        "v6.example.com": (["2001:db8::7"], "2001:db8::7"),
        "both.example.com": (["2001:db8::7", "203.0.113.7"], "203.0.113.7"),
        "own.example.com": (["127.0.1.1"], "PORTICO_MEDIA_ADDRESS: this machine knows own.example.com as 127.0.1.1"),
    }
    file = tmp_path / "hosts"
    file.write_text("".join(f"{address} {name}\n" for name, (addresses, _) in known.items() for address in addresses))
    command = with_file(file, Path("/etc/hosts"), [sys.executable, "-c", RESOLVE, *known])
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=ANSWERS_WITHIN_SECS,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": root},
        check=False,
    )
    for line, (_, expected) in zip(done.stdout.splitlines(), known.values(), strict=True):
        assert line.startswith(expected), done.stderr


@pytest.mark.parametrize("given", ["lo", "127.0.0.1", "lo,127.0.0.1"])
def test_a_media_interface_that_exists(settings: Callable[..., Settings], given: str) -> None:
    assert checked(settings(media_interface=given)).media_interface == given


@pytest.mark.parametrize("given", ["eth99", "203.0.113.7", "lo,eth99", "2001:db8::7", "0.0.0.0"])
def test_a_media_interface_that_does_not_exist_is_refused(settings: Callable[..., Settings], given: str) -> None:
    with pytest.raises(SettingsError, match=r"PORTICO_MEDIA_INTERFACE.* lo"):
        checked(settings(media_interface=given))


def test_a_node_address_that_no_interface_has_is_refused(settings: Callable[..., Settings]) -> None:
    assert str(checked(settings(node_address="127.0.0.1")).node_address) == "127.0.0.1"
    for given in ("127.255.0.9", "203.0.113.7", "0.0.0.0"):  # Janus cannot use the first, though a socket can
        with pytest.raises(SettingsError, match="PORTICO_NODE_ADDRESS: no interface"):
            checked(settings(node_address=given))


def test_a_janus_that_is_not_there_is_refused(settings: Callable[..., Settings], tmp_path: Path) -> None:
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(JanusUnavailable, match="PORTICO_JANUS_BIN"):
            checked(settings(janus_bin=missing))


@pytest.mark.parametrize("given", ["s3_access_key_id", "s3_secret_access_key"])
def test_one_half_of_a_pair_of_keys_is_refused(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"PORTICO_{given.upper()}", "half-of-it")
    with pytest.raises(SettingsError, match="PORTICO_S3_ACCESS_KEY_ID and PORTICO_S3_SECRET_ACCESS_KEY"):
        checked(settings(storage_url="s3://bucket"))
    other = {"s3_access_key_id": "AWS_SECRET_ACCESS_KEY", "s3_secret_access_key": "AWS_ACCESS_KEY_ID"}[given]
    monkeypatch.setenv(other, "the-other-half")
    assert checked(settings(storage_url="s3://bucket")).storage_url == "s3://bucket"


def test_what_an_external_janus_makes_useless_is_warned_of_and_not_checked(settings: Callable[..., Settings]) -> None:
    useless = {"media_interface": "eth99", "media_address": "nothing.invalid", "rtp_ports": "20000-30000"}
    chosen = settings(janus_url="ws://127.0.0.1:8188", **useless)
    assert checked(chosen) == chosen
    warned = warnings(chosen)
    for name in (*useless, "janus_bin"):
        assert [each for each in warned if f"PORTICO_{name.upper()} has no effect" in each], warned


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"s3_endpoint": "http://127.0.0.1:9000"}, "PORTICO_S3_ENDPOINT has no effect without PORTICO_STORAGE_URL"),
        ({"media_address": "127.0.0.2"}, "PORTICO_MEDIA_ADDRESS"),
        ({"public_url": "http://video.example.com"}, "http://video.example.com is not an https address"),
        ({"host": "192.0.2.1"}, "http://192.0.2.1:8080 is not an https address"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_has_not_the_effect_that_it_seems_to_have_is_warned_of(
    settings: Callable[..., Settings], options: dict[str, str], named: str
) -> None:
    [warning] = warnings(settings(**options))
    assert named in warning


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"host": "0.0.0.0"},
        {"public_url": "https://video.example.com/video"},
        {"public_url": "http://localhost:8080"},
        {"storage_url": "s3://bucket", "s3_endpoint": "http://127.0.0.1:9000"},
        {"media_address": "203.0.113.7"},
    ],
)
def test_what_is_right_is_not_warned_of(settings: Callable[..., Settings], options: dict[str, str]) -> None:
    assert warnings(settings(**options)) == []


def test_a_range_of_ports_that_carries_no_call_is_refused(settings: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError, match="PORTICO_RTP_PORTS: a call of two with cameras needs 8 ports"):
        checked(settings(rtp_ports="30000-30006"))
    assert checked(settings(rtp_ports="30000-30007")).rtp_ports == (30000, 30007)


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
@pytest.mark.parametrize("mode", [0o700, 0o711])
def test_a_data_dir_that_janus_cannot_enter_is_refused(tmp_path: Path, mode: int) -> None:
    """As in a container without CAP_SYS_ADMIN, with a folder of another user."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(mode)
    os.chown(home, 1000, 1000)
    asks = "from portico.app.startup_checks import _check_data_dir as check; from pathlib import Path; import sys"
    asks += "; check(Path(sys.argv[1]))"
    command = ["setpriv", "--bounding-set", "-sys_admin", "--", sys.executable, "-c", asks, str(home / "data")]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=ANSWERS_WITHIN_SECS)
    refusal = f"PORTICO_DATA_DIR: Janus cannot enter {home}, which belongs to another user"
    assert (refusal in ended.stderr) == (mode == 0o700) == (ended.returncode != 0), ended.stderr


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"ice_servers": "stun:a, turn:b"}, "PORTICO_ICE_SERVERS: turn:b "),
        ({"ice_secret": "s3cret"}, "PORTICO_ICE_SECRET"),
        ({"ice_secret": "s3cret", "ice_servers": "stun:a, turn:user:password@b"}, "PORTICO_ICE_SECRET"),
    ],
)
def test_turn_servers_without_credentials_and_a_secret_without_servers_are_refused(
    settings: Callable[..., Settings], given: dict[str, str], refused: str
) -> None:
    # By model_copy, because secrets are no options.
    with pytest.raises(SettingsError, match=refused) as error:
        checked(settings().model_copy(update=given))
    assert "password" not in str(error.value)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "given",
    [
        {"ice_servers": "stun:a"},
        {"ice_servers": "turn:user:password@b"},
        {"ice_servers": "turn:b", "ice_secret": "s3cret"},
        {"ice_servers": "turn:user:password@b turns:c", "ice_secret": "s3cret"},
    ],
)
def test_an_operators_own_servers_are_accepted(settings: Callable[..., Settings], given: dict[str, str]) -> None:
    chosen = checked(settings().model_copy(update=given))
    assert all("credential" in one for one in chosen.ice.issue("x", NOW) if one["urls"][0].startswith("turn"))
