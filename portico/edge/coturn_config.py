"""The configuration of coturn: what its relay may reach, and how much one browser may use. Pure."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

USER_QUOTA_LEAST = 100
"""Relay addresses that browsers with one token may hold at the same time, at least.

Measured in Chromium: one to three (UDP, TCP, TLS) for each PeerConnection, for as long as it lives. In a room of ten,
each browser has twelve PeerConnections.
"""
USER_SHARE = 16
"""Browsers with one token may hold the 16th part of all relay addresses, if that is more than USER_QUOTA_LEAST."""
BYTES_PER_SEC = 1_500_000
"""In each direction of one relay address: 12 Mbit/s, more than the most that one stream may send (10 Mbit/s)."""
NONCE_SECS = 600
_NOT_OFFERED = (
    "no-multicast-peers",
    "no-tcp-relay",
    "no-cli",
    "no-software-attribute",
    "no-rfc5780",
    "no-stun-backward-compatibility",
    "response-origin-only-with-rfc5780",
    "no-dynamic-ip-list",
    "no-dynamic-realms",
)
"""Features of coturn that calls do not need."""


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """A TURN server whose relay reaches our Janus only."""

    data_dir: Path
    secret: str = field(repr=False)
    listen: tuple[str, ...]
    """Addresses of this machine on which browsers reach the TURN server."""
    relay: tuple[str, ...]
    """Addresses of this machine from which the relay sends to Janus."""
    peers: tuple[str, ...]
    """Addresses that Janus offers to browsers: the only ones that the relay sends to."""
    media_ports: tuple[int, int]
    """UDP ports of Janus: the only ones that the relay sends to."""
    may_reach_all_ports: bool = False
    """Whether the relay may run where neither packet filter nor library keeps it to `media_ports`."""
    port: int = 3478
    tls_port: int = 5349
    ports: tuple[int, int] = (61000, 65535)
    """UDP ports of the relay, on each address of `relay`."""
    certificate: Path | None = None
    """PEM file with key and chain; None: no TLS."""
    realm: str = "portico"

    @property
    def folder(self) -> Path:
        """The folder of coturn's files."""
        return self.data_dir.absolute() / "edge" / "coturn"

    @property
    def total_quota(self) -> int:
        """The number of relay addresses that browsers can use together."""
        families = {ip_address(each).version for each in self.relay}
        return (self.ports[1] - self.ports[0] + 1) * len(families)

    @property
    def user_quota(self) -> int:
        """Relay addresses that browsers with one token may hold at the same time."""
        return min(self.total_quota, max(USER_QUOTA_LEAST, self.total_quota // USER_SHARE))


def coturn_config(settings: RelaySettings, run: Path) -> str:
    """The text of turnserver.conf. `run` is a folder that coturn may write to."""
    tls = "no-tls"
    if settings.certificate is not None:
        tls = f"cert={settings.certificate}\npkey={settings.certificate}\nno-tlsv1\nno-tlsv1_1"
    loopback = any(ip_address(peer).is_loopback for peer in settings.peers)
    has_ipv4 = any(ip_address(each).version == 4 for each in settings.relay)
    return "\n".join(
        [
            f"listening-port={settings.port}",
            f"tls-listening-port={settings.tls_port}",
            *(f"listening-ip={address}" for address in settings.listen),
            *(f"relay-ip={address}" for address in settings.relay),
            f"min-port={settings.ports[0]}",
            f"max-port={settings.ports[1]}",
            # A browser that reaches us by IPv6 gets a relay address of IPv6: it may be that there is no IPv4.
            # What comes through HAProxy comes by IPv4, also where there is none to relay from.
            f"allocation-default-address-family={'keep' if has_ipv4 else 'ipv6'}",
            "use-auth-secret",
            f"static-auth-secret={settings.secret}",
            f"realm={settings.realm}",
            f"stale-nonce={NONCE_SECS}",
            "fingerprint",
            f"user-quota={settings.user_quota}",
            f"total-quota={settings.total_quota}",
            f"max-bps={BYTES_PER_SEC}",
            tls,
            "no-dtls",
            # What is allowed wins over what is denied, so this is: nothing but Janus' addresses.
            "denied-peer-ip=0.0.0.0-255.255.255.255",
            "denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            *(f"allowed-peer-ip={address}" for address in settings.peers),
            # Loopback is refused apart from that list. Tests on one machine have Janus there.
            *(["allow-loopback-peers"] if loopback else []),
            *_NOT_OFFERED,
            *("log-file=stdout", "simple-log", "new-log-timestamp"),
            f"pidfile={run / 'coturn.pid'}",
            f"userdb={run / 'users.db'}",
            "",
        ]
    )


def filter_commands(settings: RelaySettings, table: str, user: int) -> list[str]:
    """The commands for nft that make a table by which the relay sends to ports of media only.

    coturn knows no ports of peers. Its packets are those of the children's user from the relay's ports to Janus'
    addresses. The table belongs to the nft process that makes it: the kernel removes it when that process ends.
    """
    low, high = settings.ports
    media_low, media_high = settings.media_ports
    commands = [
        f"add table inet {table} {{ flags owner; }}",
        f"add chain inet {table} output {{ type filter hook output priority 0; policy accept; }}",
    ]
    for family, version in (("ip", 4), ("ip6", 6)):
        peers = ", ".join(peer for peer in settings.peers if ip_address(peer).version == version)
        if peers:
            commands.append(
                f"add rule inet {table} output meta skuid {user} {family} daddr {{ {peers} }} "
                f"udp sport {low}-{high} udp dport != {media_low}-{media_high} counter drop"
            )
    return commands
