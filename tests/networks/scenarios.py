"""The networks that calls are tested and measured in, with the path that each call takes."""

from dataclasses import dataclass

from tests.networks.calls import Client, Reach
from tests.networks.lab import NO_UDP, ONLY_443, ONLY_TCP, RELAY_UDP, TWO_NATS
from tests.networks.world import World


@dataclass(frozen=True)
class Scenario:
    """A network between a client and a server."""

    name: str
    description: str
    routes: tuple[str, ...]
    """The routes that a call may use (`str(Route)`)."""
    filters: tuple[str, ...] = ()
    client: str = "four"
    server: str = "server"

    async def enter(self, world: World) -> tuple[Client, Reach]:
        """Start the programs that the scenario needs, then set the router's filters."""
        world.lab.set_filter()
        reach, client = world.server(self.server), await world.client(self.client, self.server)
        world.lab.set_filter(*self.filters)
        return client, reach


_DIRECT_4, _DIRECT_6 = "direct over UDP, IPv4", "direct over UDP, IPv6"
OPEN = Scenario("open", "Nothing is blocked", (_DIRECT_4,))
ONLY_PORT_443 = Scenario("port-443", "TCP port 443 alone", ("relay over TLS",), (ONLY_443,))
WITHOUT_UDP = Scenario("no-udp", "UDP is dropped", ("relay over TCP",), (NO_UDP,))
SCENARIOS = (
    OPEN,
    Scenario("relay-udp", "UDP to the relay's port 3478 alone", ("relay over UDP",), (RELAY_UDP,)),
    WITHOUT_UDP,
    Scenario("tcp", "TCP alone: UDP, ICMP and others are dropped", ("relay over TCP",), (ONLY_TCP,)),
    ONLY_PORT_443,
    Scenario("ipv6", "A client without IPv4", (_DIRECT_6,), client="six"),
    Scenario("ipv6-443", "A client without IPv4, TCP port 443 alone", ("relay over TLS",), (ONLY_443,), "six"),
    Scenario("both", "A client with IPv4 and IPv6", (_DIRECT_4, _DIRECT_6), client="both"),
    Scenario("server-ipv6", "A server without IPv4", (_DIRECT_6,), client="six", server="sixonly"),
    Scenario(
        "server-ipv6-443",
        "A server without IPv4, TCP port 443 alone",
        ("relay over TLS",),
        (ONLY_443,),
        client="six",
        server="sixonly",
    ),
    Scenario(
        "two-nats", "NAT on the side of the client, 1:1 NAT of the server", (_DIRECT_4,), (TWO_NATS,), server="inside"
    ),
    Scenario(
        "two-nats-443",
        "The same, TCP port 443 alone",
        ("relay over TLS",),
        (TWO_NATS, ONLY_443),
        server="inside",
    ),
)
WITHOUT_RELAY = Scenario("no-relay", "Nothing is blocked, a server with `TURN=off`", (_DIRECT_4,), server="norelay")
