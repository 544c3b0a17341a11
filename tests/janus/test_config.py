"""Janus' configuration files, read as text; test_node.py starts real Janus with them."""

import os
import stat
from pathlib import Path

import pytest

from portico.janus.config import JanusSecrets, JanusSettings, find_janus, write_config
from portico.janus.errors import JanusUnavailable


def written(settings: JanusSettings, binary: Path = Path("/nowhere/bin/janus")) -> str:
    settings.folder.mkdir(parents=True, exist_ok=True)
    write_config(settings, JanusSecrets(), binary, ("127.0.0.1", 12345))
    return (settings.folder / "janus.jcfg").read_text()


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_ports_interface_and_event_loops_are_those_of_the_settings(tmp_path: Path) -> None:
    text = written(JanusSettings(tmp_path, interface="media0", rtp_ports=(30000, 30100), event_loops=3))
    assert 'rtp_port_range = "30000-30100"' in text
    assert 'ice_enforce_list = "media0"' in text
    assert "event_loops = 3" in text
    assert "stun" not in text


def test_ice_lite_only_with_a_public_address(tmp_path: Path) -> None:
    assert "ice_lite = false" in written(JanusSettings(tmp_path))
    text = written(JanusSettings(tmp_path, address="192.0.2.7"))
    assert "ice_lite = true" in text
    assert 'nat_1_1_mapping = "192.0.2.7"' in text
    assert "ice_lite = true" in written(JanusSettings(tmp_path, is_public=True))


def test_every_library_beside_the_binary_is_disabled_but_ours(tmp_path: Path) -> None:
    binary = program(tmp_path / "opt" / "bin" / "janus")
    plugins = tmp_path / "opt" / "lib" / "janus" / "plugins"
    plugins.mkdir(parents=True)
    for name in ("libjanus_novelty.so", "libjanus_videoroom.so", "libjanus_videoroom.so.2"):
        (plugins / name).touch()
    text = written(JanusSettings(tmp_path), binary)
    assert "libjanus_novelty.so" in text
    assert "libjanus_videoroom.so" not in text
    assert f'plugins_folder = "{plugins}"' in text


def test_a_quote_in_a_path_does_not_end_the_value(tmp_path: Path) -> None:
    assert '/a\\"b\\\\c/janus"' in written(JanusSettings(tmp_path / 'a"b\\c'))


def test_files_are_private_even_where_they_were_not(tmp_path: Path) -> None:
    settings = JanusSettings(tmp_path)
    written(settings)
    for path in settings.folder.iterdir():
        path.chmod(0o666)
    written(settings)
    assert {stat.S_IMODE(path.stat().st_mode) for path in settings.folder.iterdir()} == {0o600}


def test_a_path_too_long_for_janus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JanusUnavailable, match="shorter PORTICO_DATA_DIR"):
        write_config(JanusSettings(tmp_path / ("x" * 220)), JanusSecrets(), Path("/nowhere"), ("127.0.0.1", 1))


def test_the_named_binary_wins_then_the_environment_then_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, variable = program(tmp_path / "named"), program(tmp_path / "variable")
    monkeypatch.setenv("PORTICO_JANUS_BIN", str(variable))
    assert find_janus(named) == named
    assert find_janus(None) == variable


def test_a_missing_binary_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(JanusUnavailable, match=f"^{tmp_path}/none is not a program.*set PORTICO_JANUS_BIN"):
        find_janus(tmp_path / "none")


def test_no_janus_anywhere_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    monkeypatch.delenv("PORTICO_JANUS_BIN", raising=False)
    monkeypatch.setattr("portico.janus.config._CHECKOUT", tmp_path)
    with pytest.raises(JanusUnavailable, match="script/setup"):
        find_janus(None)


def test_secrets_do_not_show_in_logs() -> None:
    secrets = JanusSecrets()
    assert secrets.api_secret not in repr(secrets)
    assert len({secrets.api_secret, secrets.admin_key, secrets.admin_secret, JanusSecrets().api_secret}) == 4


def test_without_an_admin_port_there_is_no_admin_api(tmp_path: Path) -> None:
    settings = JanusSettings(tmp_path)
    written(settings)
    transport = settings.folder / "janus.transport.websockets.jcfg"
    assert "admin_ws = false" in transport.read_text() and "admin_ws_port" not in transport.read_text()
    write_config(settings, JanusSecrets(), Path("/nowhere/bin/janus"), ("127.0.0.1", 12345), admin_port=12346)
    assert 'admin_ws_ip = "127.0.0.1"' in transport.read_text() and "admin_ws_port = 12346" in transport.read_text()
