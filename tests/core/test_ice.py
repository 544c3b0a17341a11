"""ICE servers: credentials of the TURN REST form, and which servers of an operator are understood."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from portico.core import ice
from portico.core.ice import LIFETIME, IceServer, IceServers, credentials, parse, relay

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_the_password_is_the_hmac_of_the_user_name() -> None:
    username, password = credentials("secret", "6f1c1f3e-0d5c-4ab1", NOW)
    assert username == f"{int(NOW.timestamp())}:6f1c1f3e-0d5c-4ab1"
    expected = hmac.new(b"secret", username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(password) == expected


def test_issued_servers_have_credentials_that_end_after_the_lifetime() -> None:
    own = IceServers((relay("video.example.com", 3478, ("turn.example.com", 443)),), "secret")
    [server] = own.issue("holder", NOW)
    username, password = credentials("secret", "holder", NOW + LIFETIME)
    assert server == {
        "urls": [
            "turn:video.example.com:3478?transport=udp",
            "turn:video.example.com:3478?transport=tcp",
            "turns:turn.example.com:443?transport=tcp",
        ],
        "username": username,
        "credential": password,
    }


def test_a_call_receives_new_credentials_well_before_the_old_ones_end() -> None:
    assert timedelta(minutes=5) <= ice.RENEWED_AFTER <= LIFETIME - timedelta(minutes=5)


def test_credentials_differ_by_holder_instant_and_secret() -> None:
    four = [
        credentials("secret", "a", NOW),
        credentials("secret", "b", NOW),
        credentials("secret", "a", NOW + timedelta(seconds=1)),
        credentials("other", "a", NOW),
    ]
    assert len({password for _, password in four}) == 4


def test_an_ipv6_address_is_in_brackets() -> None:
    urls = relay("2001:db8::1", 3478, None).urls
    assert urls == ("turn:[2001:db8::1]:3478?transport=udp", "turn:[2001:db8::1]:3478?transport=tcp")


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("stun:stun.example.com", (IceServer(("stun:stun.example.com",)),)),
        ("stun:stun.example.com:3478", (IceServer(("stun:stun.example.com:3478",)),)),
        ("turn:192.0.2.1:3478?transport=udp", (IceServer(("turn:192.0.2.1:3478?transport=udp",)),)),
        ("turns:[2001:db8::1]:443?transport=tcp", (IceServer(("turns:[2001:db8::1]:443?transport=tcp",)),)),
        ("turn:anna:p%40ss@turn.example.com", (IceServer(("turn:turn.example.com",), "anna", "p@ss"),)),
        ("stun:a, turn:b,\n turn:c", tuple(IceServer((url,)) for url in ("stun:a", "turn:b", "turn:c"))),
        ("", ()),
    ],
)
def test_servers_of_an_operator(text: str, servers: tuple[IceServer, ...]) -> None:
    assert parse(text) == servers


@pytest.mark.parametrize(
    "text",
    [
        "turn.example.com",
        "turn://turn.example.com",
        "http://turn.example.com",
        "turn:",
        "turn:-a",
        "turn:a:b",
        "turn:a:0",
        "turn:a:65536",
        "turn:a?transport=tls",
        "turn:a?transport=udp&x=1",
        "turn:user@a",
        "turn:user:@a",
        "turn::password@a",
        "turn:2001:db8::1",
        "stun:user:password@a",
        "stun:a?transport=tcp",
        "turns:a?transport=udp",
        "turn:a; turn:b",
    ],
)
def test_other_servers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"should be|has a port|is a STUN server"):
        parse(text)


def test_a_refusal_does_not_show_the_password() -> None:
    with pytest.raises(ValueError, match="turn:") as refused:
        parse("turn:anna:hunter2@host:99999")
    assert "hunter2" not in str(refused.value)


def test_each_server_is_issued_as_it_is_configured() -> None:
    own = IceServers(parse("stun:a turn:anna:pw@b turn:c"), "secret")
    username, password = credentials("secret", "holder", NOW + LIFETIME)
    assert own.issue("holder", NOW) == [
        {"urls": ["stun:a"]},
        {"urls": ["turn:b"], "username": "anna", "credential": "pw"},
        {"urls": ["turn:c"], "username": username, "credential": password},
    ]


def test_secrets_are_not_shown() -> None:
    assert "hunter2" not in repr(IceServers(parse("turn:anna:hunter2@b"), "hunter2"))
