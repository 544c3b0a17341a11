"""The configuration of coturn, and the commands for the packet filter."""

from pathlib import Path

from portico.edge.coturn_config import USER_QUOTA_LEAST, USER_SHARE, RelaySettings, coturn_config, filter_commands

RUN = Path("/run/coturn")


def settings(**changed: object) -> RelaySettings:
    given = {
        "data_dir": Path("/data"),
        "secret": "s3cret",
        "listen": ("203.0.113.7",),
        "relay": ("203.0.113.7", "2001:db8::7"),
        "peers": ("203.0.113.7", "2001:db8::7"),
        "media_ports": (20000, 40000),
    }
    return RelaySettings(**given | changed)  # type: ignore[arg-type]


def lines(**changed: object) -> list[str]:
    return coturn_config(settings(**changed), RUN).splitlines()


def test_everything_but_the_addresses_of_janus_is_denied() -> None:
    config = lines()
    assert "denied-peer-ip=0.0.0.0-255.255.255.255" in config
    assert "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" in config
    allowed = [line for line in config if line.startswith("allowed-peer-ip")]
    assert allowed == ["allowed-peer-ip=203.0.113.7", "allowed-peer-ip=2001:db8::7"]
    assert "allow-loopback-peers" not in config
    assert {"no-tcp-relay", "no-multicast-peers", "no-cli", "no-software-attribute", "fingerprint"} <= set(config)


def test_loopback_is_reached_only_where_janus_is() -> None:
    config = lines(peers=("127.0.0.2",))
    assert "allow-loopback-peers" in config
    assert [line for line in config if line.startswith("allowed-peer-ip")] == ["allowed-peer-ip=127.0.0.2"]


def test_tls_has_a_certificate_or_is_off() -> None:
    assert "no-tls" in lines()
    config = lines(certificate=Path("/data/edge/certificates/a.pem"))
    assert "no-tls" not in config
    assert {"cert=/data/edge/certificates/a.pem", "pkey=/data/edge/certificates/a.pem"} <= set(config)
    assert {"no-tlsv1", "no-tlsv1_1"} <= set(config)


def test_one_token_never_takes_all_of_a_large_range() -> None:
    small, large = settings(ports=(61000, 61049)), settings(ports=(50000, 65535))
    assert (small.total_quota, small.user_quota) == (100, USER_QUOTA_LEAST)  # 50 ports of each family
    assert large.user_quota == large.total_quota // USER_SHARE


def test_the_filter_drops_what_goes_to_other_ports_of_janus_addresses() -> None:
    table, chain, v4, v6 = filter_commands(settings(ports=(61000, 65535)), "t", 1000)
    assert "flags owner" in table
    assert "hook output" in chain
    assert v4.endswith(
        "meta skuid 1000 ip daddr { 203.0.113.7 } udp sport 61000-65535 udp dport != 20000-40000 counter drop"
    )
    assert "ip6 daddr { 2001:db8::7 }" in v6


def test_the_secret_is_in_the_file_and_not_shown() -> None:
    assert "static-auth-secret=s3cret" in lines()
    assert "s3cret" not in repr(settings())


def test_a_machine_without_ipv4_relays_by_ipv6_only() -> None:
    """Browsers that come through HAProxy come by IPv4, whatever they themselves use."""
    assert "allocation-default-address-family=keep" in lines()
    assert "allocation-default-address-family=ipv6" in lines(relay=("2001:db8::7",))
