"""Settings of a public server: what is refused naming the variable, and which address media have behind a NAT."""

import os
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest

from portico.app.public_server import behind_nat, check_public_server, edge_settings, is_private
from portico.app.startup_checks import checked, warnings
from portico.config.settings import Settings, SettingsError, load
from portico.edge.certificates import self_signed
from tests.servers import free_port

PUBLIC, OTHER = ip_address("198.51.100.7"), ip_address("198.51.100.8")
V6 = ip_address("2001:db8::7")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings without those of the environment; any program does for Janus."""
    for name in [name for name in os.environ if name.upper().startswith("PORTICO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    ports = {"https_port": free_port(), "http_port": free_port(), "port": free_port()}

    def make(**options: object) -> Settings:
        return load(**{"janus_bin": sys.executable, "host": "127.0.0.1"} | ports | options)

    return make


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ("video.example.com", "video.example.com"),
        ("Video.Example.COM.", "video.example.com"),
        ("localhost", "localhost"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
    ],
)
def test_a_domain_is_a_host_name(settings: Callable[..., Settings], given: str, domain: str) -> None:
    assert settings(domain=given).domain == domain


@pytest.mark.parametrize(
    "given",
    ["https://a.example", "a.example:443", "a example", "-a.example", "a..example", "203.0.113.7", "::1", "a_b.c"],
)
@pytest.mark.parametrize("variable", ["domain", "turn_domain"])
def test_what_is_no_host_name_is_refused(settings: Callable[..., Settings], variable: str, given: str) -> None:
    with pytest.raises(SettingsError, match=f"^PORTICO_{variable.upper()}: should be a host name"):
        settings(**{variable: given})


def test_what_follows_from_a_domain(settings: Callable[..., Settings]) -> None:
    plain = settings()
    assert (plain.tls_mode, plain.listen_host, plain.all_trusted_proxies) == ("off", "127.0.0.1", ())
    assert edge_settings(plain) is None
    public = load(domain="video.example.com")
    assert (public.tls_mode, public.base_url, public.listen_host) == ("acme", "https://video.example.com", "127.0.0.1")
    assert [str(proxy) for proxy in public.all_trusted_proxies] == ["127.0.0.1/32"]
    edge = edge_settings(public)
    assert edge is not None
    assert (edge.host, edge.https_port, edge.http_port, edge.upstream_port) == (None, 443, 80, 8080)
    assert load(domain="a.example", https_port=8443).base_url == "https://a.example:8443"
    assert load(domain="a.example", public_url="https://a.example/video").base_url == "https://a.example/video"
    behind = load(domain="a.example", tls="off", host="127.0.0.2", https_port=8443)
    assert (behind.base_url, behind.listen_host, edge_settings(behind)) == ("https://a.example", "127.0.0.2", None)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tls": "internal"}, "PORTICO_DOMAIN: PORTICO_TLS=internal needs the host name"),
        ({"tls": "acme"}, "PORTICO_DOMAIN: PORTICO_TLS=acme needs the host name"),
        ({"turn_domain": "turn.a.org"}, "PORTICO_TURN_DOMAIN: shares the port of HTTPS"),
        ({"domain": "a.org", "tls": "off", "turn_domain": "turn.a.org"}, "PORTICO_TURN_DOMAIN: shares the port"),
        ({"domain": "a.org", "turn_domain": "A.org"}, "PORTICO_TURN_DOMAIN: should differ from PORTICO_DOMAIN"),
        ({"domain": "a.org", "public_url": "http://a.org"}, "PORTICO_PUBLIC_URL: should begin with https://"),
        ({"domain": "a.local"}, "PORTICO_DOMAIN: no public authority issues a certificate for a.local"),
        ({"domain": "host"}, "PORTICO_DOMAIN: no public authority issues a certificate for host"),
        ({"domain": "a.org", "turn_domain": "turn.lan"}, "PORTICO_TURN_DOMAIN: no public authority"),
        ({"domain": "a.test", "tls": "files"}, "PORTICO_TLS_CERTIFICATE: PORTICO_TLS=files needs the file"),
        (
            {"domain": "a.test", "tls": "files", "tls_certificate": "own.pem"},
            "PORTICO_TLS_KEY: PORTICO_TLS=files needs",
        ),
        (
            {"domain": "a.test", "tls": "files", "tls_certificate": "none.pem", "tls_key": "own.pem"},
            "PORTICO_TLS_CERTIFICATE: none.pem cannot be read: No such file or directory",
        ),
        (
            {"domain": "a.test", "tls": "files", "tls_certificate": "own.pem", "tls_key": "other.pem"},
            "PORTICO_TLS_KEY: other.pem does not belong to the certificate",
        ),
        (
            {"domain": "b.test", "tls": "files", "tls_certificate": "own.pem", "tls_key": "own.pem"},
            "PORTICO_TLS_CERTIFICATE: own.pem is for a.test, not for b.test",
        ),
        (
            {
                "domain": "a.test",
                "turn_domain": "turn.a.test",
                "tls": "files",
                "tls_certificate": "own.pem",
                "tls_key": "own.pem",
            },
            "PORTICO_TLS_CERTIFICATE: own.pem is for a.test, not for turn.a.test",
        ),
        ({"domain": "a.test", "tls": "internal", "http_port": 8443, "https_port": 8443}, "PORTICO_HTTP_PORT: 8443 is"),
        ({"domain": "a.test", "tls": "internal", "port": 8443, "https_port": 8443}, "PORTICO_HTTPS_PORT: 8443 is PORT"),
    ],
    ids=str,
)
def test_contradictions_are_refused(
    settings: Callable[..., Settings], tmp_path: Path, options: dict[str, object], sentence: str
) -> None:
    for name in ("own", "other"):
        (tmp_path / f"{name}.pem").write_bytes(self_signed("a.test", datetime.now(UTC)))
    with pytest.raises(SettingsError) as refused:
        check_public_server(settings(**options))
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("variable", ["https_port", "http_port"])
def test_a_port_that_is_taken_is_refused(settings: Callable[..., Settings], variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0"):
            with pytest.raises(SettingsError, match=f"^PORTICO_{variable.upper()}: port {port} is in use"):
                check_public_server(settings(domain="a.test", tls="internal", host=host, **{variable: port}))
    with pytest.raises(SettingsError, match=r"^PORTICO_HTTPS_PORT: cannot listen on 203\.0\.113\.7, port"):
        check_public_server(settings(domain="a.test", tls="internal", host="203.0.113.7"))


def test_an_authority_of_ones_own_may_certify_private_names(settings: Callable[..., Settings]) -> None:
    check_public_server(settings(domain="video.lan", acme_url="https://ca.lan/directory"))


def test_what_has_no_effect_is_warned_of(settings: Callable[..., Settings]) -> None:
    text = " ".join(warnings(settings(tls_key="a.pem", domain="a.org", tls="off")))
    for variable in (
        "TLS_KEY has no effect without PORTICO_TLS=files",
        "HTTPS_PORT has no effect while",
        "HTTP_PORT has",
    ):
        assert f"PORTICO_{variable}" in text
    assert "PORTICO_ACME_URL has no effect" in " ".join(warnings(settings(acme_url="https://ca.example/directory")))
    assert warnings(settings(domain="a.test", tls="internal")) == []


def test_a_public_server_offers_no_loopback_address(settings: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError, match=r"^PORTICO_MEDIA_ADDRESS: 127\.0\.0\.1 is reached by no other machine"):
        checked(settings(domain="video.example.org", media_address="127.0.0.1"))


def test_a_domain_that_is_unknown_is_refused_where_an_authority_has_to_find_it(
    settings: Callable[..., Settings],
) -> None:
    with pytest.raises(SettingsError, match=r"^PORTICO_DOMAIN: .* cannot be resolved .*: make a DNS record"):
        checked(settings(domain="a" * 60 + ".b" * 90 + ".org"))
    assert checked(settings(domain="nothing.invalid", tls="internal")).media_address is None


PRIVATE = IPv4Address("10.0.0.5")


@pytest.mark.parametrize(
    ("named", "own", "outgoing", "address"),
    [
        ([PUBLIC], [], PRIVATE, "198.51.100.7"),  # behind 1:1 NAT
        ([PUBLIC, V6], [V6], PRIVATE, "198.51.100.7"),
        ([PUBLIC, OTHER], [], PRIVATE, "198.51.100.7"),
        ([PUBLIC], [PUBLIC], PUBLIC, None),  # an interface has it: Janus offers it by itself
        ([PUBLIC, OTHER], [OTHER], OTHER, None),
        ([PUBLIC], [], OTHER, None),  # the domain leads to a proxy, and the machine has a public address
        ([ip_address("127.0.1.1")], [], PRIVATE, None),  # Debian's /etc/hosts
        ([ip_address("192.168.1.9")], [], PRIVATE, None),
        ([V6], [], PRIVATE, None),
        ([PUBLIC], [], None, None),  # no network
        ([], [], PRIVATE, None),
    ],
)
def test_the_address_of_a_nat_in_front(
    named: list[IPv4Address], own: list[IPv4Address], outgoing: IPv4Address | None, address: str | None
) -> None:
    assert behind_nat(named, is_own=lambda text: ip_address(text) in own, outgoing=outgoing) == address


def test_which_addresses_a_nat_may_replace() -> None:
    private = ["10.1.2.3", "172.31.0.1", "192.168.0.1", "100.64.0.1", "169.254.1.1", "127.0.0.1", "::1", "fe80::1"]
    assert all(is_private(ip_address(each)) for each in private)
    assert not any(is_private(ip_address(each)) for each in ("198.51.100.7", "172.32.0.1", "8.8.8.8", "2001:db8::7"))
