"""A network of two machines and a router between them, which drops UDP when a test says so, while TCP goes on.

This machine is the one; the other and the router are network namespaces that the test makes.
"""

import contextlib
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tests.namespaces import Namespace, missing, namespaces


class Network:
    """`server_address` is this machine's; what `run` runs is on the other one."""

    def __init__(self, interface: str, server_address: str, other: Namespace, router: Namespace | None = None) -> None:
        self.interface = interface
        """This machine's interface, which Janus offers."""
        self.server_address = server_address
        self._other, self._router = other, router

    def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Runs a coroutine with an event loop of its own whose sockets are on the other side; waits for its result."""
        return self._other.run(work)

    def cut_udp(self) -> None:
        """From now on the router drops every UDP packet, in both directions, without a notice."""
        assert self._router is not None
        self._router.ip("rule", "add", "pref", "10", "ipproto", "udp", "blackhole")

    def mend(self) -> None:
        """Lets UDP through again."""
        assert self._router is not None
        self._router.ip("rule", "del", "pref", "10")


@contextlib.contextmanager
def network() -> Iterator[Network | None]:
    """Makes all of it, and removes it again; None where that is not possible. Needs root on Linux."""
    if missing():
        yield None
        return
    pid = os.getpid()
    name, subnet, host = f"pn{pid}", f"10.{200 + (pid >> 13) % 50}.{pid >> 5 & 255}", (pid & 31) * 8
    server, near, far, client = (f"{subnet}.{host + number}" for number in (1, 2, 5, 6))

    def steps(prefix: str) -> str:
        router, other = f"{prefix}r", f"{prefix}c"
        return f"""
            link add {name} type veth peer name near netns {router}
            -n {router} link add far type veth peer name client netns {other}
            address add {server}/30 dev {name}
            -n {router} address add {near}/30 dev near
            -n {router} address add {far}/30 dev far
            -n {other} address add {client}/30 dev client
            link set {name} up
            -n {router} link set near up
            -n {router} link set far up
            -n {other} link set client up
            -n {other} route add default via {far}
            route add {subnet}.{host + 4}/30 via {near}
            netns exec {router} sysctl -qw net.ipv4.ip_forward=1
        """

    with _without_link(name), namespaces("rc", steps) as made:
        yield Network(name, server, made["c"], made["r"]) if made else None


@contextlib.contextmanager
def network_ipv6() -> Iterator[Network | None]:
    """This machine and another one that has no IPv4 at all; None where that is not possible. Needs root on Linux."""
    if missing():
        yield None
        return
    pid = os.getpid()
    name, subnet = f"p6{pid}", f"fd00:{pid >> 16:x}:{pid & 65535:x}:"

    def steps(prefix: str) -> str:
        other = f"{prefix}six"
        return f"""
            link add {name} type veth peer name client netns {other}
            address add {subnet}:1/64 dev {name} nodad
            -n {other} address add {subnet}:2/64 dev client nodad
            link set {name} up
            -n {other} link set client up
        """

    with _without_link(name), namespaces(["six"], steps) as made:
        yield Network(name, f"{subnet}:1", made["six"]) if made else None


@contextlib.contextmanager
def _without_link(name: str) -> Iterator[None]:
    """Removes this machine's end of the link at the end: the kernel does so too, but later than the namespace."""
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
