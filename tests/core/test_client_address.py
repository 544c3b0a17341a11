"""The address that a connection is counted for."""

import pytest

from portico.core.client_address import client_of, is_loopback, parse_networks

PROXIES = parse_networks("127.0.0.1, 10.0.0.0/8, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("203.0.113.9", [("x-forwarded-for", "1.2.3.4")], "203.0.113.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [("x-forwarded-for", "1.2.3.4")], "1.2.3.4"),
        ("::ffff:127.0.0.1", [("x-forwarded-for", "1.2.3.4")], "1.2.3.4"),
        ("127.0.0.1", [("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.1.1.1")], "1.2.3.4"),
        ("127.0.0.1", [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4")], "1.2.3.4"),
        ("127.0.0.1", [("x-forwarded-for", "10.1.1.1, 10.2.2.2")], "10.1.1.1"),
        ("127.0.0.1", [("x-forwarded-for", "1.2.3.4:5678")], "1.2.3.4"),
        ("127.0.0.1", [("x-forwarded-for", "[2001:db8::1]:5678")], "2001:db8::1"),
        ("127.0.0.1", [("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
        ("127.0.0.1", [("x-forwarded-for", "1.2.3.4, unknown")], "127.0.0.1"),
        ("127.0.0.1", [("x-forwarded-for", "1.2.3.4, unknown, 10.1.1.1")], "10.1.1.1"),
        ("127.0.0.1", [("x-forwarded-for", "")], "127.0.0.1"),
        ("127.0.0.1", [("forwarded", 'for="[2001:db8::1]:4711";proto=https;by=10.0.0.1')], "2001:db8::1"),
        ("127.0.0.1", [("forwarded", "for=6.6.6.6, Proto=https; For=1.2.3.4")], "1.2.3.4"),
        ("127.0.0.1", [("forwarded", "for=_hidden")], "127.0.0.1"),
        ("127.0.0.1", [("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "1.2.3.4")], "1.2.3.4"),
        ("127.0.0.1", [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "1.2.3.4")], "127.0.0.1"),
    ],
)
def test_only_what_a_trusted_proxy_has_seen_counts(peer: str, headers: list[tuple[str, str]], client: str) -> None:
    assert client_of(peer, [(name.encode(), value.encode()) for name, value in headers], PROXIES) == client


def test_without_trusted_proxies_the_peer_counts() -> None:
    assert client_of("127.0.0.1", [(b"x-forwarded-for", b"1.2.3.4")], ()) == "127.0.0.1"


@pytest.mark.parametrize("text", ["here", "10.0.0.1/8", "127.0.0.1 10.0.0.1", "1.2.3.4/33"])
def test_other_texts_are_no_networks(text: str) -> None:
    with pytest.raises(ValueError, match="addresses or networks"):
        parse_networks(text)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_has_many_addresses(address: str) -> None:
    assert is_loopback(address)
    assert not is_loopback("192.0.2.1") and not is_loopback("") and not is_loopback("::ffff:192.0.2.1")
