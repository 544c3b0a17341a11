"""Our own TURN server: when it runs, what it listens on and relays to, and which settings are refused."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portico.app.relay import ice_servers, listen_addresses, media_addresses, relay_settings
from portico.app.startup_checks import checked, warnings
from portico.config.settings import Settings, SettingsError, load
from portico.runtime.interfaces import interface_addresses
from tests.edge.turn_client import free_turn_port

OWN = socket.gethostbyname("localhost")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings without those of the environment; any program does for Janus."""
    for name in [name for name in os.environ if name.upper().startswith("PORTICO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    ports = {"turn_port": free_turn_port(), "turn_tls_port": free_turn_port()}

    def make(**options: object) -> Settings:
        return load(**{"janus_bin": sys.executable, "media_interface": OWN} | ports | options)

    return make


@pytest.mark.parametrize(
    ("given", "is_on"),
    [
        ({}, False),
        ({"turn": "on"}, True),
        ({"domain": "video.example.com"}, True),
        ({"domain": "video.example.com", "turn": "off"}, False),
        ({"domain": "video.example.com", "janus_url": "ws://127.0.0.1:8188"}, False),
        ({"domain": "video.example.com", "ice_servers": "stun:a"}, False),
    ],
)
def test_it_runs_with_a_domain_unless_others_are_named(
    settings: Callable[..., Settings], given: dict[str, str], is_on: bool
) -> None:
    assert settings(**given).turn_is_on is is_on


@pytest.mark.parametrize(
    ("variable", "given"),
    [
        ("TURN", {"turn": "on", "janus_url": "ws://127.0.0.1:8188"}),
        ("TURN", {"turn": "on", "ice_servers": "stun:a"}),
        ("RELAY_PORTS", {"turn": "on", "relay_ports": "30000-45000"}),
        ("RELAY_PORTS", {"turn": "on", "relay_ports": "10000-50000"}),
        ("RELAY_PORTS", {"turn": "on", "relay_ports": "40000-40100"}),
        ("TURN_PORT", {"turn": "on", "turn_port": "61000"}),
        ("TURN_PORT", {"turn": "on", "turn_port": "20000"}),
        ("TURN_TLS_PORT", {"turn": "on", "turn_port": "3478", "turn_tls_port": "3478"}),
    ],
)
def test_what_contradicts_itself_is_refused(
    settings: Callable[..., Settings], variable: str, given: dict[str, str]
) -> None:
    with pytest.raises(SettingsError, match=f"^PORTICO_{variable}: "):
        checked(settings(**given))


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_in_use_is_named(settings: Callable[..., Settings], kind: socket.SocketKind) -> None:
    port = free_turn_port()
    with socket.socket(type=kind) as used:
        used.bind(("127.0.0.1", port))
        if kind is socket.SOCK_STREAM:
            used.listen()
        with pytest.raises(SettingsError, match=f"^PORTICO_TURN_PORT: port {port} of 127.0.0.1 is in use"):
            checked(settings(turn="on", turn_port=port))


def test_settings_without_effect_are_warned_of(settings: Callable[..., Settings]) -> None:
    assert any(one.startswith("PORTICO_TURN_PORT has no effect") for one in warnings(settings()))
    assert not any("TURN" in one for one in warnings(settings(turn="on")))


def test_the_relay_reaches_the_addresses_of_media_and_no_others(settings: Callable[..., Settings]) -> None:
    chosen = settings(turn="on", media_address="203.0.113.7,2001:db8::7")
    relay = relay_settings(chosen)
    assert relay is not None
    assert (relay.relay, relay.peers) == ((OWN,), (OWN, "203.0.113.7", "2001:db8::7"))
    assert relay.media_ports == (20000, 40000)
    assert relay_settings(settings()) is None


def test_without_an_interface_all_addresses_but_loopback_are_those_of_media(settings: Callable[..., Settings]) -> None:
    found = [each.address for each in interface_addresses() if not each.address.is_loopback]
    assert media_addresses(settings(media_interface=None)) == tuple(dict.fromkeys(map(str, found)))


def test_where_it_listens(settings: Callable[..., Settings]) -> None:
    assert listen_addresses(settings()) == ("127.0.0.1",)
    assert listen_addresses(settings(host="127.0.0.5")) == ("127.0.0.5",)
    assert listen_addresses(settings(host="127.0.0.5", turn_domain="t.example", domain="d.example")) == (
        "127.0.0.5",
        "127.0.0.1",
    )
    assert "127.0.0.1" in listen_addresses(settings(domain="d.example"))
    assert not any(":" in address for address in listen_addresses(settings(host="0.0.0.0")))


@pytest.mark.parametrize(
    ("given", "urls"),
    [
        ({"turn": "on"}, ["turn:127.0.0.1:1?transport=udp", "turn:127.0.0.1:1?transport=tcp"]),
        (
            {"domain": "a.example"},
            ["turn:a.example:1?transport=udp", "turn:a.example:1?transport=tcp", "turns:a.example:2?transport=tcp"],
        ),
        (
            {"domain": "a.example", "turn_domain": "t.example"},
            ["turn:a.example:1?transport=udp", "turn:a.example:1?transport=tcp", "turns:t.example:443?transport=tcp"],
        ),
        (
            {"domain": "a.example", "tls": "off"},
            ["turn:a.example:1?transport=udp", "turn:a.example:1?transport=tcp"],
        ),
    ],
)
def test_what_browsers_receive(settings: Callable[..., Settings], given: dict[str, str], urls: list[str]) -> None:
    chosen = settings(**given, turn_port=1, turn_tls_port=2)
    [server] = ice_servers(chosen, relay_settings(chosen)).servers
    assert list(server.urls) == urls


def test_servers_of_an_operator_take_its_place(settings: Callable[..., Settings]) -> None:
    chosen = settings(domain="a.example", ice_servers="stun:s.example")
    assert [server.urls for server in ice_servers(chosen, relay_settings(chosen)).servers] == [("stun:s.example",)]
