"""An internet of network namespaces: servers and clients around one router, whose packet filter is the scenario.

    server   203.0.113.10, 2001:db8:1::10           four   10.1.0.2
    inside   10.9.0.2, behind 1:1 NAT 203.0.113.20  both   10.2.0.2, 2001:db8:12::2
    sixonly  2001:db8:6::10                         six    2001:db8:13::2
    norelay  203.0.114.10

No link leads out of it, so that the addresses are the same in every run.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.namespaces import Namespace, namespaces

NAMES = ("router", "server", "inside", "sixonly", "norelay", "four", "both", "six")
SERVER, SERVER_6 = "203.0.113.10", "2001:db8:1::10"
INSIDE, INSIDE_PUBLIC = "10.9.0.2", "203.0.113.20"
SIX_ONLY, NO_RELAY = "2001:db8:6::10", "203.0.114.10"
CLIENT, CLIENT_PUBLIC, CLIENT_MOVED = "10.1.0.2", "192.0.2.1", "10.1.0.3"

_ADDRESSES: dict[str, tuple[tuple[str, str, int], ...]] = {
    "server": (("203.0.113.1", SERVER, 24), ("2001:db8:1::1", SERVER_6, 64)),
    "inside": (("10.9.0.1", INSIDE, 24),),
    "sixonly": (("2001:db8:6::1", SIX_ONLY, 64),),
    "norelay": (("203.0.114.1", NO_RELAY, 24),),
    "four": (("10.1.0.1", CLIENT, 24),),
    "both": (("10.2.0.1", "10.2.0.2", 24), ("2001:db8:12::1", "2001:db8:12::2", 64)),
    "six": (("2001:db8:13::1", "2001:db8:13::2", 64),),
}
"""By machine: (the router's address on its link, its own address, the bits of the network) for each address."""

_CLIENTS = 'iifname { "four", "both", "six" }'
_SERVERS = 'oifname { "four", "both", "six" }'


def _filter(*allowed: str) -> str:
    """A filter that lets only these packets of clients through, and what answers them; the rest is dropped."""
    rules = [f"{_CLIENTS} {words} accept" for words in allowed]
    rules += [f"{_CLIENTS} drop", f"{_SERVERS} ct state established accept", f"{_SERVERS} drop"]
    lines = "\n".join(["meta l4proto ipv6-icmp accept", *rules])
    return f"table inet lab {{\nchain forward {{\ntype filter hook forward priority 0;\n{lines}\n}}\n}}"


_TWO_NATS = f"""
table ip lab {{
  chain arrive {{
    type nat hook prerouting priority dstnat;
    iifname != "inside" ip daddr {INSIDE_PUBLIC} dnat to {INSIDE}
  }}
  chain leave {{
    type nat hook postrouting priority srcnat;
    ip saddr 10.1.0.0/24 snat to {CLIENT_PUBLIC}
    ip saddr {INSIDE} snat to {INSIDE_PUBLIC}
  }}
}}
"""

OPEN = ""
NO_UDP = _filter("meta l4proto != udp")
ONLY_TCP = _filter("meta l4proto tcp")
RELAY_UDP = _filter("tcp dport 443", "udp dport 3478")
ONLY_443 = _filter("tcp dport 443")
TWO_NATS = _TWO_NATS


@dataclass(frozen=True)
class Lab:
    """The namespaces by their short names."""

    machines: dict[str, Namespace]

    def __getitem__(self, name: str) -> Namespace:
        return self.machines[name]

    def set_filter(self, *rules: str) -> None:
        """Replace the filters of the router, from the next packet on. Paths that were allowed before are cut too."""
        self.machines["router"].nft("\n".join(["flush ruleset", *rules]))

    def move(self, client: str, address: str) -> None:
        """Replace the IPv4 address of a client, as another network does; its sockets keep the former one."""
        machine, (gateway, _, bits) = self.machines[client], _ADDRESSES[client][0]
        machine.ip("-4", "address", "flush", "dev", "eth0")
        machine.ip("address", "add", f"{address}/{bits}", "dev", "eth0")
        machine.ip("route", "add", "default", "via", gateway)


@contextlib.contextmanager
def lab() -> Iterator[Lab | None]:
    """Make the lab, and remove it after the block; None where the kernel refuses."""
    with namespaces(NAMES, _steps) as machines:
        yield Lab(machines) if machines else None


def _steps(prefix: str) -> str:
    router = f"{prefix}router"
    lines = [f"netns exec {router} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"]
    # Link-local addresses are in use at once, without the wait for another machine's objection.
    lines += [f"netns exec {prefix}{name} sysctl -qw net.ipv6.conf.default.accept_dad=0" for name in NAMES]
    for name, addresses in _ADDRESSES.items():
        machine = f"{prefix}{name}"
        lines.append(f"link add {name} netns {router} type veth peer name eth0 netns {machine}")
        for gateway, address, bits in addresses:
            nodad = " nodad" if ":" in address else ""  # an address is in use at once, without the wait for another's
            lines.append(f"-n {router} address add {gateway}/{bits} dev {name}{nodad}")
            lines.append(f"-n {machine} address add {address}/{bits} dev eth0{nodad}")
        lines.append(f"-n {router} link set {name} up")
        lines.append(f"-n {machine} link set eth0 up")
        lines += [f"-n {machine} route add default via {gateway}" for gateway, _, _ in addresses]
    return "\n".join(lines)
